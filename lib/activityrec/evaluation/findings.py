"""What one population of exposures says: metrics, differences, slices and curves, as rows of the
serving tables without run_id and as_of."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.config import EvaluateConfig
from activityrec.evaluation.audience_metrics import audience_metrics
from activityrec.evaluation.curves import curves
from activityrec.evaluation.draws import Bootstrap, differences, summarised
from activityrec.evaluation.metrics import exposure_draws, with_counts
from activityrec.evaluation.slices import (
    KEYS,
    WHOLE,
    large_parts,
    parts_of,
    slice_draws,
    slice_metrics,
)
from activityrec.tables import Table

LARGE = 5_000_000
"""Scores beyond which those of one model may be too many for one task."""


@dataclass(frozen=True)
class Findings:
    """Rows of ``serving.metrics``, ``serving.comparisons`` and ``serving.curves``."""

    metrics: DataFrame
    comparisons: DataFrame
    curves: DataFrame


def shaped(table: Table, rows: DataFrame, **constants: object) -> DataFrame:
    """``rows`` with the columns of a table but run_id and as_of: those of ``constants``, those
    that it has, NULL for others."""
    marks = {"slice": WHOLE, **constants}
    columns = []
    for column in table.columns[2:]:
        if column.name in rows.columns:
            columns.append(F.col(column.name))
        else:
            value = F.lit(marks.get(column.name))
            columns.append(value.cast(column.type).alias(column.name))
    return rows.select(*columns)


def of_exposures(
    scores: DataFrame, population: str, limits: EvaluateConfig, least_users: int
) -> Findings:
    """Everything that is said of these exposures.

    Parameters
    ----------
    scores
        As :func:`activityrec.evaluation.metrics.long_scores` gives them, persisted; with
        ``slices``.
    least_users
        Parts with fewer users are left out.
    """
    bootstrap = Bootstrap(limits.replicates, limits.seed)
    many = scores.count() > LARGE
    draws = exposure_draws(scores, limits.threshold, limits.min_answers, bootstrap, many).persist()
    values = with_counts(summarised(draws), scores, limits.min_answers)

    parts = parts_of(scores).persist()
    large = large_parts(parts, least_users).persist()
    some = slice_draws(parts, bootstrap, many).join(
        F.broadcast(large.select(*KEYS)), on=list(KEYS), how="left_semi"
    )
    some = some.persist()
    of_parts = slice_metrics(some, draws).join(F.broadcast(large), on=list(KEYS), how="inner")

    def together(table: Table, *frames: DataFrame) -> DataFrame:
        named = [shaped(table, frame, population=population) for frame in frames]
        return reduce(DataFrame.unionByName, named)

    return Findings(
        together(
            tables.METRICS,
            values,
            of_parts,
            audience_metrics(scores, limits.audience, bootstrap).where(
                F.col("groups") >= least_users
            ),
        ),
        together(
            tables.COMPARISONS,
            differences(draws, ["metric"]),
            differences(some, ["metric", "slice", "slice_value"]),
        ),
        together(tables.CURVES, curves(scores, bootstrap)),
    )


def only_shown(pairs: DataFrame, metrics: DataFrame) -> DataFrame:
    """The differences of models both of whose values are among these metrics."""
    same = ["population", "metric", "slice", "slice_value"]
    known = metrics.select(*[F.col(name).alias(f"_{name}") for name in (*same, "model")])
    equal = [F.col(name).eqNullSafe(F.col(f"_{name}")) for name in same]
    for side in ("model", "baseline"):
        on = reduce(Column.__and__, [*equal, F.col(side) == F.col("_model")])
        pairs = pairs.join(known, on=on, how="left_semi")
    return pairs


def joined(findings: Sequence[Findings]) -> Findings:
    """All findings in one."""
    return Findings(
        *[
            reduce(DataFrame.unionByName, [getattr(one, name) for one in findings])
            for name in ("metrics", "comparisons", "curves")
        ]
    )
