"""An example knows the snapshot of its day, and what the retrievers said on it."""

from datetime import datetime

import pytest
from pyspark.sql import Row, SparkSession

from activityrec.ranking.examples import examples


@pytest.fixture(scope="module")
def found(spark: SparkSession) -> dict[datetime, Row]:
    """Exposures of one user to one activity, by their time."""
    times = [
        (datetime(2024, 2, 29), None),
        (datetime(2024, 3, 1), None),
        (datetime(2024, 3, 31, 23, 59), datetime(2024, 4, 2)),
        (datetime(2024, 4, 1), datetime(2024, 4, 1)),
        (datetime(2024, 4, 1, 12), None),
    ]
    days = sorted({exposure.date() for exposure, _ in times})
    outcomes = spark.createDataFrame(
        [("u", "a", "gift", at, datetime(2024, 6, 1), response) for at, response in times],
        "user_id STRING, activity_id STRING, activity_type STRING, exposure_ts TIMESTAMP, "
        "closes_ts TIMESTAMP, response_ts TIMESTAMP",
    )
    users = spark.createDataFrame(
        [(day, "u", day.day) for day in days], "snapshot_date DATE, user_id STRING, shown INT"
    )
    activities = spark.createDataFrame(
        [(day, "a", "gift") for day in days],
        "snapshot_date DATE, activity_id STRING, activity_type STRING",
    )
    pairs = spark.createDataFrame(
        [(day, "u", "a", day.day * 10.0) for day in days],
        "snapshot_date DATE, user_id STRING, activity_id STRING, amount DOUBLE",
    )
    scores = pairs.selectExpr("snapshot_date", "user_id", "activity_id", "amount / 2 AS als_score")
    rows = examples(
        outcomes,
        users,
        activities,
        pairs,
        scores,
    ).collect()
    assert len(rows) == len(times)
    return {row["exposure_ts"]: row for row in rows}


def test_features_are_those_of_the_day_of_the_exposure(found: dict[datetime, Row]) -> None:
    for exposure, row in found.items():
        assert row["snapshot_date"] == exposure.date()
        assert (row["shown"], row["amount"]) == (exposure.day, exposure.day * 10.0)
        assert row["als_score"] == exposure.day * 5.0
        assert row["activity_type"] == "gift"


def test_the_label_says_whether_it_was_answered(found: dict[datetime, Row]) -> None:
    assert [row["label"] for _, row in sorted(found.items())] == [0, 0, 1, 1, 0]
