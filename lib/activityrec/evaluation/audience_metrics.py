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

    Who is among the first n is taken from the data, also in the replicates: the interval is that
    of what these users answer. Ties are broken by user_id. An activity that was sent to n users or
    fewer has no figure at n.

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
    best = Window.partitionBy(*KEYS).orderBy(F.desc("score"), "user_id")
    placed = weighted(scores).withColumn("_place", F.row_number().over(best))
    everyone = Window.partitionBy(*KEYS)
    placed = placed.withColumn("_sent", F.count("*").over(everyone))
    weight, answered = F.col("weight"), F.col("weight") * F.col("label")
    rate = F.try_divide(F.sum(answered).over(everyone), F.sum(weight).over(everyone))
    placed = placed.withColumn("_rate", rate)
    first = {n: (F.col("_place") <= n) & (F.col("_sent") > n) for n in sizes}
    ratios: dict[str, Ratio] = {"response_rate": (answered, weight)}
    for n, mine in first.items():
        ratios[f"response_rate@{n}"] = (F.when(mine, answered), weight)
        ratios[f"lift@{n}"] = (
            F.when(mine & (F.col("_rate") > 0), answered / F.col("_rate")),
            weight,
        )
    values = summarised(ratio_draws(placed, ratios, bootstrap, KEYS)).where("value IS NOT NULL")
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
