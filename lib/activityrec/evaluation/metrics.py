"""Metrics of scored exposures: pooled, within activities, within users.

Input is long: one row for each exposure and model, with ``model``, ``score``, ``label``,
user_id and activity_id. Output rows have model, metric, value, rows, positives, groups.
"""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

PROBABILITIES = ("ranker", "popularity", "past_rate")
"""The models whose score is a probability."""

MODELS = ("ranker", "popularity", "past_rate", "affinity")


def long_scores(scored: DataFrame) -> DataFrame:
    """One row for each exposure and model, the retrievers in ``scores`` among them; models without
    a score are left out."""
    key = ["user_id", "activity_id", "exposure_ts", "label", "censored"]
    models = [entry for m in MODELS for entry in (F.lit(m), F.col(m).cast("double"))]
    everything = F.map_concat(F.create_map(*models), "scores")
    return scored.select(*key, F.explode(everything).alias("model", "score")).where(
        "score IS NOT NULL"
    )


def exposure_metrics(scores: DataFrame, threshold: float, min_answers: int) -> DataFrame:
    """Both questions and the pooled metrics, for every model.

    ``auc_within_activity`` (which users for this activity) averages over the activities with
    at least ``min_answers`` answered exposures, ``auc_within_user`` (which activities for this
    user) over the users with both outcomes. AUC counts ties as half.
    """
    pooled = _ranking(scores, [])
    frames = [
        _named(pooled, "auc", F.col("auc")),
        _named(pooled, "average_precision", F.col("average_precision")),
        _averaged(_ranking(scores, ["activity_id"]), "auc_within_activity", min_answers),
        _averaged(_ranking(scores, ["user_id"]), "auc_within_user", 1),
        _probabilistic(scores, threshold),
    ]
    result = frames[0]
    for frame in frames[1:]:
        result = result.unionByName(frame)
    return result


def _ranking(scores: DataFrame, groups: list[str]) -> DataFrame:
    """``auc`` and ``average_precision`` by model and group; NULL where they are not defined.

    AUC by counting, for each answered exposure, the unanswered ones with a lower score (Mann
    and Whitney). Average precision is Σ (R_n - R_(n-1)) P_n over distinct scores.
    """
    keys = ["model", *groups]
    label = F.col("label")
    by_score = scores.groupBy(*keys, "score").agg(
        F.sum(label).alias("pos"), F.sum(1 - label).alias("neg")
    )
    upward = Window.partitionBy(*keys).orderBy("score")
    downward = Window.partitionBy(*keys).orderBy(F.desc("score"))
    below = upward.rowsBetween(Window.unboundedPreceding, -1)
    above = downward.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    counted = by_score.withColumns(
        {
            "_neg_below": F.coalesce(F.sum("neg").over(below), F.lit(0)),
            "_pos_above": F.sum("pos").over(above),
            "_all_above": F.sum(F.col("pos") + F.col("neg")).over(above),
        }
    )
    wins = F.sum(F.col("pos") * (F.col("_neg_below") + F.col("neg") / 2))
    precision = F.sum(F.col("pos") * F.col("_pos_above") / F.col("_all_above"))
    return (
        counted.groupBy(*keys)
        .agg(
            F.sum("pos").alias("positives"),
            F.sum("neg").alias("negatives"),
            wins.alias("_wins"),
            precision.alias("_precision"),
        )
        .select(
            *keys,
            (F.col("positives") + F.col("negatives")).alias("rows"),
            "positives",
            F.try_divide("_wins", F.col("positives") * F.col("negatives")).alias("auc"),
            F.try_divide("_precision", "positives").alias("average_precision"),
        )
    )


def _averaged(by_group: DataFrame, metric: str, min_positives: int) -> DataFrame:
    """The mean AUC over the groups that have both outcomes and enough positives."""
    usable = by_group.where(F.col("auc").isNotNull() & (F.col("positives") >= F.lit(min_positives)))
    return usable.groupBy("model").agg(
        F.lit(metric).alias("metric"),
        F.avg("auc").alias("value"),
        F.sum("rows").alias("rows"),
        F.sum("positives").alias("positives"),
        F.count("*").alias("groups"),
    )


def _named(frame: DataFrame, metric: str, value: Column) -> DataFrame:
    return frame.select(
        "model",
        F.lit(metric).alias("metric"),
        value.cast("double").alias("value"),
        "rows",
        "positives",
        F.lit(None).cast("bigint").alias("groups"),
    )


def _probabilistic(scores: DataFrame, threshold: float) -> DataFrame:
    """``log_loss``, and ``accuracy``, ``precision``, ``recall`` at a threshold."""
    label, score = F.col("label"), F.col("score")
    # As elsewhere, a certain and wrong probability costs much but not infinity.
    p = F.greatest(F.lit(1e-15), F.least(F.lit(1 - 1e-15), score))
    loss = -(label * F.log(p) + (1 - label) * F.log1p(-p))
    positive = (score >= threshold).cast("int")
    counts = (
        scores.where(F.col("model").isin(*PROBABILITIES))
        .groupBy("model")
        .agg(
            F.count("*").alias("rows"),
            F.sum(label).alias("positives"),
            F.avg(loss).alias("log_loss"),
            F.avg((positive == label).cast("double")).alias("accuracy"),
            F.sum(positive * label).alias("_hits"),
            F.sum(positive).alias("_predicted"),
        )
        .withColumns(
            {
                "precision": F.try_divide("_hits", "_predicted"),
                "recall": F.try_divide("_hits", "positives"),
            }
        )
    )
    frames = [
        _named(counts, name, F.col(name))
        for name in ("log_loss", "accuracy", "precision", "recall")
    ]
    result = frames[0]
    for frame in frames[1:]:
        result = result.unionByName(frame)
    return result
