"""How the inputs of the ranker, and other values, are distributed before and after a day."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec.config import Config
from activityrec.evaluation.stability import (
    ACCURACY,
    TENTHS,
    divergence,
    shares,
    stability_index,
)
from activityrec.ranking.inputs import INPUT, input_columns, one_hot_columns

BEFORE, AFTER = "before", "after"

Key = tuple[str, str]
"""Kind and name of a value, such as ``input`` and the name of the input."""
Bins = Mapping[str, Mapping[str, int]]
"""Rows by side and bin."""


def number_columns(config: Config) -> dict[Key, Column | str]:
    """The numeric inputs of the ranker, from the columns of a training example."""
    return {
        ("input", name.removeprefix(INPUT)): F.expr(sql)
        for name, sql in input_columns(config).items()
    }


def word_columns(config: Config) -> dict[Key, Column]:
    """The columns that the ranker takes one-hot."""
    return {("input", name): F.col(name).cast("string") for name in one_hot_columns(config)}


def long_values(sides: Mapping[str, DataFrame], columns: Mapping[Key, Column | str]) -> DataFrame:
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


def number_counts(values: DataFrame) -> list[Any]:
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


def word_counts(sides: Mapping[str, DataFrame], columns: Mapping[Key, Column]) -> list[Any]:
    """Rows of kind, name, side, ``bin``, ``rows``: by value."""
    if not columns:
        return []
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


def by_key(rows: list[Any]) -> dict[Key, dict[str, dict[str, int]]]:
    """The counts as :data:`Bins`, by kind and name."""
    found: dict[Key, dict[str, dict[str, int]]] = {}
    for row in sorted(rows, key=lambda row: (row["kind"], row["name"])):
        sides = found.setdefault((row["kind"], row["name"]), {})
        sides.setdefault(row["side"], {})[row["bin"]] = row["rows"]
    return found


def drift(found: Bins) -> tuple[float | None, float | None]:
    """Population stability index, and Jensen-Shannon divergence in bits; None: a side is empty."""
    before, after = found.get(BEFORE, {}), found.get(AFTER, {})
    if not before or not after:
        return None, None
    bins = sorted({*before, *after})
    a, b = (shares(np.array([side.get(bin, 0) for bin in bins], float)) for side in (before, after))
    return stability_index(a, b), divergence(a, b)


def sizes_of(found: Bins) -> tuple[int, int]:
    """Rows before and after."""
    before, after = (int(sum(found.get(side, {}).values())) for side in (BEFORE, AFTER))
    return before, after
