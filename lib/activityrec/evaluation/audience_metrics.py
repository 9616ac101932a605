"""Audiences: what the best users of an activity answered, beside all who were sent it."""

from collections.abc import Sequence

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from activityrec.evaluation.draws import Bootstrap, Ratio, ratio_draws, summarised
from activityrec.ranking.pipeline import weighted

SLICE = "activity_id"
KEYS = ["model", "activity_id"]


def audience_metrics(scores: DataFrame, sizes: Sequence[int], bootstrap: Bootstrap) -> DataFrame:
    """``response_rate`` of each activity, ``response_rate@n`` of the n users whom a model scores
    highest among those who were sent it, and ``lift@n``, the one divided by the other.

    A user counts once, by the highest score, as answered if any exposure was. Who is among the
    first n is taken from the data, also in the replicates. Ties are broken by user_id. An activity
    that was sent to n users or fewer has no figure at n.

    Parameters
    ----------
    scores
        model, user_id, activity_id, score, label and, where there is one, ``weight``.

    Returns
    -------
    DataFrame
        model, ``slice`` (``activity_id``), ``slice_value``, metric, k, value, low, high, ``rows``,
        ``positives`` (both of the first n, or of all) and ``groups``, the users.
    """
    users = (
        weighted(scores)
        .groupBy(*KEYS, "user_id")
        .agg(*[F.max(name).alias(name) for name in ("score", "label", "weight")])
    )
    best = Window.partitionBy(*KEYS).orderBy(F.desc("score"), "user_id")
    placed = users.withColumn("_place", F.row_number().over(best)).withColumn(
        "_sent", F.count("*").over(Window.partitionBy(*KEYS))
    )
    weight, answered = F.col("weight"), F.col("weight") * F.col("label")
    ratios: dict[str, Ratio] = {"response_rate": (answered, weight)}
    for n in sizes:
        first = (F.col("_place") <= n) & (F.col("_sent") > n)
        ratios[f"response_rate@{n}"] = (F.when(first, answered), weight)
    rates = ratio_draws(placed, ratios, bootstrap, KEYS).persist()
    values = summarised(rates.unionByName(_lifts(rates))).where("value IS NOT NULL")
    k = F.try_element_at(F.split("metric", "@"), F.lit(2)).cast("int")
    counted = placed.select(
        *KEYS,
        "user_id",
        "label",
        F.explode(F.array(*[F.lit(None).cast("int"), *map(F.lit, sizes)])).alias("k"),
        "_place",
    )
    counts = (
        counted.where("k IS NULL OR _place <= k")
        .groupBy(*KEYS, F.coalesce("k", F.lit(0)).alias("_k"))
        .agg(
            F.count("*").alias("rows"),
            F.sum("label").alias("positives"),
            F.count_distinct("user_id").alias("groups"),
        )
    )
    joined = values.withColumns({"k": k, "_k": F.coalesce(k, F.lit(0))}).join(
        counts, on=[*KEYS, "_k"], how="inner"
    )
    return (
        joined.drop("_k")
        .withColumn("slice", F.lit(SLICE))
        .withColumnRenamed("activity_id", "slice_value")
    )


def _lifts(rates: DataFrame) -> DataFrame:
    """The rate of the first n by that of all, in each replicate."""
    every = rates.where("metric = 'response_rate'").select(*KEYS, F.col("draws").alias("_all"))
    firsts = rates.where("metric LIKE 'response_rate@%'")
    lift = F.zip_with("draws", "_all", lambda first, all_: F.try_divide(first, all_))
    named = F.regexp_replace("metric", "^response_rate", "lift")
    return firsts.join(every, on=KEYS, how="inner").select(
        *KEYS, named.alias("metric"), lift.alias("draws")
    )
