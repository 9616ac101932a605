"""Each input of the ranker by itself: what it tells, how it drifted, and whether it leaks."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.config import Config
from activityrec.evaluation.draws import Bootstrap
from activityrec.evaluation.ranking_metrics import ranking_draws
from activityrec.evaluation.stability import (
    ACCURACY,
    TENTHS,
    divergence,
    shares,
    stability_index,
)
from activityrec.ranking.inputs import INPUT, input_columns, one_hot_columns
from activityrec.ranking.pipeline import weighted

LEAK = 0.98
"""An AUC that nothing honest has: people are not that predictable."""
MODEST = 0.9
"""Where a baseline reaches it the outcome is easy, and a high AUC no wonder."""
MIN_ANSWERS = 5
"""With fewer some input is bound to tell them from the others."""
BEFORE, AFTER = "before", "after"


def input_checks(
    before: DataFrame,
    after: DataFrame,
    scores: Mapping[str, str],
    importance: Mapping[str, float],
    config: Config,
) -> DataFrame:
    """Compare the inputs, and the scores of models, before and after ``as_of``.

    Parameters
    ----------
    before, after
        The training examples and the later exposures, with ``label`` and the columns of examples;
        a score that one of them lacks is not compared.
    scores
        Name of a model to the column of its score.
    importance
        Of inputs and one-hot columns, as
        :func:`activityrec.ranking.importance.importances` gives it.

    Returns
    -------
    DataFrame
        ``serving.input_checks`` without run_id, as_of: one row for each input, one-hot column
        (which has no AUC) and score. Drift is the population stability index Σ (a - b) ln(a / b)
        (Siddiqi 2006) and the Jensen-Shannon divergence (Lin 1991), over tenths of ``before``, or
        the values of a one-hot column.
    """
    sides = {BEFORE: weighted(before), AFTER: weighted(after)}
    numbers = {name.removeprefix(INPUT): F.expr(sql) for name, sql in input_columns(config).items()}
    numeric = _long(sides, {("input", name): column for name, column in numbers.items()})
    shown = {("score", model): column for model, column in scores.items()}
    numeric = numeric.unionByName(_long(sides, shown)).persist()
    words = {("input", name): F.col(name).cast("string") for name in one_hot_columns(config)}
    counts = _counts(numeric) + (_word_counts(sides, words) if words else [])
    alone = _alone(numeric)
    rows = []
    for key, found in _by_key(counts).items():
        auc = alone.get(key, {})
        psi, js = _drift(found)
        kind, name = key
        weight = importance.get(name) if kind == "input" else None
        sizes = [int(sum(found.get(side, {}).values())) for side in (BEFORE, AFTER)]
        aucs = (auc.get(BEFORE), auc.get(AFTER))
        alarm = _alarm(kind, name, aucs, alone)
        rows.append((kind, name, weight, *aucs, psi, js, *sizes, alarm))
    schema = ", ".join(f"{c.name} {c.type}" for c in tables.INPUT_CHECKS.columns[2:])
    numeric.unpersist()
    return before.sparkSession.createDataFrame(rows, schema)


Key = tuple[str, str]


def _long(sides: Mapping[str, DataFrame], columns: Mapping[Key, Column | str]) -> DataFrame:
    """A row for each value: side, kind, name, score, label, weight, user_id. NULL is left out."""
    frames = []
    for side, rows in sides.items():
        entries = [
            F.struct(F.lit(kind).alias("kind"), F.lit(name).alias("name"),
                     (F.col(c) if isinstance(c, str) else c).cast("double").alias("score"))
            for (kind, name), c in columns.items()
            if not isinstance(c, str) or c in rows.columns
        ]  # fmt: skip
        none = F.array().cast("array<struct<kind: string, name: string, score: double>>")
        frames.append(
            rows.select(
                F.lit(side).alias("side"), "user_id", "label", "weight",
                F.inline(F.array(*entries) if entries else none),
            )
        )  # fmt: skip
    return frames[0].unionByName(frames[1]).where("score IS NOT NULL")


def _counts(values: DataFrame) -> list[Any]:
    """Rows of kind, name, side, ``bin``, ``rows``: in tenths of the values before."""
    places = F.array(*[F.lit(tenth / TENTHS) for tenth in range(1, TENTHS)])
    limits = (
        values.where(F.col("side") == BEFORE)
        .groupBy("kind", "name")
        .agg(F.percentile_approx("score", places, ACCURACY).alias("_limits"))
    )
    above = F.size(F.filter("_limits", lambda limit: F.col("score") > limit))
    binned = values.join(F.broadcast(limits), on=["kind", "name"], how="inner")
    named = binned.withColumn("bin", above.cast("string"))
    return named.groupBy("kind", "name", "side", "bin").agg(F.count("*").alias("rows")).collect()


def _word_counts(sides: Mapping[str, DataFrame], columns: Mapping[Key, Column]) -> list[Any]:
    frames = [
        rows.select(
            F.lit(side).alias("side"),
            F.inline(
                F.array(
                    *[
                        F.struct(F.lit(kind).alias("kind"), F.lit(name).alias("name"),
                                 F.coalesce(c, F.lit("NULL")).alias("bin"))
                        for (kind, name), c in columns.items()
                    ]
                )
            ),
        )
        for side, rows in sides.items()
    ]  # fmt: skip
    both = frames[0].unionByName(frames[1])
    return both.groupBy("kind", "name", "side", "bin").agg(F.count("*").alias("rows")).collect()


def _alone(values: DataFrame) -> dict[Key, dict[str, float]]:
    """The AUC of each value by itself, by side; undefined ones, and those of few answers, are left
    out."""
    draws = ranking_draws(values, Bootstrap(0, 0), ["kind", "name", "side"])
    found: dict[Key, dict[str, float]] = {}
    enough = F.col("positives") >= MIN_ANSWERS
    for row in draws.where("metric = 'auc' AND draws[0] IS NOT NULL").where(enough).collect():
        found.setdefault((row["kind"], row["name"]), {})[row["side"]] = row["draws"][0]
    return found


def _by_key(rows: list[Any]) -> dict[Key, dict[str, dict[str, int]]]:
    found: dict[Key, dict[str, dict[str, int]]] = {}
    for row in sorted(rows, key=lambda row: (row["kind"], row["name"])):
        sides = found.setdefault((row["kind"], row["name"]), {})
        sides.setdefault(row["side"], {})[row["bin"]] = row["rows"]
    return found


def _drift(found: Mapping[str, Mapping[str, int]]) -> tuple[float | None, float | None]:
    """Population stability index, and Jensen-Shannon divergence in bits."""
    before, after = found.get(BEFORE, {}), found.get(AFTER, {})
    if not before or not after:
        return None, None
    bins = sorted({*before, *after})
    a, b = (shares(np.array([side.get(bin, 0) for bin in bins], float)) for side in (before, after))
    return stability_index(a, b), divergence(a, b)


def _alarm(
    kind: str,
    name: str,
    aucs: tuple[float | None, float | None],
    alone: Mapping[Key, Mapping[str, float]],
) -> str | None:
    """In words, what is too good to be true of an input, or of the score of the ranker."""
    known = [auc for auc in aucs if auc is not None]
    if kind == "input":
        telling = [auc for auc in known if max(auc, 1 - auc) > LEAK]
        if telling:
            return (
                f"alone it tells answered from unanswered exposures (AUC {telling[0]:.3f}): "
                "does it know the outcome?"
            )
        return None
    after = aucs[1]
    simple = [alone.get(("score", model), {}).get(AFTER, 0.5) for model in SIMPLE]
    if name == "ranker" and after is not None and after > LEAK and max(simple) < MODEST:
        return (
            f"AUC {after:.3f} on later exposures, where the best simple model has "
            f"{max(simple):.3f}: too good to be true"
        )
    return None


SIMPLE = ("popularity", "past_rate", "affinity")
