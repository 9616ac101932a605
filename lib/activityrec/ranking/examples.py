"""Examples: exposures with everything that was known when they were sent."""

from collections.abc import Sequence
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec.retrieval.als import als_scores


def examples(
    outcomes: DataFrame,
    users: DataFrame,
    activities: DataFrame,
    pairs: DataFrame,
    fits: Sequence[date],
    user_vectors: DataFrame,
    activity_vectors: DataFrame,
) -> DataFrame:
    """Join exposures with the snapshot of their day and the last ALS fitted by then.

    Parameters
    ----------
    outcomes
        The exposures, as :func:`activityrec.features.outcomes.outcomes` gives them.
    users, activities, pairs
        ``user_features``, ``activity_features`` and ``user_activity_features`` at the
        snapshots of these exposures.
    fits
        The days at which ALS was fitted.
    user_vectors, activity_vectors
        Factors of these fits.

    Returns
    -------
    DataFrame
        user_id, activity_id, exposure_ts, closes_ts, ``label`` (1: answered inside the window,
        as far as ``outcomes`` know), ``weight`` (1 for exposures), snapshot_date, all features,
        ``als_score`` (0 before the first fit).
    """
    weight = F.col("weight") if "weight" in outcomes.columns else F.lit(1.0)
    exposed = outcomes.select(
        "user_id",
        "activity_id",
        "exposure_ts",
        "closes_ts",
        F.col("response_ts").isNotNull().cast("int").alias("label"),
        weight.alias("weight"),
        F.to_date("exposure_ts").alias("snapshot_date"),
    )
    featured = (
        exposed.join(users, on=["snapshot_date", "user_id"], how="inner")
        .join(F.broadcast(activities), on=["snapshot_date", "activity_id"], how="inner")
        .join(pairs, on=["snapshot_date", "user_id", "activity_id"], how="inner")
        .withColumn("fitted_date", last_fit(fits))
    )
    return als_scores(featured, user_vectors, activity_vectors).drop("fitted_date")


def last_fit(fits: Sequence[date]) -> Column:
    """Column: the last of ``fits`` at or before ``snapshot_date``; NULL before the first."""
    known = [F.when(F.lit(day) <= F.col("snapshot_date"), F.lit(day)) for day in sorted(fits)]
    return F.array_max(F.array(*known)) if known else F.lit(None).cast("date")
