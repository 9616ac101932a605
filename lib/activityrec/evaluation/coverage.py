"""How lists are spread over the activities that they could hold."""

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec.arrow import (
    Batches,
    Floats,
    arrays_of,
    groups_of,
    matrix_of,
    metric_rows,
    padded,
)
from activityrec.evaluation.draws import Bootstrap


def coverage_draws(
    rows: DataFrame, activities: int, ks: Sequence[int], bootstrap: Bootstrap
) -> DataFrame:
    """How lists are spread over the activities, by model and draw.

    ``activity_coverage``: the share of the activities that are in a list up to k of a user who is
    drawn. ``gini``: Σ_j (2 j - n - 1) x_j / ((n - 1) Σ x), where x are the times that each of n
    activities is in a list, ascending, with those that never are (Shani and Gunawardana 2011):
    0 where all are as often, 1 where it is always the same; NULL without a list.

    A worker holds activities × ks × draws for each model that it meets.

    Parameters
    ----------
    rows
        As :func:`activityrec.evaluation.beyond_accuracy.list_arrays` gives them.
    activities
        How many lists could hold.
    """
    ordered = sorted(ks)
    sides = rows.select("model", F.xxhash64("user_id").alias("user"), "numbers")
    partial = sides.mapInArrow(
        _tallies(bootstrap, activities, ordered), "model STRING, number INT, sums ARRAY<DOUBLE>"
    )
    return partial.repartition("model").mapInArrow(
        _coverages(activities, ordered), "model STRING, metric STRING, draws ARRAY<DOUBLE>"
    )


def _tallies(
    bootstrap: Bootstrap, activities: int, ks: Sequence[int]
) -> Callable[[Batches], Batches]:
    """How often each activity is in a list up to each k, in each draw: (ks, draws) in a row."""

    def compute(batches: Batches) -> Batches:
        sums: dict[object, Floats] = {}
        for batch in batches:
            for (model,), mine in groups_of(batch, ["model"]):
                some = batch.take(pa.array(mine))
                numbers = padded(some.column("numbers"), ks[-1])
                user, place = np.nonzero(numbers >= 0)
                cell = numbers[user, place] * len(ks) + np.searchsorted(ks, place + 1)
                found = np.array(
                    [
                        np.bincount(cell, times[user], activities * len(ks))
                        for counts in bootstrap.counts(some.column("user"))
                        for times in counts.T
                    ],
                    dtype=np.float64,
                )
                sums[model] = sums[model] + found if model in sums else found
        for model, found in sums.items():
            tally = found.T.reshape(activities, len(ks), -1).cumsum(axis=1)
            listed = np.flatnonzero(tally[:, -1, 0])
            yield pa.RecordBatch.from_arrays(
                [
                    pa.array([model] * len(listed), pa.string()),
                    pa.array(listed, pa.int32()),
                    arrays_of(tally[listed].reshape(len(listed), -1)),
                ],
                names=["model", "number", "sums"],
            )

    return compute


def _coverages(activities: int, ks: Sequence[int]) -> Callable[[Batches], Batches]:
    def compute(batches: Batches) -> Batches:
        sums: dict[object, Floats] = {}
        for batch in batches:
            for (model,), mine in groups_of(batch, ["model"]):
                some = batch.take(pa.array(mine))
                found = matrix_of(some.column("sums"))
                total = sums.setdefault(model, np.zeros((activities, found.shape[1])))
                np.add.at(total, some.column("number").to_numpy(), found)
        for model, total in sums.items():
            metrics = {"activity_coverage": (total > 0).mean(axis=0), "gini": gini(total)}
            named = {
                f"{name}@{k}": values.reshape(len(ks), -1)[place]
                for name, values in metrics.items()
                for place, k in enumerate(ks)
            }
            rows = metric_rows(
                ["model"], (pa.scalar(model),), list(named), np.stack([*named.values()])
            )
            yield from rows.to_batches()

    return compute


def gini(times: Floats) -> Floats:
    """Of each column: how unevenly its sum is spread over the rows, see :func:`coverage_draws`."""
    n = len(times)
    weights = 2.0 * np.arange(1, n + 1) - n - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = weights @ np.sort(times, axis=0) / ((n - 1) * times.sum(axis=0))
    return found
