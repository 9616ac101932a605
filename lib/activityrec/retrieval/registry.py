"""The retrievers by the name that the configuration gives them."""

from collections.abc import Callable
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


def retrievers(config: RetrievalConfig) -> dict[str, Callable[[Known], Vectors]]:
    """The fit of every configured retriever, with its parameters, by name."""
    return {name: partial(_fit, name, getattr(config, name)) for name in config.weights}


def _fit(name: str, parameters: Section, known: Known) -> Vectors:
    return RETRIEVERS[name](known, parameters)
