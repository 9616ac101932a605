"""What was known at an instant: the cut at ``as_of``, to the second."""

from datetime import date, datetime

from pyspark.sql import SparkSession

from activityrec import tables
from activityrec.features.history import (
    all_users,
    between,
    population,
    read_history,
    with_everyone,
)
from tests.stand_ins import Shelf

DAY = date(2024, 5, 1)
MIDNIGHT = datetime(2024, 5, 1)
SECOND_BEFORE = datetime(2024, 4, 30, 23, 59, 59)


def test_a_history_ends_before_midnight_of_its_day(spark: SparkSession) -> None:
    shelf = Shelf(
        spark,
        {
            tables.USERS: [{"user_id": "profile"}],
            tables.EVENTS: [
                {"event_id": "1", "user_id": "buyer", "event_ts": SECOND_BEFORE},
                {"event_id": "2", "user_id": "future buyer", "event_ts": MIDNIGHT},
            ],
            tables.EXPOSURES: [
                {"user_id": "shown", "activity_id": "a", "exposure_ts": SECOND_BEFORE},
                {"user_id": "future shown", "activity_id": "a", "exposure_ts": MIDNIGHT},
            ],
            # A plan is known before it starts.
            tables.ACTIVITIES: [{"activity_id": "a", "start_ts": datetime(2024, 6, 1)}],
            tables.ACTIVITY_PRODUCTS: [],
            tables.PRODUCTS: [],
        },
    )
    history = read_history(shelf, DAY)  # type: ignore[arg-type]
    assert [row["event_id"] for row in history.events.collect()] == ["1"]
    assert [row["user_id"] for row in history.exposures.collect()] == ["shown"]
    assert history.activities.count() == 1
    users = sorted(row["user_id"] for row in all_users(history).collect())
    assert users == ["buyer", "profile", "shown"]


def test_a_span_of_exposures_is_half_open(spark: SparkSession) -> None:
    outcomes = spark.createDataFrame(
        [
            ("early", SECOND_BEFORE),
            ("first", MIDNIGHT),
            ("last", datetime(2024, 5, 3, 23, 59, 59)),
            ("late", datetime(2024, 5, 4)),
        ],
        "user_id STRING, exposure_ts TIMESTAMP",
    )
    rows = between(outcomes, DAY, date(2024, 5, 4)).collect()
    assert [row["user_id"] for row in rows] == ["first", "last"]


def test_everyone_has_a_row_at_as_of_and_the_exposed_one_on_their_days(
    spark: SparkSession,
) -> None:
    outcomes = spark.createDataFrame(
        [
            ("u", datetime(2024, 4, 20, 9)),
            ("u", datetime(2024, 4, 20, 18)),
            ("v", datetime(2024, 4, 21)),
            ("u", MIDNIGHT),
        ],
        "user_id STRING, exposure_ts TIMESTAMP",
    )
    users = spark.createDataFrame([("u",), ("v",), ("w",)], "user_id STRING")
    rows = with_everyone(population(outcomes), users, DAY).collect()
    assert sorted(tuple(row) for row in rows) == [
        (date(2024, 4, 20), "u"),
        (date(2024, 4, 21), "v"),
        (DAY, "u"),
        (DAY, "v"),
        (DAY, "w"),
    ]
