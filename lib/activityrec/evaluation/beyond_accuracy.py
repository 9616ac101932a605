"""What lists are like, whatever users then answered: novelty and diversity, and who has one.

They are over all users asked for, whether something was relevant to them or not.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec.arrow import Batches, Floats, Numbers, arrays_of, padded
from activityrec.evaluation.draws import Bootstrap, Ratio, ratio_draws
from activityrec.evaluation.listed import ListedActivities
from activityrec.retrieval.spread import Spread, spread


def list_arrays(lists: DataFrame, asked: DataFrame, activity_ids: Sequence[str]) -> DataFrame:
    """The list of each model for each user asked for.

    Parameters
    ----------
    lists
        model, user_id, activity_id, ``rank`` from 1.
    asked
        user_id, ``relevant``: how many activities were relevant to the user.
    activity_ids
        All that lists can hold.

    Returns
    -------
    DataFrame
        model, user_id, relevant, ``numbers`` (ARRAY<INT>): the places in ``activity_ids`` of what
        is in the list, best first; empty for a user without one.
    """
    places = [(name, place) for place, name in enumerate(activity_ids)]
    numbered = lists.sparkSession.createDataFrame(places, "activity_id STRING, number INT")
    entries = F.sort_array(F.collect_list(F.struct("rank", "number")))
    made = (
        lists.join(F.broadcast(numbered), on="activity_id", how="inner")
        .groupBy("user_id", "model")
        .agg(entries["number"].alias("numbers"))
    )
    models = lists.select("model").distinct()
    return (
        asked.join(F.broadcast(models), how="cross")
        .join(made, on=["user_id", "model"], how="left")
        .withColumn("numbers", F.coalesce("numbers", F.array().cast("array<int>")))
        .select("model", "user_id", "relevant", "numbers")
    )


def property_draws(
    rows: DataFrame, activities: ListedActivities, ks: Sequence[int], bootstrap: Bootstrap
) -> DataFrame:
    """Means over users of what their lists are like, by model and draw.

    ``novelty``: the mean of -log2(share of users who know the activity), the self-information of
    Zhou et al. 2010, over users with a list. ``diversity``: the mean over pairs of 1 - similarity
    (intra-list, Ziegler et al. 2005), over users with two entries or more. ``user_coverage``: the
    share of users with a list at all. ``users_without_relevant``: the share of users to whom
    nothing was relevant, whom metrics of accuracy leave out.

    Parameters
    ----------
    rows
        As :func:`list_arrays` gives them.

    Returns
    -------
    DataFrame
        model, metric (those at k such as ``novelty@5``), draws.
    """
    live = spread(rows.sparkSession, activities)
    arrays = ", ".join(f"{name} ARRAY<DOUBLE>" for name in ("novelty", "diversity"))
    described = rows.select("model", "user_id", "relevant", "numbers").mapInArrow(
        _described(live, ks), f"model STRING, user_id STRING, relevant INT, numbers ARRAY<INT>, "
        f"{arrays}",
    )  # fmt: skip
    each = F.lit(1.0)
    ratios: dict[str, Ratio] = {
        "users_without_relevant": ((F.col("relevant") == 0).cast("double"), each),
        "user_coverage": ((F.size("numbers") > 0).cast("double"), each),
    }
    for place, k in enumerate(ks):
        for name in ("novelty", "diversity"):
            ratios[f"{name}@{k}"] = (F.col(name)[place], each)
    return ratio_draws(described, ratios, bootstrap)


def property_counts(rows: DataFrame, ks: Sequence[int]) -> DataFrame:
    """model, metric, ``rows`` of the lists up to k, ``positives`` (what was relevant), ``groups``.

    Groups are the users averaged over; of ``users_without_relevant`` these users.
    """
    size, one = F.size("numbers"), F.lit(1)
    parts: dict[str, tuple[Column, Column]] = {
        "users_without_relevant": (F.lit(0), F.col("relevant") == 0),
        "user_coverage": (size, F.lit(True)),
    }
    for k in ks:
        listed = F.least(size, F.lit(k))
        for name in ("novelty", "activity_coverage", "gini"):
            parts[f"{name}@{k}"] = (listed, size > 0)
        parts[f"diversity@{k}"] = (listed, listed > 1)
    structs = [
        F.struct(
            F.lit(metric).alias("metric"),
            listed.alias("rows"),
            F.when(counted, one).otherwise(0).alias("groups"),
        )
        for metric, (listed, counted) in parts.items()
    ]
    sides = rows.select("model", "relevant", F.inline(F.array(*structs)))
    return sides.groupBy("model", "metric").agg(
        F.sum("rows").alias("rows"),
        F.sum("relevant").alias("positives"),
        F.sum("groups").alias("groups"),
    )


def _described(
    spread_live: Spread[ListedActivities], ks: Sequence[int]
) -> Callable[[Batches], Batches]:
    """Adds novelty and diversity at each k; NULL where they are not defined."""

    def compute(batches: Batches) -> Batches:
        live = spread_live.value()
        for batch in batches:
            numbers = padded(batch.column("numbers"), max(ks))
            added = [
                novelty(numbers, live.known_share, ks),
                diversity(numbers, live.similarity, ks),
            ]
            yield pa.RecordBatch.from_arrays(
                [*batch.columns, *map(arrays_of, added)],
                names=[*batch.schema.names, "novelty", "diversity"],
            )

    return compute


def novelty(numbers: Numbers, known_share: Floats, ks: Sequence[int]) -> Floats:
    """(lists, ks) for lists as :func:`padded` gives them; NaN for an empty list."""
    there = numbers >= 0
    information = np.where(there, -np.log2(known_share)[numbers], 0.0)
    with np.errstate(invalid="ignore"):
        mean = np.cumsum(information, axis=1) / np.cumsum(there, axis=1)
    return mean[:, np.array(ks) - 1]


def diversity(numbers: Numbers, similarity: Floats, ks: Sequence[int]) -> Floats:
    """(lists, ks) for lists as :func:`padded` gives them; NaN with fewer than two entries."""
    there = numbers >= 0
    apart = np.zeros(numbers.shape)
    for later in range(1, numbers.shape[1]):
        pairs = 1.0 - similarity[numbers[:, :later], numbers[:, later, None]]
        apart[:, later] = np.where(there[:, later], pairs.sum(axis=1), 0.0)
    entries = np.cumsum(there, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.cumsum(apart, axis=1) / (entries * (entries - 1) / 2)
    return mean[:, np.array(ks) - 1]
