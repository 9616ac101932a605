"""A reward model for off-policy estimates: cross-fitted predictions for every action.

A logistic regression on categorical context and the action. There are few actions: workers compute
the predictions of all of them from the coefficients, and no user × action pair is a row.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.ml.classification import LogisticRegression, LogisticRegressionModel
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.linalg import Vector, Vectors
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType, StructField, StructType

from activityrec.errors import ContractError, StateError
from activityrec.evaluation.cross_fitting import blocks_of, fold_of, numbers, one_hot
from activityrec.features.affinity import Floats

Batches = Iterator[pa.RecordBatch]


@dataclass(frozen=True)
class RewardModel:
    """What a reward is predicted from.

    Attributes
    ----------
    actions
        All actions, in the order of the arrays ``policy``.
    context
        Names of STRING columns, at least one, each encoded one-hot; NULL is a category too.
    key
        Names of the columns that identify a row: their hash is its fold.
    action
        Name of the STRING column with the logged action.
    slot
        Name of a STRING column, such as the position: each of its values has a model of its own.
    features
        (actions, places): numbers that describe the actions. None: one-hot.
    folds, seed
        Of cross-fitting.
    inverse_penalty
        C of scikit-learn: the L2 penalty is 1 / C for the sum of the losses.
    """

    actions: tuple[str, ...]
    context: tuple[str, ...]
    key: tuple[str, ...]
    action: str = "action"
    slot: str | None = None
    features: Floats | None = None
    folds: int = 3
    seed: int = 17
    inverse_penalty: float = 100.0

    @property
    def places(self) -> Floats:
        """(actions, places): ``features``, or one-hot."""
        return np.eye(len(self.actions)) if self.features is None else self.features


@dataclass(frozen=True)
class FittedRewards:
    """Coefficients, for every worker: by slot and fold, then category, and action."""

    slots: list[str]
    categories: list[list[str]]
    intercept: Floats
    context: list[Floats]
    action: Floats


def cross_fitted(log: DataFrame, model: RewardModel) -> DataFrame:
    """Predict the reward of each row by models that are fitted without the row's fold.

    Cross-fitting keeps a row's own reward out of its prediction, without which dr is biased
    (Chernozhukov et al. 2018). One MLlib logistic regression for each fold and slot.

    Parameters
    ----------
    log
        ``reward`` (0 or 1), ``policy`` (ARRAY<DOUBLE>: probability of each of ``model.actions``
        under the evaluated policy, in this row's context), and the columns that ``model`` names.

    Returns
    -------
    DataFrame
        The log and ``fold`` (INT), ``predicted`` (for the logged action) and ``expected`` (Σ over
        all actions of policy × prediction).

    Raises
    ------
    ContractError
        Rows have another reward, an action that ``model`` does not have, or no ``policy``.
    StateError
        The log has no rows, or a fold of a slot leaves none to fit on.
    """
    return predicted_rewards(log, model, fit_rewards(log, model))


def fit_rewards(log: DataFrame, model: RewardModel) -> FittedRewards:
    """The models of :func:`cross_fitted`, which serve any number of policies; the log needs no
    ``policy`` yet."""
    folded = _folded(log, model)
    slot = (F.col(model.slot) if model.slot else F.lit("")).alias("slot")
    others = _others(folded, model)
    encoded, categories = one_hot(folded, model.context)
    examples = (
        _features(encoded, model)
        .select(slot, "fold", F.col("reward").cast("double").alias("reward"), "features")
        .persist()
    )
    fits: list[LogisticRegressionModel] = []
    for (name, fold), count in others.items():
        regression = LogisticRegression(
            labelCol="reward",
            # MLlib adds the penalty to the mean of the losses.
            regParam=1 / (model.inverse_penalty * count),
            standardization=False,
            maxIter=1_000,
            tol=1e-8,
        )
        mine = (F.col("slot") == name) & (F.col("fold") != fold)
        fits.append(regression.fit(examples.where(mine)))
    examples.unpersist()
    slots = sorted({name for name, _ in others})
    return _fitted(fits, slots, categories, model)


def predicted_rewards(log: DataFrame, model: RewardModel, fitted: FittedRewards) -> DataFrame:
    """As :func:`cross_fitted` gives it, by models that are there."""
    folded = _folded(log, model)
    schema = StructType([
        *folded.schema.fields, *[StructField(n, DoubleType()) for n in ("predicted", "expected")]
    ])  # fmt: skip
    return folded.mapInArrow(_mapper(fitted, model), schema)


def _folded(log: DataFrame, model: RewardModel) -> DataFrame:
    return log.withColumn("fold", fold_of(model.key, model.folds, model.seed))


def _others(folded: DataFrame, model: RewardModel) -> dict[tuple[str, int], int]:
    """Slot and fold, in order, to the rows of the slot in other folds. Refuses what cannot be
    fitted."""
    slot = (F.col(model.slot) if model.slot else F.lit("")).alias("slot")
    faults = {
        "a reward other than 0 and 1": ~F.col("reward").isin(0, 1),
        "an action that the model does not have": ~F.col(model.action).isin(list(model.actions)),
        "no slot": slot.isNull(),
    }
    if "policy" in folded.columns:
        size = F.coalesce(F.size("policy"), F.lit(-1))
        faults[f"no policy of {len(model.actions)} actions"] = size != len(model.actions)
    wrong = [F.count_if(F.coalesce(c, F.lit(True))).alias(text) for text, c in faults.items()]
    found = folded.groupBy(slot, "fold").agg(F.count("*").alias("rows"), *wrong).collect()
    if not found:
        raise StateError("reward model: the log has no rows")
    counts = {text: sum(row[text] for row in found) for text in faults}
    if any(counts.values()):
        listed = "; ".join(f"{count:,} have {text}" for text, count in counts.items() if count)
        raise ContractError(f"reward model: of {sum(r['rows'] for r in found):,} rows, {listed}")
    others = {
        (name, fold): sum(r["rows"] for r in found if r["slot"] == name and r["fold"] != fold)
        for name in sorted({row["slot"] for row in found})
        for fold in range(model.folds)
    }
    for (name, fold), count in others.items():
        if not count:
            raise StateError(f"reward model: fold {fold} has all rows of slot {name!r}")
    return others


def _features(encoded: DataFrame, model: RewardModel) -> DataFrame:
    """With ``features``: the categories one-hot, and what describes the action."""
    sides = [
        (action, _sparse(row)) for action, row in zip(model.actions, model.places, strict=True)
    ]
    side = encoded.sparkSession.createDataFrame(sides, [model.action, "_places"])
    joined = encoded.join(F.broadcast(side), on=model.action, how="inner")
    hot = [f"_hot_{name}" for name in model.context]
    return VectorAssembler(inputCols=[*hot, "_places"], outputCol="features").transform(joined)


def _sparse(row: Floats) -> Vector:
    places = np.flatnonzero(row)
    return Vectors.sparse(len(row), places.tolist(), row[places].tolist())


def _fitted(
    fits: list[LogisticRegressionModel],
    slots: list[str],
    categories: list[list[str]],
    model: RewardModel,
) -> FittedRewards:
    shape = (len(slots), model.folds, -1)
    weights = np.array([fit.coefficients.toArray() for fit in fits])
    *context, places = blocks_of(weights, categories)
    return FittedRewards(
        slots=slots,
        categories=categories,
        intercept=np.array([fit.intercept for fit in fits]).reshape(shape[:2]),
        context=[block.reshape(shape) for block in context],
        action=(places @ model.places.T).reshape(shape),
    )


def _mapper(fitted: FittedRewards, model: RewardModel) -> Callable[[Batches], Batches]:
    def predict(batches: Batches) -> Batches:
        for batch in batches:
            probabilities = _probabilities(batch, fitted, model)
            policy = batch.column("policy").flatten().to_numpy(zero_copy_only=False)
            expected = (probabilities * policy.reshape(probabilities.shape)).sum(axis=1)
            action = numbers(batch.column(model.action), model.actions)
            predicted = probabilities[np.arange(len(action)), action]
            yield pa.RecordBatch.from_arrays(
                [*batch.columns, pa.array(predicted), pa.array(expected)],
                names=[*batch.schema.names, "predicted", "expected"],
            )

    return predict


def _probabilities(batch: pa.RecordBatch, fitted: FittedRewards, model: RewardModel) -> Floats:
    """(rows, actions): of a reward, by the model of the row's slot that did not see its fold."""
    fold = batch.column("fold").to_numpy()
    slot = np.zeros_like(fold)
    if model.slot:
        slot = numbers(batch.column(model.slot), fitted.slots)
    logit = fitted.intercept[slot, fold]
    for name, labels, weights in zip(model.context, fitted.categories, fitted.context, strict=True):
        logit = logit + weights[slot, fold, numbers(batch.column(name), labels)]
    # Where all rewards are equal the intercept is infinite.
    with np.errstate(over="ignore"):
        found: Floats = 1 / (1 + np.exp(-(logit[:, None] + fitted.action[slot, fold])))
    return found
