"""Groups of fewer than k are left out of what analysts see."""

from pyspark.sql import SparkSession

from activityrec.serving.anonymity import large_counts, large_groups


def test_figures_of_too_few_are_left_out(spark: SparkSession) -> None:
    rows = spark.createDataFrame(
        [("large", 9, 5, 5), ("few rows", 4, 4, None), ("few answers", 9, 4, None),
         ("no answers", 9, 0, None), ("few groups", 9, 5, 1)],
        "name STRING, rows BIGINT, positives BIGINT, groups BIGINT",
    )  # fmt: skip
    counts = ["rows", "positives", "groups"]
    kept = [row["name"] for row in large_counts(rows, counts, 5).collect()]
    assert kept == ["large", "no answers"]
    assert large_counts(rows, counts, 1).count() == 5


def test_small_audiences_are_left_out(spark: SparkSession) -> None:
    rows = spark.createDataFrame(
        [("a1", "u1"), ("a1", "u2"), ("a2", "u1")], "activity_id STRING, user_id STRING"
    )
    kept = large_groups(rows, "activity_id", 2).collect()
    assert sorted(tuple(row) for row in kept) == [("a1", "u1"), ("a1", "u2")]
    assert large_groups(rows, "activity_id", 1).count() == 3
