"""Metrics of scored exposures: pooled, within activities, within users.

Input is long: one row for each exposure and model, with ``model``, ``score``, ``label``,
user_id, activity_id and ``weight``, for how many it stands (1 where there is no such column).
"""

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec.evaluation.draws import (
    Bootstrap,
    Ratio,
    averaged,
    ratio_draws,
    summarised,
)
from activityrec.evaluation.group_auc import DAYS, auc_of, dated, live_auc
from activityrec.evaluation.ranking_metrics import ranged_ranking_draws, ranking_draws
from activityrec.ranking.pipeline import weighted

PROBABILITIES = ("ranker", "champion", "popularity", "past_rate")
"""The models whose score is a probability."""

MODELS = (*PROBABILITIES, "affinity")


def long_scores(scored: DataFrame) -> DataFrame:
    """One row for each exposure and model, the retrievers in ``scores`` among them; models without
    a score are left out."""
    key = [name for name in scored.columns if name not in {*MODELS, "scores"}]
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
    return with_counts(summarised(draws), scores, min_answers)


def exposure_draws(
    scores: DataFrame,
    threshold: float,
    min_answers: int,
    bootstrap: Bootstrap,
    large: bool = False,
) -> DataFrame:
    """Both questions and the pooled metrics, for every model and replicate.

    ``auc_within_activity`` (which users for this activity) averages over the activities with
    at least ``min_answers`` answered exposures, ``auc_within_user`` (which activities for this
    user) over the users with both outcomes. AUC counts ties as half. ``..._weighted`` weighs
    activities and users by their exposures (Zhu et al. 2017 call this GAUC). As production would
    compare them: ``auc_within_activity_day`` looks at users who were sent an activity on one day
    (where there is ``exposure_ts``), ``auc_within_user_live`` at pairs of a user's activities that
    were live at one instant (where there are ``start_ts`` and ``end_ts``).

    Models whose score is a probability also have ``log_loss``, ``brier``, ``calibration_error``
    (expected, over ten equal bins; Naeini et al. 2015), ``calibration_ratio`` (mean probability to
    answered share), and ``accuracy``, ``precision``, ``recall``, ``f1`` at a threshold.

    The rows of a model go to one task, which sorts them; where they are too many for it
    (``large``), ranges of its scores go to many.
    """
    scores = weighted(scores)
    ranked = pooled_draws(scores, bootstrap, ["model"], large)
    frames = [
        ranked,
        _within_activity(scores, ["activity_id"], "auc_within_activity", min_answers, bootstrap),
        _within_user(scores, bootstrap),
        _probabilistic(scores, threshold, bootstrap),
    ]
    if "exposure_ts" in scores.columns:
        name = "auc_within_activity_day"
        frames.append(_within_activity(dated(scores), DAYS, name, min_answers, bootstrap))
    if "start_ts" in scores.columns:
        live = {"auc_within_user_live": (F.col("auc"), F.lit(1.0))}
        frames.append(ratio_draws(live_auc(scores), live, bootstrap))
    return reduce(DataFrame.unionByName, frames)


def with_counts(metrics: DataFrame, scores: DataFrame, min_answers: int) -> DataFrame:
    """Add ``rows``, ``positives`` and ``groups`` to summarised metrics of exposures."""
    scores = weighted(scores)
    counted = [F.sum("rows").alias("rows"), F.sum("positives").alias("positives")]

    def within(name: str, groups: DataFrame) -> DataFrame:
        usable = groups.where("auc IS NOT NULL").groupBy("model")
        return usable.agg(*counted, F.count("*").alias("groups")).withColumn("_of", F.lit(name))

    enough = F.col("positives") >= min_answers
    every = [
        scores.groupBy("model").agg(
            F.count("*").alias("rows"),
            F.sum("label").alias("positives"),
            F.lit(None).cast("bigint").alias("groups"),
            F.lit("").alias("_of"),
        ),
        within("auc_within_activity", auc_of(scores, ["activity_id"]).where(enough)),
        within("auc_within_user", auc_of(scores, ["user_id"])),
    ]
    if "exposure_ts" in scores.columns:
        every.append(within("auc_within_activity_day", auc_of(dated(scores), DAYS).where(enough)))
    if "start_ts" in scores.columns:
        every.append(within("auc_within_user_live", live_auc(scores)))
    of = F.regexp_replace("metric", "_weighted$", "")
    pooled = F.when(of.startswith("auc_within"), of).otherwise("")
    counts = F.broadcast(reduce(DataFrame.unionByName, every))
    joined = metrics.withColumn("_of", pooled).join(counts, on=["model", "_of"], how="inner")
    return joined.drop("_of")


