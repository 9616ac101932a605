"""``features.user_features``: users at a snapshot."""

from datetime import date

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from activityrec.config import Config, FeaturesConfig
from activityrec.features.attributes import (
    UNKNOWN,
    age_band,
    attribute_values,
    declared_columns,
    with_labels,
)
from activityrec.features.history import days_before
from activityrec.features.outcomes import closed_by

KEY = ["snapshot_date", "user_id"]


def user_features(
    population: DataFrame,
    daily: DataFrame,
    outcomes: DataFrame,
    users: DataFrame,
    config: Config,
    log_start: date,
) -> DataFrame:
    """Activity, recency, frequency, response history and profile of users at snapshots.

    Parameters
    ----------
    population
        (snapshot_date, user_id): the rows wanted.
    daily
        ``features.user_daily``; days from a snapshot on do not touch its rows.
    outcomes
        As :func:`activityrec.features.outcomes.outcomes` gives them, likewise.
    users
        ``clean.users``. A profile has no dates: it is taken as it is now for every snapshot,
        and so are the frequent values and the quantiles that attributes are labelled by.
    log_start
        The first day of the log; ``observed_days`` counts from it.

    Returns
    -------
    DataFrame
        ``features.user_features``, one row for each of ``population``.
    """
    features = config.features
    observed = F.datediff(F.col("snapshot_date"), F.lit(log_start))
    profile = _profile(users, config)
    rows = (
        population.withColumn("observed_days", observed)
        .join(_activity(population, daily, features), on=KEY, how="left")
        .join(response_history(population, outcomes, features.user_rate_prior), on=KEY, how="left")
        .join(profile, on="user_id", how="left")
    )
    for kind in features.event_types:
        share = F.col(f"{kind}_days_all") / F.greatest("observed_days", F.lit(1))
        rows = rows.withColumn(f"{kind}_frequency", share)
    return rows.fillna(UNKNOWN, subset=profile.columns[1:]).fillna(
        0, subset=[name for name in rows.columns if not _may_be_null(name)]
    )


def _activity(population: DataFrame, daily: DataFrame, config: FeaturesConfig) -> DataFrame:
    """Events, money, days and products by type and window, and days since the last event."""
    users = population.select("user_id").distinct()
    # What a user did comes into one partition, and stays there until it is one row.
    mine = daily.repartition("user_id").join(users, on="user_id", how="left_semi")
    past = (
        population.join(_marked(mine), on="user_id", how="inner")
        .where(F.col("event_date") < F.col("snapshot_date"))
        .withColumn("_ago", days_before("snapshot_date", "event_date"))
        # A product counts where its last day before the snapshot is inside of the window.
        .withColumn(
            "_last",
            F.col("product_id").isNotNull()
            & (F.col("_next").isNull() | (F.col("_next") >= F.col("snapshot_date"))),
        )
    )
    measures = [F.min("_ago").alias("recency_days")]
    for suffix, recent in _windows(config):
        measures += [
            _sum(recent, F.col("events")).alias(f"count_{suffix}"),
            _sum(recent, F.col("amount")).alias(f"amount_{suffix}"),
            _sum(recent & F.col("_of_day"), F.lit(1)).alias(f"days_{suffix}"),
            _sum(recent & F.col("_last"), F.lit(1)).alias(f"products_{suffix}"),
        ]
    by_type = past.groupBy(*KEY, "event_type").agg(*measures)
    names = [name for name in by_type.columns if name not in (*KEY, "event_type")]
    return by_type.groupBy(*KEY).agg(
        *[
            F.max(F.when(F.col("event_type") == kind, F.col(name))).alias(f"{kind}_{name}")
            for kind in config.event_types
            for name in names
        ]
    )


def _marked(daily: DataFrame) -> DataFrame:
    """Days with ``_of_day``, whether the row is the one that stands for its type's day, and
    ``_next``, the day on which the user meets the product so again; NULL: never.

    By these snapshots count days and products without folding their rows first.
    """
    of_day = Window.partitionBy("user_id", "event_type", "event_date").orderBy("product_id")
    again = Window.partitionBy("user_id", "event_type", "product_id")
    return daily.select(
        "user_id",
        "event_type",
        "event_date",
        "product_id",
        "events",
        "amount",
        (F.row_number().over(of_day) == 1).alias("_of_day"),
        # By activity too: money is added up in the same order in every run.
        F.lead("event_date").over(again.orderBy("event_date", "activity_id")).alias("_next"),
    )


def response_history(population: DataFrame, outcomes: DataFrame, prior: float) -> DataFrame:
    """Exposures shown, answered and the smoothed response rate, for each of ``population``.

    The rate counts exposures whose window had closed by the snapshot: an open one is not yet a
    failure. It is (answered + prior × p) / (closed + prior), p the rate of all users at that
    snapshot (the posterior mean under a beta prior of that weight); NULL while nothing has
    closed for anyone.
    """
    known = outcomes.select("user_id", "exposure_ts", "closes_ts", "response_ts")
    closed = closed_by(population.select("snapshot_date").distinct(), outcomes)
    base = closed.select("snapshot_date", (F.col("answered") / F.col("exposures")).alias("_base"))
    own = (
        population.join(known, on="user_id", how="inner")
        .where(F.col("exposure_ts") < F.col("snapshot_date"))
        .withColumn("_answered", F.col("response_ts") < F.col("snapshot_date"))
        .withColumn("_closed", F.col("closes_ts") <= F.col("snapshot_date"))
        .groupBy(*KEY)
        .agg(
            F.count("*").alias("shown"),
            _sum(F.col("_answered"), F.lit(1)).alias("answered"),
            _sum(F.col("_closed"), F.lit(1)).alias("_shown_closed"),
            _sum(F.col("_answered") & F.col("_closed"), F.lit(1)).alias("_answered_closed"),
        )
    )
    counted = (
        population.join(own, on=KEY, how="left")
        .fillna(0)
        .join(F.broadcast(base), on="snapshot_date", how="left")
    )
    rate = (F.col("_answered_closed") + prior * F.col("_base")) / (F.col("_shown_closed") + prior)
    return counted.select(*KEY, "shown", "answered", rate.alias("response_rate"))


def _profile(users: DataFrame, config: Config) -> DataFrame:
    profile = users.select(
        "user_id",
        age_band(F.col("age"), config.features.age_bands).alias("age_band"),
        "gender",
        *attribute_values(config.attributes, "users"),
    )
    return with_labels(profile, declared_columns(config.attributes, "users"))


def _may_be_null(name: str) -> bool:
    return name == "response_rate" or name.endswith("_recency_days")


def _windows(config: FeaturesConfig) -> list[tuple[str, Column]]:
    """(suffix, condition on days ago) of each window and of all time."""
    recent = [(f"{days}d", F.col("_ago") <= days) for days in config.windows]
    return [*recent, ("all", F.lit(True))]


def _sum(condition: Column, value: Column) -> Column:
    return F.sum(F.when(condition, value).otherwise(0))
