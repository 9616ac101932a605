"""Propensities by a model, where the log has none.

Which activity was shown to this user on this day at this position, given that one was: a
multinomial logistic regression. It says nothing of whether anything was shown.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.ml.classification import LogisticRegression, LogisticRegressionModel
from pyspark.ml.feature import VectorAssembler
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType, StructField, StructType

from activityrec.errors import StateError
from activityrec.evaluation.cross_fitting import blocks_of, fold_of, numbers, one_hot
from activityrec.features.affinity import Floats

Batches = Iterator[pa.RecordBatch]

LARGEST_LOGIT = 500.0
"""MLlib gives a class that is the only one an infinite intercept."""


@dataclass(frozen=True)
class PropensityModel:
    """What the activity of an exposure is predicted from.

    Attributes
    ----------
    activities
        All that the log shows.
    context
        Names of STRING columns, at least one, each encoded one-hot.
    folds, seed
        Of cross-fitting; all exposures of a user are in one fold.
    l2
        Penalty on the sum of the losses.
    floor
        The least propensity.
    """

    activities: tuple[str, ...]
    context: tuple[str, ...]
    folds: int = 3
    seed: int = 17
    l2: float = 1.0
    floor: float = 0.001


@dataclass(frozen=True)
class _Fitted:
    """Coefficients by fold: (folds, activities), and (folds, activities, categories)."""

    categories: list[list[str]]
    intercept: Floats
    context: list[Floats]


def with_estimated(log: DataFrame, model: PropensityModel) -> DataFrame:
    """Put estimates into ``propensity``, by models that are fitted without the user's fold.

    The probabilities of a decision are shared out among its available activities and the one that
    was shown.

    Parameters
    ----------
    log
        user_id, activity_id, ``available`` (ARRAY<STRING>) and the columns ``model.context``; a
        ``propensity`` is replaced.

    Raises
    ------
    StateError
        The log has no rows, or all its users are in one fold.
    """
    fold = fold_of(["user_id"], model.folds, model.seed)
    folded = log.drop("propensity").withColumn("fold", fold)
    fitted = _fit(folded, model)
    schema = StructType([*folded.schema.fields, StructField("propensity", DoubleType())])
    return folded.mapInArrow(_mapper(fitted, model), schema).drop("fold")


def _fit(folded: DataFrame, model: PropensityModel) -> _Fitted:
    counts = {row["fold"]: row["count"] for row in folded.groupBy("fold").count().collect()}
    if len(counts) < 2:
        raise StateError(
            "propensities cannot be estimated: the log has exposures of too few users to learn "
            "from some and predict others"
        )
    encoded, categories = one_hot(folded, model.context)
    assembler = VectorAssembler(
        inputCols=[f"_hot_{name}" for name in model.context], outputCol="features"
    )
    # An activity without exposures in the other folds is a class all the same.
    classes = {"ml_attr": {"type": "nominal", "vals": list(model.activities)}}
    names = F.array(*map(F.lit, model.activities))
    place = (F.array_position(names, F.col("activity_id")) - 1).cast("double")
    examples = (
        assembler.transform(encoded)
        .select("fold", place.alias("label", metadata=classes), "features")
        .persist()
    )
    fits = []
    for fold in range(model.folds):
        others = sum(count for other, count in counts.items() if other != fold)
        regression = LogisticRegression(
            family="multinomial",
            # MLlib adds the penalty to the mean of the losses.
            regParam=model.l2 / others,
            standardization=False,
            maxIter=500,
        )
        fits.append(regression.fit(examples.where(F.col("fold") != fold)))
    examples.unpersist()
    return _fitted(fits, categories)


def _fitted(fits: list[LogisticRegressionModel], categories: list[list[str]]) -> _Fitted:
    intercept = np.array([fit.interceptVector.toArray() for fit in fits])
    weights = np.array([fit.coefficientMatrix.toArray() for fit in fits])
    *context, _ = blocks_of(weights, categories)
    return _Fitted(categories, np.clip(intercept, -LARGEST_LOGIT, LARGEST_LOGIT), context)


def _mapper(fitted: _Fitted, model: PropensityModel) -> Callable[[Batches], Batches]:
    def predict(batches: Batches) -> Batches:
        for batch in batches:
            shown = numbers(batch.column("activity_id"), model.activities)
            logit = _logits(batch, fitted, model)
            row = np.arange(batch.num_rows)
            possible = np.zeros(logit.shape, dtype=bool)
            available = batch.column("available")
            others = numbers(available.flatten(), model.activities)
            possible[np.repeat(row, available.value_lengths().to_numpy()), others] = True
            possible[row, shown] = True
            logit = np.where(possible, logit, -np.inf)
            share = np.exp(logit - logit.max(axis=1, keepdims=True, initial=-np.inf))
            found = share[row, shown] / share.sum(axis=1)
            columns = [*batch.columns, pa.array(np.maximum(found, model.floor))]
            names = [*batch.schema.names, "propensity"]
            yield pa.RecordBatch.from_arrays(columns, names=names)

    return predict


def _logits(batch: pa.RecordBatch, fitted: _Fitted, model: PropensityModel) -> Floats:
    """(rows, activities), by the model that did not see the row's fold."""
    fold = batch.column("fold").to_numpy()
    logit = fitted.intercept[fold]
    for name, labels, weights in zip(model.context, fitted.categories, fitted.context, strict=True):
        logit = logit + weights[fold, :, numbers(batch.column(name), labels)]
    return logit
