"""Metrics of the data and of their bootstrap replicates, in one pass over the rows.

What a metric is computed for is in the columns ``keys``, by default ``model``. All functions give
these, ``metric`` and ``draws`` (ARRAY<DOUBLE>): first the value of the data, then those of the
replicates, see :mod:`activityrec.evaluation.bootstrap`. A value that is not defined is NULL.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec.arrow import (
    Batches,
    Floats,
    arrays_of,
    fields_of,
    groups_of,
    matrix_of,
    metric_rows,
)
from activityrec.evaluation.bootstrap import counts

Ratio = tuple[Column, Column]

CHUNK_CELLS = 2_000_000
"""Rows times replicates at once: 16 MB for each array of them."""


@dataclass(frozen=True)
class Bootstrap:
    """How many replicates, and what they are drawn by; with 0 there is only the data."""

    replicates: int
    seed: int

    def counts(self, users: pa.Array) -> Iterator[Floats]:
        """The columns of :func:`activityrec.evaluation.bootstrap.counts`, some at a time.

        Parameters
        ----------
        users
            A column of Spark's ``xxhash64``.
        """
        hashes = users.to_numpy(zero_copy_only=False).astype(np.int64).view(np.uint64)
        yield np.ones((len(hashes), 1))
        size = max(1, CHUNK_CELLS // max(1, len(hashes)))
        for first in range(0, self.replicates, size):
            some = min(size, self.replicates - first)
            yield counts(hashes, some, self.seed, first)[:, 1:]

    def sums(self, users: pa.Array, values: Floats) -> Floats:
        """(1 + replicates, columns): the values of each user, (users, columns), added up as often
        as the user is drawn."""
        return np.concatenate([times.T @ values for times in self.counts(users)])


def ratio_draws(
    rows: DataFrame,
    ratios: Mapping[str, Ratio],
    bootstrap: Bootstrap,
    keys: Sequence[str] = ("model",),
) -> DataFrame:
    """Metrics that are one sum over another one.

    A worker holds the sums of every group that it meets: groups × metrics × replicates.

    Parameters
    ----------
    rows
        With user_id and the columns ``keys``.
    ratios
        Metric to what is added up above and below the line; a row where the upper one is NULL
        counts for nothing.
    """
    above = [above.cast("double") for above, _ in ratios.values()]
    below = [
        F.when(above.isNotNull(), below.cast("double")).otherwise(0.0)
        for above, below in ratios.values()
    ]
    values = [*[F.coalesce(value, F.lit(0.0)) for value in above], *below]
    fields = fields_of(rows.select(*keys).schema)
    return (
        partial_sums(rows, values, bootstrap, keys)
        .groupBy(*keys)
        .applyInArrow(_ratios(list(ratios), keys), f"{fields}, metric STRING, draws ARRAY<DOUBLE>")
    )


def partial_sums(
    rows: DataFrame, values: Sequence[Column], bootstrap: Bootstrap, keys: Sequence[str]
) -> DataFrame:
    """keys and ``sums`` (ARRAY<DOUBLE>): of each draw in turn the sums of ``values``, which are
    DOUBLE and not NULL. A group has a row for each partition that it is in."""
    sides = rows.select(
        *keys, F.xxhash64("user_id").alias("user"), F.array(*values).alias("values")
    )
    fields = fields_of(rows.select(*keys).schema)
    return sides.mapInArrow(_sums(bootstrap, keys), f"{fields}, sums ARRAY<DOUBLE>")


def _sums(bootstrap: Bootstrap, keys: Sequence[str]) -> Callable[[Batches], Batches]:
    def compute(batches: Batches) -> Batches:
        sums: dict[tuple[object, ...], Floats] = {}
        schema = None
        for batch in batches:
            if not batch.num_rows:
                continue
            schema = schema or pa.schema([batch.schema.field(name) for name in keys])
            values = matrix_of(batch.column("values"))
            for group, mine in groups_of(batch, keys):
                users = batch.column("user").take(pa.array(mine))
                found = bootstrap.sums(users, values[mine])
                sums[group] = sums[group] + found if group in sums else found
        if schema is not None:
            columns = [
                pa.array([group[place] for group in sums], field.type)
                for place, field in enumerate(schema)
            ]
            listed = arrays_of(np.stack([found.ravel() for found in sums.values()]))
            yield pa.RecordBatch.from_arrays([*columns, listed], names=[*keys, "sums"])

    return compute


def _ratios(
    names: Sequence[str], keys: Sequence[str]
) -> Callable[[tuple[pa.Scalar, ...], pa.Table], pa.Table]:
    def compute(key: tuple[pa.Scalar, ...], parts: pa.Table) -> pa.Table:
        # The sums of a draw stand together: first those above the line, then those below it.
        sums = matrix_of(parts.column("sums")).sum(axis=0).reshape(-1, 2, len(names))
        with np.errstate(divide="ignore", invalid="ignore"):
            draws = np.where(sums[:, 1] == 0, np.nan, sums[:, 0] / sums[:, 1])
        return metric_rows(keys, key, names, draws.T)

    return compute


def averaged(draws: DataFrame, keys: Sequence[str], weight: str | None = None) -> DataFrame:
    """The mean of each draw over the rows of a group, among those in which it is defined.

    Parameters
    ----------
    draws
        With the columns ``keys`` and ``metric``.
    weight
        A column of arrays like ``draws`` that weighs them; None: all count the same.
    """

    def compute(key: tuple[pa.Scalar, ...], table: pa.Table) -> pa.Table:
        values = matrix_of(table.column("draws"))
        times = matrix_of(table.column(weight)) if weight else np.ones_like(values)
        times = np.where(np.isnan(values), 0.0, times)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = (np.nan_to_num(values) * times).sum(axis=0) / times.sum(axis=0)
        return metric_rows(keys, key[:-1], [key[-1].as_py()], mean[None, :])

    fields = fields_of(draws.select(*keys).schema)
    return draws.groupBy(*keys, "metric").applyInArrow(
        compute, f"{fields}, metric STRING, draws ARRAY<DOUBLE>"
    )


def summarised(draws: DataFrame) -> DataFrame:
    """The other columns, ``value`` of the data, and ``low`` and ``high``, the 95 % percentile
    interval of the replicates; these are NULL without replicates, and where a replicate has no
    value."""
    kept = [name for name in draws.columns if name != "draws"]

    def compute(batches: Batches) -> Batches:
        for batch in batches:
            if not batch.num_rows:
                continue
            values = matrix_of(batch.column("draws"))
            interval = np.full((2, len(values)), np.nan)
            if values.shape[1] > 1:
                interval = np.percentile(values[:, 1:], [2.5, 97.5], axis=1)
            found = [pa.array(part, from_pandas=True) for part in (values[:, 0], *interval)]
            columns = [*[batch.column(name) for name in kept], *found]
            yield pa.RecordBatch.from_arrays(columns, names=[*kept, "value", "low", "high"])

    fields = fields_of(draws.select(*kept).schema)
    return draws.mapInArrow(compute, f"{fields}, value DOUBLE, low DOUBLE, high DOUBLE")


def differences(draws: DataFrame, keys: Sequence[str]) -> DataFrame:
    """Every pair of models on the same replicates.

    Parameters
    ----------
    draws
        model, draws and ``keys``: what two draws have in common, such as the metric. Keys may be
        NULL.

    Returns
    -------
    DataFrame
        keys, model, ``baseline`` (another model), ``difference`` (model - baseline) of the data,
        low, high.
    """
    mine = draws.select(*keys, "model", "draws")
    others = mine.select(
        *[F.col(name).alias(f"_{name}") for name in keys],
        F.col("model").alias("baseline"),
        F.col("draws").alias("_draws"),
    )
    same = reduce(Column.__and__, [F.col(name).eqNullSafe(F.col(f"_{name}")) for name in keys])
    pairs = mine.join(others, on=same, how="inner").where("model != baseline")
    less = F.zip_with("draws", "_draws", lambda value, other: value - other)
    rows = pairs.select(*keys, "model", "baseline", less.alias("draws"))
    return summarised(rows).withColumnRenamed("value", "difference")