def pooled_draws(
    scores: DataFrame, bootstrap: Bootstrap, keys: Sequence[str], large: bool
) -> DataFrame:
    """``auc`` and ``average_precision`` of each group, by one task for it or by many."""
    if large:
        return ranged_ranking_draws(scores, bootstrap, keys)
    return ranking_draws(scores, bootstrap, keys).drop("drawn", "positives")


def _within_activity(
    scores: DataFrame, groups: list[str], name: str, min_answers: int, bootstrap: Bootstrap
) -> DataFrame:
    draws = ranking_draws(scores, bootstrap, ["model", *groups])
    usable = draws.where((F.col("metric") == "auc") & (F.col("positives") >= min_answers))
    same = F.transform("drawn", lambda _: F.lit(1.0))
    sides = F.array(
        F.struct(F.lit(name).alias("metric"), same.alias("weight")),
        F.struct(F.lit(f"{name}_weighted").alias("metric"), F.col("drawn").alias("weight")),
    )
    rows = usable.select("model", "draws", F.inline(sides))
    return averaged(rows, ["model"], "weight").where("draws[0] IS NOT NULL")


def _within_user(scores: DataFrame, bootstrap: Bootstrap) -> DataFrame:
    by_user = auc_of(scores, ["user_id"]).where("auc IS NOT NULL")
    auc, rows = F.col("auc"), F.col("rows")
    ratios: dict[str, Ratio] = {
        "auc_within_user": (auc, F.lit(1.0)),
        "auc_within_user_weighted": (auc * rows, rows),
    }
    return ratio_draws(by_user, ratios, bootstrap)


def _probabilistic(scores: DataFrame, threshold: float, bootstrap: Bootstrap) -> DataFrame:
    rows = scores.where(F.col("model").isin(*PROBABILITIES))
    label, score, weight = F.col("label"), F.col("score"), F.col("weight")
    predicted = (score >= threshold).cast("int")
    hit = predicted * label
    place = F.least(F.floor(score * BINS), F.lit(BINS - 1))
    ratios: dict[str, Ratio] = {
        **proper_ratios(),
        "accuracy": (weight * (predicted == label).cast("int"), weight),
        "precision": (weight * hit, weight * predicted),
        "recall": (weight * hit, weight * label),
        "f1": (weight * 2 * hit, weight * (predicted + label)),
    }
    bins = {
        f"bin {number}": (F.when(place == number, weight * (score - label)).otherwise(0.0), weight)
        for number in range(BINS)
    }
    draws = ratio_draws(rows, ratios | bins, bootstrap)
    is_bin = F.col("metric").startswith("bin ")
    parts = draws.withColumns(
        {
            "metric": F.when(is_bin, F.lit("calibration_error")).otherwise(F.col("metric")),
            # Their mean is their sum over the bins.
            "draws": F.when(is_bin, F.transform("draws", lambda gap: BINS * F.abs(gap))).otherwise(
                F.col("draws")
            ),
        }
    )
    return averaged(parts, ["model"])


def proper_ratios() -> dict[str, Ratio]:
    """How good probabilities are, as sums over sums: ``log_loss``, ``brier`` and
    ``calibration_ratio``."""
    label, score, weight = F.col("label"), F.col("score"), F.col("weight")
    # As elsewhere, a certain and wrong probability costs much but not infinity.
    p = F.greatest(F.lit(1e-15), F.least(F.lit(1 - 1e-15), score))
    loss = -(label * F.log(p) + (1 - label) * F.log1p(-p))
    return {
        "log_loss": (weight * loss, weight),
        "brier": (weight * (score - label) ** 2, weight),
        "calibration_ratio": (weight * score, weight * label),
    }
