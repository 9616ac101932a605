"""Examples: exposures with everything that was known when they were sent."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def examples(
    outcomes: DataFrame,
    users: DataFrame,
    activities: DataFrame,
    pairs: DataFrame,
    scores: DataFrame,
) -> DataFrame:
    """Join exposures with the snapshot of their day and what the retrievers said on it.

    Parameters
    ----------
    outcomes
        The exposures, as :func:`activityrec.features.outcomes.outcomes` gives them.
    users, activities, pairs
        ``user_features``, ``activity_features`` and ``user_activity_features`` at the
        snapshots of these exposures.
    scores
        As :func:`activityrec.retrieval.pairs.pair_scores` gives them.

    Returns
    -------
    DataFrame
        user_id, activity_id, exposure_ts, closes_ts, ``label`` (1: answered inside the window,
        as far as ``outcomes`` know), ``weight`` (1 for exposures), snapshot_date, all features,
        scores and ranks.
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
    return (
        exposed.join(users, on=["snapshot_date", "user_id"], how="inner")
        .join(F.broadcast(activities), on=["snapshot_date", "activity_id"], how="inner")
        .join(pairs, on=["snapshot_date", "user_id", "activity_id"], how="inner")
        .join(scores, on=["snapshot_date", "user_id", "activity_id"], how="inner")
    )
