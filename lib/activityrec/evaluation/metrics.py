"""Metrics of scored exposures: pooled, within activities, within users.

Input is long: one row for each exposure and model, with ``model``, ``score``, ``label``,
user_id, activity_id and ``weight``, for how many it stands (1 where there is no such column).
"""

from functools import reduce

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from activityrec.evaluation.draws import Bootstrap, Ratio, ranking_draws, ratio_draws, summarised
from activityrec.ranking.pipeline import weighted

PROBABILITIES = ("ranker", "popularity", "past_rate")
"""The models whose score is a probability."""

MODELS = ("ranker", "popularity", "past_rate", "affinity")


def long_scores(scored: DataFrame) -> DataFrame:
    """One row for each exposure and model, the retrievers in ``scores`` among them; models without
    a score are left out."""
    key = ["user_id", "activity_id", "exposure_ts", "label", "weight", "censored"]
    models = [entry for m in MODELS for entry in (F.lit(m), F.col(m).cast("double"))]
    everything = F.map_concat(F.create_map(*models), "scores")
    return scored.select(*key, F.explode(everything).alias("model", "score")).where(
        "score IS NOT NULL"
    )


BINS = 10
"""Equal parts of [0, 1] in which probabilities are compared with what happened."""


def exposure_metrics(
    scores: DataFrame, threshold: float, min_answers: int, bootstrap: Bootstrap
) -> DataFrame:
    """The metrics of :func:`exposure_draws` with intervals and counts.

    Returns
    -------
    DataFrame
        model, metric, value, low, high; ``rows`` and ``positives`` that it was computed from, and
        ``groups``, how many activities or users were averaged over (NULL: pooled).
    """
    draws = exposure_draws(scores, threshold, min_answers, bootstrap)
    return with_counts(summarised(draws, ["model", "metric"]), scores, min_answers)


def exposure_draws(
    scores: DataFrame, threshold: float, min_answers: int, bootstrap: Bootstrap
) -> DataFrame:
    """Both questions and the pooled metrics, for every model and replicate.

    ``auc_within_activity`` (which users for this activity) averages over the activities with
    at least ``min_answers`` answered exposures, ``auc_within_user`` (which activities for this
    user) over the users with both outcomes. AUC counts ties as half. Models whose score is a
    probability also have ``log_loss``, ``brier``, ``calibration_error`` (expected, over ten equal
    bins; Naeini et al. 2015), and ``accuracy``, ``precision``, ``recall``, ``f1`` at a threshold.
    """
    scores = weighted(scores)
    by_user = _auc(scores, "user_id").where("auc IS NOT NULL")
    pooled = ranking_draws(scores, [], bootstrap).drop("positives")
    frames = [
        pooled,
        _within_activity(scores, min_answers, bootstrap),
        ratio_draws(by_user, {"auc_within_user": (F.col("auc"), F.lit(1.0))}, bootstrap),
        _probabilistic(scores, threshold, bootstrap),
    ]
    return reduce(DataFrame.unionByName, frames)


def with_counts(metrics: DataFrame, scores: DataFrame, min_answers: int) -> DataFrame:
    """Add ``rows``, ``positives`` and ``groups`` to summarised metrics of exposures."""
    scores = weighted(scores)
    counted = [F.sum("rows").alias("rows"), F.sum("positives").alias("positives")]

    def within(key: str, least: int) -> DataFrame:
        groups = _auc(scores, key).where(F.col("auc").isNotNull() & (F.col("positives") >= least))
        named = groups.groupBy("model").agg(*counted, F.count("*").alias("groups"))
        return named.withColumn("_of", F.lit(key))

    pooled = scores.groupBy("model").agg(
        F.count("*").alias("rows"),
        F.sum("label").alias("positives"),
        F.lit(None).cast("bigint").alias("groups"),
        F.lit("").alias("_of"),
    )
    every = pooled.unionByName(within("activity_id", min_answers)).unionByName(within("user_id", 1))
    of = (
        F.when(F.col("metric") == "auc_within_activity", F.lit("activity_id"))
        .when(F.col("metric") == "auc_within_user", F.lit("user_id"))
        .otherwise("")
    )
    joined = metrics.withColumn("_of", of).join(
        F.broadcast(every), on=["model", "_of"], how="inner"
    )
    return joined.drop("_of")


def _within_activity(scores: DataFrame, min_answers: int, bootstrap: Bootstrap) -> DataFrame:
    draws = ranking_draws(scores, ["activity_id"], bootstrap)
    usable = draws.where((F.col("metric") == "auc") & (F.col("positives") >= min_answers))
    named = usable.groupBy("model", "draw").agg(F.avg("value").alias("value"))
    return named.where("value IS NOT NULL").withColumn("metric", F.lit("auc_within_activity"))


def _probabilistic(scores: DataFrame, threshold: float, bootstrap: Bootstrap) -> DataFrame:
    label, score, weight = F.col("label"), F.col("score"), F.col("weight")
    # As elsewhere, a certain and wrong probability costs much but not infinity.
    p = F.greatest(F.lit(1e-15), F.least(F.lit(1 - 1e-15), score))
    loss = -(label * F.log(p) + (1 - label) * F.log1p(-p))
    predicted = (score >= threshold).cast("int")
    hit = predicted * label
    place = F.least(F.floor(score * BINS), F.lit(BINS - 1))
    ratios: dict[str, Ratio] = {
        "log_loss": (weight * loss, weight),
        "brier": (weight * (score - label) ** 2, weight),
        "accuracy": (weight * (predicted == label).cast("int"), weight),
        "precision": (weight * hit, weight * predicted),
        "recall": (weight * hit, weight * label),
        "f1": (weight * 2 * hit, weight * (predicted + label)),
    }
    bins = {
        f"bin {number}": (F.when(place == number, weight * (score - label)).otherwise(0.0), weight)
        for number in range(BINS)
    }
    rows = scores.where(F.col("model").isin(*PROBABILITIES))
    draws = ratio_draws(rows, ratios | bins, bootstrap)
    is_bin = F.col("metric").startswith("bin ")
    error = draws.where(is_bin).groupBy("model", "draw").agg(F.sum(F.abs("value")).alias("value"))
    named = error.withColumn("metric", F.lit("calibration_error"))
    return draws.where(~is_bin).unionByName(named)


def _auc(scores: DataFrame, group: str) -> DataFrame:
    """model, group, ``rows``, ``positives`` and ``auc``, NULL where there are not both outcomes.

    By counting, for each answered exposure, the unanswered ones with a lower score (Mann and
    Whitney); each counts by its weight.
    """
    keys = ["model", group]
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
