"""How the inputs of the ranker, and other values, are distributed before and after a day."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from activityrec.arrow import Batches, groups_of, matrix_of
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


def array_values(sides: Mapping[str, DataFrame], columns: Mapping[Key, Column | str]) -> DataFrame:
    """side, label, weight, and ``values`` (ARRAY<DOUBLE>), one of each column in their order; NULL
    where a side lacks the column. What is no number is infinite here: Spark orders it last too."""
    frames = []
    for side, rows in sides.items():
        there = [
            F.nanvl((F.col(c) if isinstance(c, str) else c).cast("double"), F.lit(np.inf))
            if not isinstance(c, str) or c in rows.columns
            else F.lit(None)
            for c in columns.values()
        ]
        values = F.array(*there).cast("array<double>").alias("values")
        frames.append(rows.select(F.lit(side).alias("side"), "label", "weight", values))
    return frames[0].unionByName(frames[1])


def long_values(values: DataFrame) -> DataFrame:
    """A row for each value of :func:`array_values`: side, label, weight, ``number`` (its place
    among the columns) and ``score``; NULL is left out."""
    rows = values.select("side", "label", "weight", F.posexplode("values").alias("number", "score"))
    return rows.where("score IS NOT NULL")


def number_counts(values: DataFrame, keys: Sequence[Key]) -> list[Row]:
    """Rows of kind, name, side, ``bin``, ``rows``: in tenths of the values before. A column that
    has none before is left out."""
    if not keys:
        return []
    places = F.array(*[F.lit(tenth / TENTHS) for tenth in range(1, TENTHS)])
    limits = (
        values.where(F.col("side") == BEFORE)
        .agg(*[
            F.percentile_approx(F.get("values", F.lit(number)), places, ACCURACY)
            for number in range(len(keys))
        ])
        .first()
    )  # fmt: skip
    schema = "side STRING, number INT, bin INT, rows BIGINT"
    counted = values.select("side", "values").mapInArrow(_tenths(limits or ()), schema)
    found = counted.groupBy("side", "number", "bin").agg(F.sum("rows").alias("rows")).collect()
    return [
        Row(kind=kind, name=name, side=side, bin=str(place), rows=rows)
        for side, number, place, rows in found
        for kind, name in [keys[number]]
    ]


def _tenths(limits: Sequence[Sequence[float] | None]) -> Callable[[Batches], Batches]:
    """How many values of a side and column are above how many of its limits."""

    def compute(batches: Batches) -> Batches:
        counts: dict[object, npt.NDArray[np.int64]] = {}
        for batch in batches:
            for (side,), mine in groups_of(batch, ["side"]):
                values = matrix_of(batch.column("values").take(pa.array(mine)))
                table = counts.setdefault(side, np.zeros((len(limits), TENTHS), np.int64))
                for number, edges in enumerate(limits):
                    if edges is not None:
                        known = values[~np.isnan(values[:, number]), number]
                        places = np.searchsorted(edges, known)
                        table[number] += np.bincount(places, minlength=TENTHS)
        for side, table in counts.items():
            numbers, bins = np.nonzero(table)
            columns = (pa.repeat(side, len(numbers)), numbers.astype(np.int32),
                       bins.astype(np.int32), table[numbers, bins])  # fmt: skip
            names = ["side", "number", "bin", "rows"]
            yield pa.RecordBatch.from_arrays([pa.array(column) for column in columns], names)

    return compute


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
