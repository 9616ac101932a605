"""Exposures and what came of them: the edges of the response window."""

from datetime import datetime

import pytest
from pyspark.sql import DataFrame, SparkSession

from activityrec.config import ResponseConfig
from activityrec.errors import ContractError
from activityrec.features.outcomes import outcomes

ANSWERS = ResponseConfig(event_types=["answer"])


def at(day: int, hour: int = 0, second: int = 0) -> datetime:
    return datetime(2024, 5, day, hour, 0, second)


@pytest.fixture(scope="module")
def activities(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(
        [("a", "gift", at(1), at(11)), ("endless", "gift", at(1), None)],
        "activity_id STRING, activity_type STRING, start_ts TIMESTAMP, end_ts TIMESTAMP",
    )


def exposures(spark: SparkSession, *rows: tuple[str, str, datetime]) -> DataFrame:
    return spark.createDataFrame(
        list(rows), "user_id STRING, activity_id STRING, exposure_ts TIMESTAMP"
    )


def events(spark: SparkSession, *rows: tuple[str, str, str | None, datetime]) -> DataFrame:
    return spark.createDataFrame(
        list(rows), "user_id STRING, event_type STRING, activity_id STRING, event_ts TIMESTAMP"
    )


def test_a_response_counts_from_the_exposure_until_before_the_end(
    spark: SparkSession, activities: DataFrame
) -> None:
    users = ("at once", "last second", "too late", "before", "looked", "other activity", "none")
    sent = exposures(spark, *[(user, "a", at(2, hour=9)) for user in users])
    happened = events(
        spark,
        ("at once", "answer", "a", at(2, hour=9)),
        ("last second", "answer", "a", datetime(2024, 5, 10, 23, 59, 59)),
        ("too late", "answer", "a", at(11)),
        ("before", "answer", "a", datetime(2024, 5, 2, 8, 59, 59)),
        ("looked", "view", "a", at(3)),
        ("other activity", "answer", "endless", at(3)),
        ("other activity", "answer", None, at(3)),
    )
    rows = outcomes(sent, activities, happened, ANSWERS).collect()
    assert len(rows) == len(users)
    assert {row["closes_ts"] for row in rows} == {at(11)}
    assert {row["user_id"]: row["response_ts"] for row in rows if row["response_ts"]} == {
        "at once": at(2, hour=9),
        "last second": datetime(2024, 5, 10, 23, 59, 59),
    }


def test_the_first_response_counts_for_each_exposure_before_it(
    spark: SparkSession, activities: DataFrame
) -> None:
    sent = exposures(
        spark, ("u", "a", at(2)), ("u", "a", at(4)), ("u", "a", at(6)), ("u", "a", at(2))
    )
    happened = events(spark, ("u", "answer", "a", at(5)), ("u", "answer", "a", at(3)))
    rows = outcomes(sent, activities, happened, ANSWERS).collect()
    assert len(rows) == 3
    assert {row["exposure_ts"]: row["response_ts"] for row in rows} == {
        at(2): at(3),
        at(4): at(5),
        at(6): None,
    }


def test_the_window_closes_after_window_days_or_at_the_end_if_that_is_earlier(
    spark: SparkSession, activities: DataFrame
) -> None:
    sent = exposures(spark, ("u", "a", at(2)), ("u", "a", at(9)), ("u", "endless", at(9)))
    happened = events(spark, ("u", "answer", "a", at(5)), ("u", "answer", "endless", at(11)))
    rows = outcomes(
        sent, activities, happened, ResponseConfig(event_types=["answer"], window_days=3)
    ).collect()
    found = {
        (row["activity_id"], row["exposure_ts"]): (row["closes_ts"], row["response_ts"])
        for row in rows
    }
    assert found == {
        ("a", at(2)): (at(5), None),
        ("a", at(9)): (at(11), None),
        ("endless", at(9)): (at(12), at(11)),
    }


def test_an_exposure_whose_window_would_never_close_is_an_error(
    spark: SparkSession, activities: DataFrame
) -> None:
    sent = exposures(spark, ("u", "endless", at(2)))
    with pytest.raises(ContractError, match=r"without end_ts: set response\.window_days"):
        outcomes(sent, activities, events(spark, ("u", "answer", "a", at(5))), ANSWERS)
