"""A logistic ranker as one sum over its inputs, which Spark compiles.

MLlib's stages call a function for each stage and row, with a new vector each time; this is one
expression with the same probabilities, but for rounding. Other methods have no such sum.
"""

from collections.abc import Iterable, Iterator
from itertools import islice, zip_longest
from typing import Any, NamedTuple

from pyspark.ml import PipelineModel
from pyspark.ml.classification import LogisticRegressionModel
from pyspark.ml.feature import OneHotEncoderModel, StandardScalerModel, StringIndexerModel
from pyspark.sql import Column
from pyspark.sql import functions as F

from activityrec.ranking.inputs import INPUT, numeric_inputs


class Term(NamedTuple):
    """What an input, or a one-hot column, adds to the log-odds.

    Attributes
    ----------
    name
        Of the input or the one-hot column.
    added
        Its weight times its value, never NULL.
    mean
        The mean of that over the training examples.
    """

    name: str
    added: Column
    mean: float


def linear_terms(model: PipelineModel) -> list[Term] | None:
    """The terms of a fitted pipeline, of its input columns and its one-hot columns; their sum and
    :func:`intercept` are the log-odds. None where the method is not ``logistic``."""
    logistic = _stage(model, LogisticRegressionModel)
    if logistic is None:
        return None
    means = _stage(model, StandardScalerModel).mean.toArray().tolist()
    slots = zip(logistic.coefficients.toArray().tolist(), means, strict=True)
    found = []
    for column in numeric_inputs(model):
        weight, mean = next(slots)
        name = column.removeprefix(INPUT)
        found.append(Term(name, F.lit(weight) * F.col(column), weight * mean))
    return [*found, *_one_hot_terms(model, slots)]


def intercept(model: PipelineModel) -> float:
    """The log-odds of an example whose inputs are all 0."""
    return float(_stage(model, LogisticRegressionModel).intercept)


def total(columns: Iterable[Column]) -> Column:
    """The sum of one or more, pair by pair: of thousands of columns no expression as deep."""
    left = [*columns]
    while len(left) > 1:
        pairs = zip_longest(left[::2], left[1::2])
        left = [one if other is None else one + other for one, other in pairs]
    return left[0]


def _one_hot_terms(model: PipelineModel, slots: Iterator[tuple[float, float]]) -> Iterator[Term]:
    indexer, encoder = _stage(model, StringIndexerModel), _stage(model, OneHotEncoderModel)
    if indexer is None:
        return
    for name, labels, size in zip(
        indexer.getInputCols(), indexer.labelsArray, encoder.categorySizes, strict=True
    ):
        # The last place is that of values that the fit did not see; it is dropped.
        weights, means = zip(*islice(slots, size - 1), strict=True)
        of_label = F.map_from_arrays(F.lit(list(labels)), F.lit(list(weights)))
        added = F.coalesce(of_label[F.col(name).cast("string")], F.lit(0.0))
        yield Term(name, added, sum(w * m for w, m in zip(weights, means, strict=True)))


def _stage(model: PipelineModel, kind: type) -> Any:
    return next((stage for stage in model.stages if isinstance(stage, kind)), None)
