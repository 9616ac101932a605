"""The section ``ranker`` of the configuration."""

from typing import Annotated, Literal

from pydantic import Field

from activityrec.config_base import Days, Name, Section
from activityrec.ranking.methods import (
    FmConfig,
    GbtConfig,
    LogisticConfig,
    Method,
    NaiveBayesConfig,
    RandomForestConfig,
    XgboostConfig,
)


class RankerConfig(Section):
    """The ranker, and the examples that it learns from.

    ``method`` is the one used, with the parameters of the section of its name; ``seed`` is that
    of methods that draw, and of the sample of negatives.

    ``examples``: ``exposures``, or what users answered (``responses``) and, for each day on which
    a user did, ``negatives`` of the other live activities, drawn by chance and weighted by what
    they stand for; ``auto`` takes exposures where there are sources of them. Those of the first
    ``min_history_days`` of the log, and those more than ``train_days`` before ``as_of``, are left
    out. ``inputs`` are Spark SQL expressions over the columns of
    ``training_examples``, by name; without them :func:`activityrec.ranking.inputs.default_inputs`
    gives some, and all columns of declared ``attributes`` are one-hot encoded. ``more_inputs``
    come beside either, ``categorical`` are further columns that are one-hot encoded. ``groups``
    names inputs, or one-hot columns, that reasons are told by together; the others are grouped by
    :func:`activityrec.ranking.groups.input_groups`.

    ``calibration``: ``isotonic`` corrects the probabilities by an increasing function that is
    learnt on the last ``calibration_share`` of the examples by time, from a ranker fitted on
    those before; ``none`` leaves them; ``auto`` corrects where their expected calibration error
    there is above ``calibration_limit`` and the correction lowers it on later examples still.

    ``beat_parts``: on the same later examples the ranker is compared with each retriever's score,
    the user's past rate and the type's rate, by average precision; lists are ordered by such a
    part where it is the better one.
    """

    method: Literal[
        "logistic", "fm", "random_forest", "gbt", "naive_bayes", "xgboost"
    ] = "logistic"  # fmt: skip
    seed: int = 17
    examples: Literal["auto", "exposures", "responses"] = "auto"
    negatives: Annotated[int, Field(ge=1)] = 10
    train_days: Days | None = None
    min_history_days: Annotated[int, Field(ge=0)] = 30
    inputs: dict[Name, str] = {}
    more_inputs: dict[Name, str] = {}
    categorical: list[Name] = []
    groups: dict[Name, list[Name]] = {}
    calibration: Literal["auto", "isotonic", "none"] = "auto"
    calibration_limit: Annotated[float, Field(ge=0, le=1)] = 0.02
    beat_parts: bool = True
    calibration_share: Annotated[float, Field(gt=0, lt=1)] = 0.4
    logistic: LogisticConfig = LogisticConfig()
    fm: FmConfig = FmConfig()
    random_forest: RandomForestConfig = RandomForestConfig()
    gbt: GbtConfig = GbtConfig()
    naive_bayes: NaiveBayesConfig = NaiveBayesConfig()
    xgboost: XgboostConfig = XgboostConfig()

    @property
    def chosen(self) -> Method:
        """The method used, with its parameters."""
        return getattr(self, self.method)
