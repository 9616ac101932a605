"""Metrics of lists: what was recommended at ``as_of`` against what users then answered."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec.evaluation.draws import Bootstrap, Ratio, ratio_draws
from activityrec.serving.blocks import activity_names, places_of, user_numbers
from activityrec.serving.lists import Batches, whole_users

_NEVER = 2**31 - 1
"""The rank of what is not in a list."""


def best_first(candidates: DataFrame, scores: Mapping[str, str], k: int) -> DataFrame:
    """The first k of each user by each of several scores.

    The candidates pass once, in the partitions where they were made.

    Parameters
    ----------
    candidates
        user_id, activity_id and the score columns; the rows of a user must stand together, in one
        partition, as those of scored_candidates do: otherwise a user has several lists.
    scores
        Name of a model to the column of its score. What has NULL, or NaN, there is not in its
        lists.

    Returns
    -------
    DataFrame
        model, user_id, activity_id, ``rank`` from 1; ties by activity_id.
    """
    columns = [F.col(column).cast("double").alias(model) for model, column in scores.items()]
    rows = candidates.select("user_id", "activity_id", *columns)
    schema = "model STRING, user_id STRING, activity_id STRING, rank INT"
    return rows.mapInArrow(_best_mapper(list(scores), k), schema)


def _best_mapper(models: list[str], k: int) -> Callable[[Batches], Batches]:
    def compute(batches: Batches) -> Batches:
        for rows in whole_users(batches):
            user, activity = user_numbers(rows), places_of(activity_names(rows))
            for model in models:
                score = rows.column(model).to_numpy()
                known = np.flatnonzero(~np.isnan(score))
                order = known[np.lexsort((activity[known], -score[known], user[known]))]
                place = np.arange(len(order)) - np.searchsorted(user[order], user[order])
                best = rows.select(["user_id", "activity_id"]).take(pa.array(order[place < k]))
                best = best.append_column("rank", pa.array(1 + place[place < k], pa.int32()))
                named = pa.array([model] * best.num_rows, pa.string())
                yield from best.add_column(0, "model", named).combine_chunks().to_batches()

    return compute


def list_hits(lists: DataFrame, relevant: DataFrame) -> DataFrame:
    """What each list found.

    Parameters
    ----------
    lists
        model, user_id, activity_id, ``rank`` from 1.
    relevant
        (user_id, activity_id): what was answered, among what could be recommended. With
        ``expected``, the rank that an obvious order gives it (NULL: none), surprises can be told.

    Returns
    -------
    DataFrame
        For each model and each user who has something relevant: ``ranks`` of the list, ``hits``,
        the ranks of what is relevant, both ascending, and ``relevant``, how many there are; where
        it is known ``expected``, the other rank of each hit. A user without a list has empty
        arrays.
    """
    models = lists.select("model").distinct()
    told = "expected" in relevant.columns
    other = F.coalesce("expected", F.lit(_NEVER)) if told else F.lit(_NEVER)
    wanted = (
        relevant.select("user_id", F.struct("activity_id", other.alias("expected")).alias("_one"))
        .groupBy("user_id")
        .agg(F.map_from_entries(F.collect_set("_one")).alias("_wanted"))
    )
    # By the user alone: lists of all models, and what is relevant, meet without another shuffle.
    entries = F.collect_list(F.struct("rank", "activity_id")).alias("_entries")
    made = lists.repartition("user_id").groupBy("user_id", "model").agg(entries)
    none = F.array().cast("array<struct<rank: int, activity_id: string>>")
    rows = (
        wanted.join(F.broadcast(models), how="cross")
        .join(made, on=["user_id", "model"], how="left")
        .withColumn("_entries", F.coalesce(F.sort_array("_entries"), none))
    )
    found = F.filter("_entries", lambda entry: F.map_contains_key("_wanted", entry["activity_id"]))
    expected = F.transform(found, lambda entry: F.col("_wanted")[entry["activity_id"]])
    return rows.select(
        "model",
        "user_id",
        F.col("_entries.rank").alias("ranks"),
        found["rank"].alias("hits"),
        F.size("_wanted").alias("relevant"),
        *([expected.alias("expected")] if told else []),
    )


def list_draws(hits: DataFrame, ks: Sequence[int], bootstrap: Bootstrap) -> DataFrame:
    """Metrics at each k, averaged over the users who have something relevant, by model and draw.

    For binary relevance, R relevant activities and hits at ranks r <= k: ``precision`` hits / k,
    ``recall`` hits / R, ``hit_rate`` whether there is one, ``mrr`` 1 / first rank, ``map`` the mean
    over R of the precision at each hit, ``ndcg`` Σ 1 / log2(1 + r) divided by that of the best
    list (Järvelin and Kekäläinen 2002). Where ``hits`` has ``expected``, also ``serendipity``: hits
    that are not among the first k of the obvious order / k (Ge, Delgado-Battenfeld and Jannach
    2010, with that order as the primitive method). A user without a list counts as 0.

    Parameters
    ----------
    hits
        As :func:`list_hits` gives them.

    Returns
    -------
    DataFrame
        model, metric (such as ``ndcg@5``), draws.
    """
    ratios: dict[str, Ratio] = {}
    for k in ks:
        values = _at(k)
        if "expected" in hits.columns:
            values["serendipity"] = _serendipity(k)
        for name, value in values.items():
            ratios[f"{name}@{k}"] = (value, F.lit(1.0))
    return ratio_draws(hits, ratios, bootstrap)


def _at(k: int) -> dict[str, Column]:
    hits = F.filter("hits", lambda rank: rank <= k)
    relevant, found = F.col("relevant"), F.size(hits)
    nothing = F.lit(0.0)
    gain = F.aggregate(hits, nothing, lambda sum, rank: sum + 1 / F.log2(rank + 1.0))
    best = sum(
        (
            F.when(relevant >= place, 1 / F.log2(F.lit(place + 1.0))).otherwise(0.0)
            for place in range(1, k + 1)
        ),
        nothing,
    )
    precisions = F.transform(hits, lambda rank, place: (place + 1) / rank)
    return {
        "precision": found / k,
        "recall": found / relevant,
        "hit_rate": (found > 0).cast("double"),
        "mrr": F.coalesce(1 / F.get(hits, F.lit(0)), nothing),
        "map": F.aggregate(precisions, nothing, lambda sum, value: sum + value) / relevant,
        "ndcg": gain / best,
    }


def _serendipity(k: int) -> Column:
    both = F.arrays_zip("hits", "expected")
    found = F.filter(both, lambda hit: (hit["hits"] <= k) & (hit["expected"] > k))
    return F.size(found) / k


def list_counts(hits: DataFrame, ks: Sequence[int]) -> DataFrame:
    """model, k, ``rows`` of the lists up to k, ``positives``, ``groups`` (users)."""

    def up_to(k: int) -> Column:
        return F.size(F.filter("ranks", lambda rank: rank <= k))

    places = [up_to(k) for k in ks]
    sides = F.arrays_zip(F.array(*map(F.lit, ks)).alias("k"), F.array(*places).alias("rows"))
    rows = hits.select("model", "relevant", F.inline(sides).alias("k", "rows"))
    return rows.groupBy("model", "k").agg(
        F.sum("rows").alias("rows"),
        F.sum("relevant").alias("positives"),
        F.count("*").alias("groups"),
    )
