"""Whether a run at an instant makes sense on these data, asked before anything is written."""

from datetime import date, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec.errors import TimeError


def check_as_of(events: DataFrame, activities: DataFrame, as_of: date, planning_days: int) -> None:
    """Check that ``as_of`` lies inside the data and that there is something to recommend.

    Raises
    ------
    TimeError
        There are no events, none before ``as_of``, or none on the day before it or later; or no
        activity is live at it or starts within ``planning_days``.
    """
    day = F.to_date("event_ts")
    span = events.agg(F.min(day).alias("first"), F.max(day).alias("last")).first()
    if span is None or span["first"] is None:
        raise TimeError("table events is empty")
    first, last = span["first"], span["last"]
    if not first < as_of <= last + timedelta(days=1):
        raise TimeError(
            f"as_of {as_of} is outside the data: events run from {first} to {last}, so it can be "
            f"{first + timedelta(days=1)} to {last + timedelta(days=1)}"
        )
    if live_activities(activities, as_of, planning_days).isEmpty():
        later = activities.where(F.col("start_ts") > F.lit(as_of).cast("timestamp"))
        row = later.agg(F.min(F.to_date("start_ts"))).first()
        after = f"the next one starts on {row[0]}" if row and row[0] else "none starts later"
        raise TimeError(
            f"no activity is live at {as_of} or starts within {planning_days} days of it; {after}"
        )


def live_activities(activities: DataFrame, as_of: date, planning_days: int) -> DataFrame:
    """The activities that are live at ``as_of``, or start within ``planning_days`` of it."""
    return activities.where(is_live(F.lit(as_of), planning_days))


def is_live(day: Column, planning_days: int) -> Column:
    """Condition on activities: live at the start of ``day``, or starting within
    ``planning_days`` of it."""
    soon = F.col("start_ts") <= F.date_add(day, planning_days).cast("timestamp")
    return soon & (F.col("end_ts").isNull() | (F.col("end_ts") > day.cast("timestamp")))
