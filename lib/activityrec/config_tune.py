"""The section ``tune`` of the configuration."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from activityrec.config_base import Section
from activityrec.config_retrieval import RetrieverName

Choice = bool | int | float | str


class RangeConfig(Section):
    """The values from ``low`` to ``high``, both of them among these; those of an integer key are
    integers. With ``log`` they are drawn by their logarithm, with ``step`` they are
    ``low``, ``low + step``, ... up to ``high``."""

    low: int | float
    high: int | float
    log: bool = False
    step: Annotated[int | float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _drawable(self) -> "RangeConfig":
        if self.low >= self.high:
            raise ValueError(f"low {self.low} must be below high {self.high}")
        if self.log and self.low <= 0:
            raise ValueError("a range with log begins above 0")
        if self.log and self.step is not None:
            raise ValueError("give either log or step")
        return self


def _kind(value: Any) -> str:
    return "choices" if isinstance(value, list) else "range"


Values = Annotated[
    Annotated[RangeConfig, Tag("range")]
    | Annotated[Annotated[list[Choice], Field(min_length=1)], Tag("choices")],
    Discriminator(_kind),
]
"""The values that are tried for one key."""


class TuneConfig(Section):
    """The search for parameters, by ``jobs/tune.py``.

    ``space`` maps dotted keys of this file to what is tried for them: a list of values or a range
    (``ranker.logistic.penalty: {low: 1, high: 1000, log: true}``); empty, it is that of
    :func:`activityrec.tuning.defaults.default_space`. The value of the configuration is always
    tried, and first. ``model`` is what is measured: the ranker, or a retriever's own score.

    ``metric`` is the mean over the ``windows``: their first days, or how many there are in the last
    half of the training examples. Each trains on what had closed before its first day and
    validates on the exposures from then until the next one. After ``prune_after`` trials, one
    that is below the median of the earlier ones after a window is stopped.

    ``trials`` is how many end, in all runs together; ``timeout`` (seconds) ends one run earlier.
    ``storage`` is the data base of the trials, as a URL of SQLAlchemy; by default it is beside
    that of MLflow where this is SQLite.
    """

    model: Literal["ranker"] | RetrieverName = "ranker"
    metric: Literal[
        "average_precision", "auc", "auc_within_activity", "auc_within_user"
    ] = "average_precision"  # fmt: skip
    trials: Annotated[int, Field(ge=1)] = 30
    seed: int = 17
    windows: Annotated[int, Field(ge=1)] | list[date] = 3
    space: dict[str, Values] = {}
    prune_after: Annotated[int, Field(ge=1)] = 5
    timeout: Annotated[int, Field(ge=1)] | None = None
    storage: str | None = None
