"""What is tried where the configuration does not say."""

import re

from activityrec.config import Config, RangeConfig
from activityrec.config_tune import Values
from activityrec.ranking.inputs import ranker_inputs

_RANKER: dict[str, Values] = {
    "ranker.method": ["logistic", "fm", "random_forest", "gbt"],
    "ranker.logistic.penalty": RangeConfig(low=1.0, high=10_000.0, log=True),
    "ranker.logistic.elastic_net": [0.0, 0.5, 1.0],
    "ranker.fm.factors": RangeConfig(low=2, high=8),
    "ranker.fm.reg": RangeConfig(low=0.01, high=10.0, log=True),
    "ranker.random_forest.depth": RangeConfig(low=3, high=10),
    "ranker.random_forest.min_leaf": RangeConfig(low=5, high=100, log=True),
    "ranker.gbt.depth": RangeConfig(low=2, high=4),
    "ranker.gbt.trees": RangeConfig(low=10, high=60, step=10),
}
# Lists, because retrievers cost most of a search: equal parameters are fitted once.
_RETRIEVAL: dict[str, Values] = {
    "retrieval.als.rank": [8, 16, 32, 64],
    "retrieval.als.reg": [0.01, 0.1, 1.0],
    "retrieval.als.alpha": [1.0, 10.0, 40.0],
    "retrieval.item_knn.neighbours": [50, 200, 500],
    "retrieval.item_knn.shrinkage": [1.0, 10.0, 100.0],
    "retrieval.ease.reg": [50.0, 500.0, 5000.0],
    "retrieval.content.features": [4_096, 16_384, 65_536],
    "retrieval.bayes.smoothing": [0.1, 1.0, 10.0],
    "retrieval.popularity.by_segment": [False, True],
}


def default_space(config: Config) -> dict[str, Values]:
    """Of the ranker its method and the main parameters of each, and those of the retrievers that
    its inputs read; or those of the one retriever that is measured."""
    names = measured_retrievers(config)
    of_retrievers = {
        key: values for key, values in _RETRIEVAL.items() if key.split(".")[1] in names
    }
    if config.retrieval.segments is None:
        of_retrievers.pop("retrieval.popularity.by_segment", None)
    return of_retrievers if config.tune.model != "ranker" else _RANKER | of_retrievers


def measured_retrievers(config: Config) -> list[str]:
    """The configured retrievers whose scores or ranks enter what is measured."""
    if config.tune.model != "ranker":
        return [config.tune.model]
    read = " ".join([*ranker_inputs(config).values(), *config.ranker.categorical])
    return [n for n in config.retrieval.weights if re.search(rf"\b{n}_(score|rank)\b", read)]
