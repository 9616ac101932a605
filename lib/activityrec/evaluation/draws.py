"""Metrics of the data and of their bootstrap replicates, in one pass over the rows.

All functions give ``model``, ``metric``, ``draw`` and ``value``: draw 0 is the data, the others
are replicates, see :mod:`activityrec.evaluation.bootstrap`. A value that is not defined is NULL.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec.evaluation.bootstrap import counts

Floats = npt.NDArray[np.float64]
Batches = Iterator[pa.RecordBatch]
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


def ratio_draws(rows: DataFrame, ratios: Mapping[str, Ratio], bootstrap: Bootstrap) -> DataFrame:
    """Metrics that are one sum over another one.

    Parameters
    ----------
    rows
        With model and user_id.
    ratios
        Metric to what is added up above and below the line; a row where the upper one is NULL
        counts for nothing.
    """
    names = list(ratios)
    above = [above.cast("double") for above, _ in ratios.values()]
    below = [
        F.when(above.isNotNull(), below.cast("double")).otherwise(0.0)
        for above, below in ratios.values()
    ]
    sides = rows.select(
        "model",
        F.xxhash64("user_id").alias("user"),
        F.array(*[F.coalesce(value, F.lit(0.0)) for value in above], *below).alias("values"),
    )
    partial = sides.mapInArrow(_sums(bootstrap), "model STRING, sums ARRAY<DOUBLE>")
    total = partial.select("model", F.posexplode("sums").alias("place", "part")).groupBy(
        "model", "place"
    ).agg(F.sum("part").alias("sum"))  # fmt: skip
    # The sums of a draw stand together: first those above the line, then those below it.
    width = 2 * len(names)
    draw, side = F.floor(F.col("place") / width).cast("int"), F.pmod("place", F.lit(width))
    metric = F.get(F.array(*map(F.lit, names)), F.pmod(side, F.lit(len(names))))
    is_above = side < len(names)
    return (
        total.groupBy("model", metric.alias("metric"), draw.alias("draw"))
        .agg(
            F.sum(F.when(is_above, F.col("sum"))).alias("_above"),
            F.sum(F.when(~is_above, F.col("sum"))).alias("_below"),
        )
        .select("model", "metric", "draw", F.try_divide("_above", "_below").alias("value"))
    )


def _sums(bootstrap: Bootstrap) -> Callable[[Batches], Batches]:
    def compute(batches: Batches) -> Batches:
        sums: dict[str, Floats] = {}
        for batch in batches:
            if not batch.num_rows:
                continue
            flat = batch.column("values").flatten().to_numpy(zero_copy_only=False)
            values = flat.reshape(batch.num_rows, -1)
            model = batch.column("model").dictionary_encode()
            code = model.indices.to_numpy(zero_copy_only=False)
            for place, name in enumerate(model.dictionary.to_pylist()):
                mine = np.flatnonzero(code == place)
                users = batch.column("user").take(pa.array(mine))
                found = bootstrap.sums(users, values[mine])
                sums[name] = sums[name] + found if name in sums else found
        if sums:
            listed = [found.ravel() for found in sums.values()]
            yield pa.RecordBatch.from_pydict({"model": list(sums), "sums": listed})

    return compute


def ranking_draws(scores: DataFrame, groups: Sequence[str], bootstrap: Bootstrap) -> DataFrame:
    """``auc`` and ``average_precision`` of each model and group.

    AUC counts ties as half; average precision is Σ (R_n - R_(n-1)) P_n over distinct scores, as
    scikit-learn does. The rows of a model and group go to one task, which sorts them.

    Parameters
    ----------
    scores
        model, user_id, score, label (0 or 1), ``weight`` and the columns of ``groups``.

    Returns
    -------
    DataFrame
        Also the columns of ``groups``, and ``positives``: those of the data, not of the draw.
    """
    keys = ["model", *groups]
    rows = scores.select(*keys, F.xxhash64("user_id").alias("user"), "score", "label", "weight")
    schema = ", ".join(
        [*[f"{name} STRING" for name in keys], "metric STRING, draw INT, value DOUBLE",
         "positives BIGINT"]
    )  # fmt: skip

    def compute(key: tuple[pa.Scalar, ...], table: pa.Table) -> pa.Table:
        score, label, weight = (
            table.column(name).to_numpy().astype(np.float64)
            for name in ("score", "label", "weight")
        )
        users = table.column("user").combine_chunks()
        values = _ranking(score, label, weight, bootstrap.counts(users))
        size = 1 + bootstrap.replicates
        same = [pa.repeat(value, 2 * size) for value in key]
        return pa.table(
            {
                **dict(zip(keys, same, strict=True)),
                "metric": ["auc"] * size + ["average_precision"] * size,
                "draw": pa.array(2 * [*range(size)], pa.int32()),
                "value": pa.array(np.concatenate(values), from_pandas=True),
                "positives": pa.repeat(pa.scalar(int(label.sum()), pa.int64()), 2 * size),
            }
        )

    return rows.groupBy(*keys).applyInArrow(compute, schema)


def _ranking(
    score: Floats, label: Floats, weight: Floats, counts: Iterator[Floats]
) -> tuple[Floats, Floats]:
    """(draws,) of AUC and of average precision; NaN where they are not defined."""
    order = np.argsort(score, kind="stable")
    ordered = score[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=np.nan) != 0)
    answered, others = weight[order] * label[order], weight[order] * (1 - label[order])
    found = []
    for times in counts:
        drawn = times[order]
        positive = np.add.reduceat(drawn * answered[:, None], starts, axis=0)
        negative = np.add.reduceat(drawn * others[:, None], starts, axis=0)
        below = np.cumsum(negative, axis=0) - negative
        wins = (positive * (below + negative / 2)).sum(axis=0)
        hits = np.cumsum(positive[::-1], axis=0)
        seen = hits + np.cumsum(negative[::-1], axis=0)
        precise = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
        total, rest = positive.sum(axis=0), negative.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            found.append((wins / (total * rest), (positive[::-1] * precise).sum(axis=0) / total))
    auc, precision = (np.concatenate(part) for part in zip(*found, strict=True))
    return auc, precision


def summarised(draws: DataFrame, keys: Sequence[str]) -> DataFrame:
    """keys, ``value`` of the data, and ``low`` and ``high``, the 95 % percentile interval of the
    replicates; these are NULL without replicates, and where a replicate has no value."""
    replicate = F.when(F.col("draw") > 0, F.col("value"))
    low, high = (F.percentile(replicate, F.lit(share)) for share in (0.025, 0.975))
    whole = F.count_if(F.col("value").isNull()) == 0
    return draws.groupBy(*keys).agg(
        F.max(F.when(F.col("draw") == 0, F.col("value"))).alias("value"),
        F.when(whole, low).alias("low"),
        F.when(whole, high).alias("high"),
    )


def differences(draws: DataFrame, keys: Sequence[str]) -> DataFrame:
    """Every pair of models on the same replicates.

    Parameters
    ----------
    keys
        What two draws have in common beside ``draw``, such as the metric.

    Returns
    -------
    DataFrame
        keys, model, ``baseline`` (another model), ``difference`` (model - baseline) of the data,
        low, high.
    """
    others = draws.withColumnsRenamed({"model": "baseline", "value": "_other"})
    pairs = draws.join(others, on=[*keys, "draw"], how="inner").where("model != baseline")
    rows = pairs.withColumn("value", F.col("value") - F.col("_other"))
    return summarised(rows, [*keys, "model", "baseline"]).withColumnRenamed("value", "difference")
