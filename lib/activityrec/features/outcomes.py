"""Exposures and what came of them."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec.config import ResponseConfig
from activityrec.days import first_day_from
from activityrec.errors import ContractError


def outcomes(
    exposures: DataFrame, activities: DataFrame, events: DataFrame, response: ResponseConfig
) -> DataFrame:
    """Each exposure with the end of its response window and its first response.

    A response is an event of one of ``response.event_types`` on the same activity by the same
    user in ``[exposure_ts, closes_ts)``. Repeated exposures of one activity share it.

    Returns
    -------
    DataFrame
        user_id, activity_id, activity_type, exposure_ts, ``closes_ts`` (first instant after the
        response window), ``response_ts`` (NULL: no response among ``events``), and ``weight``
        where ``exposures`` have one.

    Raises
    ------
    ContractError
        An exposed activity has no end and the configuration no ``window_days``: the window of
        its exposures would never close.
    """
    if response.window_days is None:
        endless = exposures.join(
            F.broadcast(activities.where("end_ts IS NULL")), on="activity_id", how="left_semi"
        )
        if not endless.isEmpty():
            raise ContractError(
                "table exposures has activities without end_ts: set response.window_days"
            )
    days = F.lit(response.window_days).cast("int")
    closes = F.least("end_ts", F.col("exposure_ts") + F.make_dt_interval(days))
    kinds = activities.select("activity_id", "activity_type", "end_ts")
    weight = ["weight"] if "weight" in exposures.columns else []
    key = ["user_id", "activity_id", "activity_type", "exposure_ts", "closes_ts", *weight]
    windows = (
        exposures.join(F.broadcast(kinds), on="activity_id", how="inner")
        .withColumn("closes_ts", closes)
        .select(*key)
    )
    responses = responses_of(events, response).withColumnRenamed("event_ts", "response_ts")
    inside = (F.col("response_ts") >= F.col("exposure_ts")) & (
        F.col("response_ts") < F.col("closes_ts")
    )
    return (
        windows.distinct()
        .join(responses, on=["user_id", "activity_id"], how="left")
        .groupBy(*key)
        .agg(F.min(F.when(inside, F.col("response_ts"))).alias("response_ts"))
    )


def responses_of(events: DataFrame, response: ResponseConfig) -> DataFrame:
    """(user_id, activity_id, event_ts) of the events that count as responses."""
    return events.where(
        F.col("event_type").isin(response.event_types) & F.col("activity_id").isNotNull()
    ).select("user_id", "activity_id", "event_ts")


def closed_by(snapshots: DataFrame, outcomes: DataFrame, *keys: str) -> DataFrame:
    """How many exposures had closed by each snapshot, and how many of these were answered.

    Returns
    -------
    DataFrame
        snapshot_date, ``keys`` (columns of ``outcomes``), exposures, answered (both BIGINT); no
        row where nothing had closed. Exposures are folded by day before they meet snapshots.
    """
    answered = F.count_if(F.col("response_ts").isNotNull())
    by_day = outcomes.groupBy(first_day_from("closes_ts").alias("_day"), *keys).agg(
        F.count("*").alias("exposures"), answered.alias("answered")
    )
    known = by_day.join(F.broadcast(snapshots), on=F.col("_day") <= F.col("snapshot_date"))
    return known.groupBy("snapshot_date", *keys).agg(
        F.sum("exposures").alias("exposures"), F.sum("answered").alias("answered")
    )
