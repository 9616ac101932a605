"""AUC and average precision of the data and of their bootstrap replicates."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
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
from activityrec.evaluation.draws import Bootstrap, partial_sums

METRICS = ["auc", "average_precision"]
PARTS = 200
"""Of how many ranges of scores a large frame is made."""


def ranking_draws(
    scores: DataFrame, bootstrap: Bootstrap, keys: Sequence[str] = ("model",)
) -> DataFrame:
    """``auc`` and ``average_precision`` of each group.

    AUC counts ties as half; average precision is Σ (R_n - R_(n-1)) P_n over distinct scores, as
    scikit-learn does. The rows of a group go to one task, which sorts them.

    Parameters
    ----------
    scores
        user_id, score, label (0 or 1), ``weight`` and the columns ``keys``.

    Returns
    -------
    DataFrame
        Also ``drawn`` (ARRAY<DOUBLE>), the weight of the rows in each draw, and ``positives``,
        the answered rows of the data.
    """
    rows = scores.select(*keys, F.xxhash64("user_id").alias("user"), "score", "label", "weight")
    fields = fields_of(scores.select(*keys).schema)
    schema = f"{fields}, metric STRING, draws ARRAY<DOUBLE>, drawn ARRAY<DOUBLE>, positives BIGINT"

    def compute(key: tuple[pa.Scalar, ...], table: pa.Table) -> pa.Table:
        score, label, weight = (
            table.column(name).to_numpy().astype(np.float64)
            for name in ("score", "label", "weight")
        )
        users = table.column("user").combine_chunks()
        auc, precision, drawn = _ranking(score, label, weight, bootstrap.counts(users))
        found = metric_rows(keys, key, ["auc", "average_precision"], np.stack([auc, precision]))
        found = found.append_column("drawn", arrays_of(np.stack([drawn, drawn])))
        return found.append_column("positives", pa.array([int(label.sum())] * 2, pa.int64()))

    return rows.groupBy(*keys).applyInArrow(compute, schema)


def _ranking(
    score: Floats, label: Floats, weight: Floats, counts: Iterator[Floats]
) -> tuple[Floats, Floats, Floats]:
    """(draws,) of AUC and of average precision, NaN where they are not defined; of the weight."""
    found = []
    for positive, negative in _steps(score, label, weight, counts):
        below = np.cumsum(negative, axis=0) - negative
        wins = (positive * (below + negative / 2)).sum(axis=0)
        hits = np.cumsum(positive[::-1], axis=0)
        seen = hits + np.cumsum(negative[::-1], axis=0)
        precise = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
        total, rest = positive.sum(axis=0), negative.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            precision = (positive[::-1] * precise).sum(axis=0) / total
            found.append((wins / (total * rest), precision, total + rest))
    auc, precision, drawn = (np.concatenate(part) for part in zip(*found, strict=True))
    return auc, precision, drawn


def _steps(
    score: Floats, label: Floats, weight: Floats, counts: Iterator[Floats]
) -> Iterator[tuple[Floats, Floats]]:
    """(steps, draws), lowest score first: the weight of answered and of other rows.

    A step is one score, or several neighbouring ones without an answer, which add nothing to
    either metric by themselves: answers are rare, and there are as many fewer steps.
    """
    number = np.unique(score, return_inverse=True)[1]
    order = np.lexsort((label, number))
    number, answered = number[order], label[order].astype(np.int64)
    hit = np.bincount(number, answered) > 0
    opens = np.diff(hit, prepend=True) | hit
    step = (np.cumsum(opens) - 1)[number]
    # In a step the answered rows are last.
    starts = np.flatnonzero(np.diff(2 * step + answered, prepend=-1))
    weights = weight[order, None]
    for times in counts:
        sums = np.zeros((step[-1] + 1, 2, times.shape[1]))
        sums[step[starts], answered[starts]] = np.add.reduceat(times[order] * weights, starts)
        yield sums[:, 1], sums[:, 0]


def ranged_ranking_draws(
    scores: DataFrame,
    bootstrap: Bootstrap,
    keys: Sequence[str] = ("model",),
    parts: int = PARTS,
) -> DataFrame:
    """As :func:`ranking_draws` for groups of any size: ranges of scores go to tasks.

    The first pass adds up the answered and the other rows of each range; with what is above it, and
    below it, every range then finds its part of both metrics. The driver sees two sums for each
    range, group in it and replicate.

    Returns
    -------
    DataFrame
        keys, metric, draws.
    """
    columns = [*keys, "user_id", "score", "label", "weight"]
    ranged = scores.select(*columns).repartitionByRange(parts, *keys, "score")
    ranged = ranged.withColumn("_part", F.spark_partition_id()).persist()
    weight, label = F.col("weight").cast("double"), F.col("label").cast("double")
    sums = partial_sums(ranged, [weight * label, weight * (1 - label)], bootstrap, [*keys, "_part"])
    found: dict[tuple[Any, ...], dict[int, Floats]] = {}
    for row in sums.collect():
        group = tuple(row[name] for name in keys)
        # (draws, 2): answered and others.
        found.setdefault(group, {})[row["_part"]] = np.array(row["sums"]).reshape(-1, 2)
    beside = {group: _beside(of_parts) for group, of_parts in found.items()}
    fields = fields_of(scores.select(*keys).schema)
    schema = f"{fields}, metric STRING, draws ARRAY<DOUBLE>"
    rows = ranged.withColumn("user", F.xxhash64("user_id")).drop("user_id")
    shares = rows.mapInArrow(_shares(beside, bootstrap, keys), schema)

    def add(key: tuple[pa.Scalar, ...], table: pa.Table) -> pa.Table:
        total = matrix_of(table.column("draws")).sum(axis=0)
        return metric_rows(keys, key[:-1], [key[-1].as_py()], total[None, :])

    return shares.groupBy(*keys, "metric").applyInArrow(add, schema)


Beside = dict[int, tuple[Floats, Floats]]
"""For each range of a group: the sums above it and those of the whole group, (draws, 2) both."""


def _beside(parts: dict[int, Floats]) -> Beside:
    above = np.zeros_like(next(iter(parts.values())))
    total = np.sum(list(parts.values()), axis=0)
    found: Beside = {}
    for part in sorted(parts, reverse=True):
        found[part] = above, total
        above = above + parts[part]
    return found


def _shares(
    beside: dict[tuple[Any, ...], Beside], bootstrap: Bootstrap, keys: Sequence[str]
) -> Callable[[Batches], Batches]:
    """What each range adds to the metrics of its groups."""

    def compute(batches: Batches) -> Batches:
        held = [batch for batch in batches if batch.num_rows]
        if not held:
            return
        (rows,) = pa.Table.from_batches(held).combine_chunks().to_batches()
        part = rows.column("_part")[0].as_py()
        for group, mine in groups_of(rows, keys):
            mine_rows = rows.take(pa.array(mine))
            score, label, weight = (
                mine_rows.column(name).to_numpy().astype(np.float64)
                for name in ("score", "label", "weight")
            )
            steps = _steps(score, label, weight, bootstrap.counts(mine_rows.column("user")))
            values = _share(steps, *beside[group][part])
            key = tuple(rows.column(name)[int(mine[0])] for name in keys)
            yield from metric_rows(keys, key, METRICS, values).to_batches()

    return compute


def _share(steps: Iterator[tuple[Floats, Floats]], above: Floats, total: Floats) -> Floats:
    """(2, draws): a range's part of AUC and of average precision; NaN where not defined."""
    found, first = [], 0
    for positive, negative in steps:
        drawn = slice(first, first + positive.shape[1])
        first = drawn.stop
        over, whole = above[drawn], total[drawn]
        # What is below a step is all that is not at it or above it.
        higher = np.cumsum(negative[::-1], axis=0)[::-1] + over[:, 1]
        wins = (positive * (whole[:, 1] - higher + negative / 2)).sum(axis=0)
        hits = np.cumsum(positive[::-1], axis=0)[::-1] + over[:, 0]
        seen = hits + higher
        precise = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            precision = (positive * precise).sum(axis=0) / whole[:, 0]
            found.append(np.stack([wins / (whole[:, 0] * whole[:, 1]), precision]))
    return np.concatenate(found, axis=1)
