"""Why a pair has its score: what each group of inputs adds to its log-odds.

A group's contribution is the log-odds of the score less those that the ranker gives when the
group's inputs are at their means over the training examples. For logistic regression that is
exactly Σ weight × (input - mean) over the group, and contributions add up to the log-odds less
those of the mean example. For other methods it is an approximation (occlusion, Zeiler and Fergus
2014): what groups do together is in none of them or in several, and they need not add up; trees
take a one-hot code at its mean, which lies between 0 and 1, for whichever their split is nearer.
Calibration, which is increasing, is left out.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.ml import PipelineModel
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.ml.regression import IsotonicRegressionModel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec.config import Config
from activityrec.ranking.groups import input_groups
from activityrec.ranking.importance import slot_names
from activityrec.ranking.inputs import INPUT, numeric_inputs, one_hot_columns
from activityrec.ranking.linear import linear_terms, total
from activityrec.ranking.methods import FEATURES
from activityrec.ranking.pipeline import of_response

REASONS = "ARRAY<STRUCT<group: STRING, contribution: DOUBLE>>"
BOUND = 1e-9
"""Probabilities are kept so far from 0 and 1: log-odds are finite."""


def reason_columns(model: PipelineModel, config: Config) -> dict[str, Column]:
    """The columns that a row needs for its reasons, from those of a scored candidate: the input
    columns of its pipeline, and those that are encoded one-hot, by names that no other has."""
    labels = {_label(name): F.col(name) for name in one_hot_columns(config)}
    return {name: F.col(name) for name in numeric_inputs(model)} | labels


def with_reasons(rows: DataFrame, model: PipelineModel | None, config: Config) -> DataFrame:
    """Replace the columns of :func:`reason_columns` by ``reasons``.

    Returns
    -------
    DataFrame
        ``reasons``: array of (group, contribution in log-odds), the largest in size first; NULL
        without a model.
    """
    if model is None:
        return rows.withColumn("reasons", F.lit(None).cast(REASONS))
    carried = reason_columns(model, config)
    # Apart, lest a column have the name of one that the pipeline makes, as probability has.
    kept = F.struct(*[name for name in rows.columns if name not in carried]).alias("_row")
    labels = [F.col(_label(name)).alias(name) for name in one_hot_columns(config)]
    rows = rows.select(kept, *numeric_inputs(model), *labels)
    of_input = input_groups(config)
    found = linear_terms(model)
    if found is None:
        return _with_occlusion(rows, model, config).select("_row.*", "reasons")
    added: dict[str, list[Column]] = {of_input[term.name]: [] for term in found}
    for term in found:
        added[of_input[term.name]].append(term.added - F.lit(term.mean))
    # Not in one step: beside _row.* Spark 4.0 takes a name to be that of _row's field.
    explained = rows.select("_row", _sorted({g: total(some) for g, some in added.items()}))
    return explained.select("_row.*", "reasons")


def _label(one_hot: str) -> str:
    return f"{INPUT}{one_hot}_label"


def _with_occlusion(rows: DataFrame, model: PipelineModel, config: Config) -> DataFrame:
    """``_row`` and ``reasons`` by what becomes of the log-odds without each group."""
    stages: list[Any] = model.stages
    place = next(n for n, s in enumerate(stages) if isinstance(s, VectorAssembler))
    encoders, assembler, scaler = stages[1:place], stages[place], stages[place + 1]
    after = [s for s in stages[place + 1 :] if not isinstance(s, IsotonicRegressionModel)]
    encoded = PipelineModel([*encoders, assembler]).transform(rows)
    scored = encoded.select("_row", vector_to_array(F.col(FEATURES)).alias("_values"))
    of_input = input_groups(config)
    slots = [of_input[name] for name in slot_names(encoders, config)]
    scored = _occluded(scored, after, scaler.mean.toArray().tolist(), slots)
    columns = {group: F.col(f"_{n}") for n, group in enumerate(sorted(set(slots)))}
    return scored.select("_row", _sorted(columns))


def _occluded(
    scored: DataFrame, stages: list, means: Sequence[float], slots: Sequence[str]
) -> DataFrame:
    """A column for each group in turn: the log-odds less those with its places at their means."""
    groups = sorted(set(slots))
    scored = _log_odds(scored, stages, F.col("_values"), "_all")
    for number, group in enumerate(groups):
        own = [mean if slot == group else None for slot, mean in zip(slots, means, strict=True)]
        replaced = F.zip_with(
            "_values",
            F.array(*[F.lit(mean).cast("double") for mean in own]),
            lambda value, mean: F.coalesce(mean, value),
        )
        scored = _log_odds(scored, stages, replaced, f"_{number}")
    added = [(F.col("_all") - F.col(f"_{n}")).alias(f"_{n}") for n in range(len(groups))]
    return scored.select("_row", *added)


def _log_odds(rows: DataFrame, stages: list, values: Column, name: str) -> DataFrame:
    """``rows`` with the log-odds that the stages give to vectors of ``values``."""
    scored = PipelineModel(stages).transform(rows.withColumn(FEATURES, array_to_vector(values)))
    p = F.greatest(F.lit(BOUND), F.least(F.lit(1 - BOUND), of_response()))
    return scored.select(*rows.columns, F.log(p / (1 - p)).alias(name))


def _sorted(contributions: Mapping[str, Column]) -> Column:
    """``reasons``: the largest in size first, then by name."""
    rows = [
        F.struct((-F.abs(c)).alias("size"), F.lit(group).alias("group"), c.alias("contribution"))
        for group, c in contributions.items()
    ]
    return F.transform(
        F.sort_array(F.array(*rows)), lambda row: F.struct(row["group"], row["contribution"])
    ).alias("reasons")
