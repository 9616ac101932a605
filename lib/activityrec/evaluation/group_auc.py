"""AUC inside groups: of activities, of users, and of what was live at one instant."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

FOREVER = "9999-01-01"
DAYS = ["activity_id", "exposure_date"]


def dated(scores: DataFrame) -> DataFrame:
    """Add ``exposure_date``."""
    return scores.withColumn("exposure_date", F.to_date("exposure_ts"))


def live_auc(scores: DataFrame) -> DataFrame:
    """model, user_id and ``auc`` over the pairs of an answered and an unanswered exposure of a user
    whose activities were live at one instant; ``rows`` and ``positives`` are these pairs."""
    columns = ["model", "user_id", "start_ts", "end_ts", "score", "weight"]
    # One without an end goes on.
    scores = scores.withColumn("end_ts", F.coalesce("end_ts", F.lit(FOREVER).cast("timestamp")))
    named = [F.col(name).alias(f"_{name}") for name in columns[2:]]
    answered = scores.where("label = 1").select(*columns)
    others = scores.where("label = 0").select(*columns[:2], *named)
    pairs = answered.join(others, on=columns[:2], how="inner").where(
        "start_ts < _end_ts AND _start_ts < end_ts"
    )
    weight = F.col("weight") * F.col("_weight")
    won = F.when(F.col("score") > F.col("_score"), 1.0).when(F.col("score") == F.col("_score"), 0.5)
    return pairs.groupBy(*columns[:2]).agg(
        F.count("*").alias("rows"),
        F.count("*").alias("positives"),
        (F.sum(weight * F.coalesce(won, F.lit(0.0))) / F.sum(weight)).alias("auc"),
    )


def auc_of(scores: DataFrame, groups: list[str]) -> DataFrame:
    """model, groups, ``rows``, ``positives`` and ``auc``, NULL where there are not both outcomes.

    By counting, for each answered exposure, the unanswered ones with a lower score (Mann and
    Whitney); each counts by its weight.
    """
    keys = ["model", *groups]
    label, weight = F.col("label"), F.col("weight")
    by_score = scores.groupBy(*keys, "score").agg(
        F.sum(weight * label).alias("_pos"),
        F.sum(weight * (1 - label)).alias("_neg"),
        F.sum(label).alias("positives"),
        F.count("*").alias("rows"),
    )
    below = Window.partitionBy(*keys).orderBy("score").rowsBetween(Window.unboundedPreceding, -1)
    lower = F.coalesce(F.sum("_neg").over(below), F.lit(0))
    wins = F.sum(F.col("_pos") * (F.col("_below") + F.col("_neg") / 2))
    return (
        by_score.withColumn("_below", lower)
        .groupBy(*keys)
        .agg(
            F.sum("rows").alias("rows"),
            F.sum("positives").alias("positives"),
            F.try_divide(wins, F.sum("_pos") * F.sum("_neg")).alias("auc"),
        )
    )
