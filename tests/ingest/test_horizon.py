"""Whether a run at an instant makes sense on the data."""

from datetime import date

import pytest
from pyspark.sql import DataFrame, SparkSession

from activityrec.errors import TimeError
from activityrec.ingest.horizon import check_as_of, live_activities


@pytest.fixture(scope="module")
def events(spark: SparkSession) -> DataFrame:
    """The first on 1 March, the last on 30 April."""
    instants = ["2024-03-01 23:59:59", "2024-04-30 00:00:00", "2024-04-02 12:00:00"]
    return spark.createDataFrame([(at,) for at in instants], "at STRING").selectExpr(
        "timestamp(at) AS event_ts"
    )


@pytest.fixture(scope="module")
def activities(spark: SparkSession) -> DataFrame:
    rows = [
        ("ended", "2024-03-01", "2024-04-20"),
        ("live", "2024-04-10", "2024-04-21"),
        ("planned", "2024-04-23 00:00:00", "2024-05-01"),
        ("later", "2024-04-23 00:00:01", None),
    ]
    return spark.createDataFrame(rows, "activity_id STRING, start STRING, end STRING").selectExpr(
        "activity_id", "timestamp(start) AS start_ts", "timestamp(end) AS end_ts"
    )


def test_an_activity_counts_from_its_start_until_before_its_end(activities: DataFrame) -> None:
    def names(day: date, planning_days: int) -> set[str]:
        live = live_activities(activities, day, planning_days)
        return {row["activity_id"] for row in live.collect()}

    assert names(date(2024, 4, 20), 0) == {"live"}
    assert names(date(2024, 4, 20), 3) == {"live", "planned"}
    assert names(date(2024, 6, 1), 0) == {"later"}


@pytest.mark.parametrize("day", [date(2024, 3, 2), date(2024, 5, 1)])
def test_the_day_after_the_first_and_the_last_event_are_inside(
    events: DataFrame, activities: DataFrame, day: date
) -> None:
    check_as_of(events, activities, day, planning_days=0)


@pytest.mark.parametrize("day", [date(2024, 3, 1), date(2024, 5, 2)])
def test_outside_the_data_the_error_names_the_days_that_are_inside(
    events: DataFrame, activities: DataFrame, day: date
) -> None:
    with pytest.raises(TimeError) as caught:
        check_as_of(events, activities, day, planning_days=0)
    assert str(caught.value) == (
        f"as_of {day} is outside the data: events run from 2024-03-01 to 2024-04-30, "
        "so it can be 2024-03-02 to 2024-05-01"
    )


def test_with_nothing_to_recommend_the_error_names_the_next_start(
    events: DataFrame, activities: DataFrame
) -> None:
    planned = activities.where("activity_id IN ('ended', 'planned')")
    check_as_of(events, planned, date(2024, 4, 20), planning_days=3)
    with pytest.raises(TimeError) as caught:
        check_as_of(events, planned, date(2024, 4, 20), planning_days=2)
    assert str(caught.value) == (
        "no activity is live at 2024-04-20 or starts within 2 days of it; "
        "the next one starts on 2024-04-23"
    )
    with pytest.raises(TimeError, match="none starts later"):
        check_as_of(events, planned.limit(0), date(2024, 4, 20), planning_days=2)
