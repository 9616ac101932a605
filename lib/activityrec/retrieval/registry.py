"""The retrievers by the name that the configuration gives them."""

from collections.abc import Callable
from datetime import date, timedelta
from functools import partial

from activityrec.config import RetrievalConfig
from activityrec.config_base import Section
from activityrec.retrieval.methods.als import fit_als
from activityrec.retrieval.methods.bayes import fit_bayes
from activityrec.retrieval.methods.content import fit_content
from activityrec.retrieval.methods.ease import fit_ease
from activityrec.retrieval.methods.history import fit_history
from activityrec.retrieval.methods.item_knn import fit_item_knn
from activityrec.retrieval.methods.popularity import fit_popularity
from activityrec.retrieval.protocol import Fit, Known, Vectors

RETRIEVERS: dict[str, Fit] = {
    "als": fit_als,
    "bayes": fit_bayes,
    "content": fit_content,
    "ease": fit_ease,
    "history": fit_history,
    "item_knn": fit_item_knn,
    "popularity": fit_popularity,
}


def fit_dates(as_of: date, first_exposure: date | None, refit_days: int) -> list[date]:
    """The days at which retrievers are fitted: ``as_of``, and every ``refit_days`` back from it
    until the first exposure that is learnt from has a fit before it; earliest first."""
    dates = [as_of]
    while first_exposure is not None and dates[-1] > first_exposure:
        dates.append(dates[-1] - timedelta(days=refit_days))
    return dates[::-1]


def retrievers(config: RetrievalConfig) -> dict[str, Callable[[Known], Vectors]]:
    """The fit of every configured retriever, with its parameters, by name."""
    return {name: partial(_fit, name, getattr(config, name)) for name in config.weights}


def _fit(name: str, parameters: Section, known: Known) -> Vectors:
    return RETRIEVERS[name](known, parameters)
