"""What a decision could have chosen from, what policies choose, and the context of a decision."""

from datetime import datetime

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.testing import assertDataFrameEqual

from activityrec.errors import ConfigError
from activityrec.evaluation.decisions import closed, sampled_users, with_available, with_context
from activityrec.evaluation.policies import popular_choice, recommended_choice

MORNING, NOON, EVENING = (datetime(2024, 5, 1, hour) for hour in (9, 12, 18))
NEXT = datetime(2024, 5, 2, 9)


@pytest.fixture(scope="module")
def log(spark: SparkSession) -> DataFrame:
    rows = [
        ("u", "gone", MORNING, 0, 1),
        ("v", "gone", MORNING, 0, 1),
        ("u", "long", NOON, 1, 1),
        ("v", "long", EVENING, 0, 1),
        ("w", "new", EVENING, 0, 1),
        ("w", "second", EVENING, 0, 2),
        ("v", "second", EVENING, 0, 2),
        ("u", "alone", NEXT, 0, None),
    ]
    columns = "user_id STRING, activity_id STRING, exposure_ts TIMESTAMP, label INT, position INT"
    spans = [
        ("gone", MORNING, NOON),
        ("long", MORNING, None),
        ("new", EVENING, None),
        ("second", MORNING, None),
        ("alone", MORNING, None),
    ]
    exposures = spark.createDataFrame(rows, columns).selectExpr("*", "DOUBLE(NULL) AS propensity")
    activities = spark.createDataFrame(
        spans, "activity_id STRING, start_ts TIMESTAMP, end_ts TIMESTAMP"
    )
    popular = spark.createDataFrame([("long", 3), ("new", 5)], "activity_id STRING, answers LONG")
    return with_available(exposures, activities, popular, 0).persist()


def test_available_is_what_others_were_shown_and_is_live(
    spark: SparkSession, log: DataFrame
) -> None:
    expected = [
        ("u", "gone", 1, ["long", "gone"]),
        ("v", "gone", 1, ["long", "gone"]),
        # At noon it is gone.
        ("u", "long", 1, ["long"]),
        ("v", "long", 1, ["new", "long"]),
        # Nobody else was shown the new one.
        ("w", "new", 1, ["long"]),
        ("w", "second", 2, ["second"]),
        ("v", "second", 2, ["second"]),
        ("u", "alone", 1, []),
    ]
    columns = "user_id STRING, activity_id STRING, position INT, available ARRAY<STRING>"
    found = log.select("user_id", "activity_id", "position", "available")
    assertDataFrameEqual(found, spark.createDataFrame(expected, columns))


def _chosen(log: DataFrame) -> dict[tuple[str, str], str | None]:
    return {(row["user_id"], row["activity_id"]): row["chosen"] for row in log.collect()}


def test_choices(spark: SparkSession, log: DataFrame) -> None:
    """u has a list, that of v has nothing that the log shows, w has none."""
    entries = [("u", "new", 1), ("u", "gone", 2), ("u", "long", 3), ("v", "other", 1)]
    lists = spark.createDataFrame(entries, "user_id STRING, activity_id STRING, rank INT")
    popular = {
        ("u", "gone"): "long",
        ("v", "gone"): "long",
        ("u", "long"): "long",
        ("v", "long"): "new",
        ("w", "new"): "long",
        # At the second position is the second of what is available there.
        ("w", "second"): None,
        ("v", "second"): None,
        ("u", "alone"): None,
    }
    assert _chosen(popular_choice(log)) == popular
    own = {("u", "gone"): "gone", ("v", "gone"): None, ("v", "long"): None}
    assert _chosen(recommended_choice(log, lists)) == popular | own


def test_context(spark: SparkSession, log: DataFrame) -> None:
    """Numbers become parts; what is not known is a category."""
    users = spark.createDataFrame(
        [("u", "x", 5), ("v", None, 9)], "user_id STRING, s STRING, n INT"
    )
    found = with_context(log.dropDuplicates(["user_id"]), users, {"s": "upper(s)", "n": "n"})
    rows = {row["user_id"]: (row["context_s"], row["context_n"]) for row in found.collect()}
    assert rows == {"u": ("X", "0"), "v": ("unknown", "1"), "w": ("unknown", "unknown")}
    with pytest.raises(ConfigError, match="off_policy.context.*nothing"):
        with_context(log, users, {"s": "nothing"})


def test_the_log_ends_where_the_first_window_is_open(spark: SparkSession) -> None:
    rows = [("a", MORNING, False), ("b", NOON, True), ("c", EVENING, False)]
    scored = spark.createDataFrame(rows, "user_id STRING, exposure_ts TIMESTAMP, censored BOOLEAN")
    assert [row["user_id"] for row in closed(scored).collect()] == ["a"]
    assert closed(scored.where("NOT censored")).count() == 2


def test_some_users_with_all_their_rows(spark: SparkSession) -> None:
    rows = spark.range(4_000).selectExpr("STRING(id % 1000) AS user_id")
    counts = sampled_users(rows, 100, 17).groupBy("user_id").count().collect()
    assert {row["count"] for row in counts} == {4}
    assert 70 < len(counts) < 130
    assert sampled_users(rows, 2_000, 17).count() == 4_000
