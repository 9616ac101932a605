"""Which input is in which place of the vector of features, and how much each weighs."""

import math
from collections.abc import Sequence
from typing import Any

from pyspark.ml import PipelineModel
from pyspark.ml.classification import LogisticRegressionModel
from pyspark.ml.feature import OneHotEncoderModel, StandardScalerModel

from activityrec.config import Config
from activityrec.ranking.inputs import one_hot_columns, ranker_inputs


def slot_names(stages: Sequence[Any], config: Config) -> list[str]:
    """The name of the input, or of the one-hot column, at each place of the vector of features."""
    names = list(ranker_inputs(config))
    for stage in stages:
        if isinstance(stage, OneHotEncoderModel):
            # The last place is that of values that the fit did not see; it is dropped.
            sizes = [size - 1 for size in stage.categorySizes]
            for name, size in zip(one_hot_columns(config), sizes, strict=True):
                names += [name] * size
    return names


def importances(model: PipelineModel, config: Config) -> dict[str, float]:
    """How much each input, and each one-hot column, weighs in a fitted ranker.

    Logistic regression: the coefficient per standard deviation of the input; of a one-hot column
    the root of the sum of their squares. Trees: MLlib's importance, which adds up to 1. Other
    methods have none.
    """
    stages: list[Any] = model.stages
    names = slot_names(stages, config)
    scaler = next(stage for stage in stages if isinstance(stage, StandardScalerModel))
    for stage in stages:
        if isinstance(stage, LogisticRegressionModel):
            weights = stage.coefficients.toArray() * scaler.std.toArray()
            return _by_name(names, weights.tolist(), squared=True)
        if hasattr(stage, "featureImportances"):
            return _by_name(names, stage.featureImportances.toArray().tolist(), squared=False)
    return {}


def _by_name(names: list[str], weights: list[float], squared: bool) -> dict[str, float]:
    parts: dict[str, list[float]] = {}
    for name, weight in zip(names, weights, strict=True):
        parts.setdefault(name, []).append(weight)
    return {
        name: values[0] if len(values) == 1 else math.hypot(*values) if squared else sum(values)
        for name, values in parts.items()
    }
