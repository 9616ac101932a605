"""What was known at an instant: the one place where the clean tables are cut at ``as_of``."""

from dataclasses import dataclass
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.ingest.anomalies import not_anomalous
from activityrec.lakehouse import Lakehouse


@dataclass(frozen=True)
class History:
    """The clean tables without anything that happened on ``until`` or later.

    Activities and their products are plans, known before they start: they are not cut. Events
    that ingestion flagged as anomalies are left out.
    """

    until: date
    users: DataFrame
    products: DataFrame
    activities: DataFrame
    activity_products: DataFrame
    events: DataFrame
    exposures: DataFrame


def read_history(lakehouse: Lakehouse, until: date) -> History:
    """Read the clean tables as of the start of the day ``until``, UTC."""
    end = F.lit(until).cast("timestamp")
    return History(
        until=until,
        users=lakehouse.read(tables.USERS),
        products=lakehouse.read(tables.PRODUCTS),
        activities=lakehouse.read(tables.ACTIVITIES),
        activity_products=lakehouse.read(tables.ACTIVITY_PRODUCTS),
        events=lakehouse.read(tables.EVENTS).where(
            (F.col("event_ts") < end) & not_anomalous(F.col("flags"))
        ),
        exposures=lakehouse.read(tables.EXPOSURES).where(F.col("exposure_ts") < end),
    )


def first_day(events: DataFrame) -> date:
    """The day of the first event."""
    row = events.agg(F.to_date(F.min("event_ts"))).first()
    assert row is not None
    return row[0]


def last_day(events: DataFrame) -> date:
    """The day of the last event."""
    row = events.agg(F.to_date(F.max("event_ts"))).first()
    assert row is not None
    return row[0]


def all_users(history: History) -> DataFrame:
    """(user_id) of every user with a profile, an event or an exposure."""
    frames = (history.users, history.events, history.exposures)
    ids = [frame.select("user_id") for frame in frames]
    return ids[0].union(ids[1]).union(ids[2]).distinct()


def between(outcomes: DataFrame, since: date, until: date) -> DataFrame:
    """The exposures on the days of ``[since, until)``."""
    day = F.to_date("exposure_ts")
    return outcomes.where((day >= F.lit(since)) & (day < F.lit(until)))


def population(outcomes: DataFrame) -> DataFrame:
    """(snapshot_date, user_id) of the users exposed on each day.

    The snapshot of an exposure is that of its day: it knows what happened before the day began.
    """
    return outcomes.select(F.to_date("exposure_ts").alias("snapshot_date"), "user_id").distinct()


def with_everyone(exposed: DataFrame, users: DataFrame, as_of: date) -> DataFrame:
    """``exposed`` and, at the snapshot ``as_of``, every user."""
    everyone = users.select(F.lit(as_of).alias("snapshot_date"), "user_id")
    return exposed.where(F.col("snapshot_date") != F.lit(as_of)).unionByName(everyone)


def days_before(snapshot: str, day: str) -> Column:
    """Days from ``day`` to ``snapshot``: 1 is the day before, positive is the past."""
    return F.datediff(F.col(snapshot), F.col(day))


def before(column: str, day: date) -> str:
    """SQL condition for the days before ``day``."""
    return f"{column} < '{day}'"
