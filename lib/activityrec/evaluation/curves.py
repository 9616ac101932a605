"""Calibration and gain curves: what was answered in bins of the score."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from activityrec.evaluation.draws import Bootstrap, ratio_draws, summarised
from activityrec.evaluation.metrics import BINS, PROBABILITIES
from activityrec.evaluation.stability import ACCURACY, TENTHS
from activityrec.ranking.pipeline import weighted

KEYS = ("model", "curve", "bin")


def curves(scores: DataFrame, bootstrap: Bootstrap) -> DataFrame:
    """The points of both curves, with the interval of ``rate``.

    ``calibration``: bins of equal width in [0, 1], of the models whose score is a probability.
    ``gain``: tenths of the exposures, the highest scores first, of every model; equal scores are
    in one tenth, so that a model with few distinct scores has few, uneven ones.

    Returns
    -------
    DataFrame
        The columns of ``serving.curves`` but run_id, as_of and population; empty bins are left
        out.
    """
    rows = _binned(weighted(scores))
    weight, answered = F.col("weight"), F.col("weight") * F.col("label")
    rates = summarised(ratio_draws(rows, {"rate": (answered, weight)}, bootstrap, KEYS))
    counted = rows.groupBy(*KEYS).agg(
        (F.sum(weight * F.col("score")) / F.sum("weight")).alias("mean_score"),
        F.sum(weight).alias("_weight"),
        F.sum(answered).alias("_answered"),
        F.count("*").alias("rows"),
        F.sum("label").alias("positives"),
        F.count_distinct("user_id").alias("users"),
    )
    curve = Window.partitionBy("model", "curve")
    so_far = curve.orderBy("bin").rowsBetween(Window.unboundedPreceding, Window.currentRow)
    share = F.try_divide(F.sum("_answered").over(curve), F.sum("_weight").over(curve))
    captured = F.try_divide(F.sum("_answered").over(so_far), F.sum("_answered").over(curve))
    joined = rates.drop("metric").withColumnRenamed("value", "rate").join(counted, on=[*KEYS])
    return joined.select(
        *KEYS,
        "mean_score",
        "rate",
        "low",
        "high",
        F.try_divide("rate", share).alias("lift"),
        # The last bits of a sum may lead above 1.
        F.least(captured, F.lit(1.0)).alias("captured"),
        "rows",
        "positives",
        "users",
    )


def _binned(scores: DataFrame) -> DataFrame:
    """A row for each curve that a score is part of, with ``curve`` and ``bin``."""
    kept = ["model", "user_id", "score", "label", "weight"]
    width = F.least(F.floor(F.col("score") * BINS), F.lit(BINS - 1)) + 1
    calibration = scores.where(F.col("model").isin(*PROBABILITIES)).select(
        *kept, F.lit("calibration").alias("curve"), width.cast("int").alias("bin")
    )
    shares = F.array(*[F.lit(1 - tenth / TENTHS) for tenth in range(1, TENTHS)])
    limits = scores.groupBy("model").agg(
        F.percentile_approx("score", shares, ACCURACY).alias("_limits")
    )
    above = F.size(F.filter("_limits", lambda limit: F.col("score") < limit))
    gain = scores.join(F.broadcast(limits), on="model", how="inner").select(
        *kept, F.lit("gain").alias("curve"), (above + 1).alias("bin")
    )
    return calibration.unionByName(gain)
