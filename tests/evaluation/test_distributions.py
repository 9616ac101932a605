"""Numbers of two sides, counted in tenths of the first."""

from pyspark.sql import SparkSession

from activityrec.evaluation.distributions import (
    AFTER,
    BEFORE,
    array_values,
    long_values,
    number_counts,
)

SCHEMA = "label INT, weight DOUBLE, number INT, score DOUBLE"
NAN = float("nan")


def test_values_are_counted_by_the_tenths_before_and_what_is_no_number_is_the_greatest(
    spark: SparkSession,
) -> None:
    # Half of the scores are one value, the last twenty are no numbers.
    halves = [0.5] * 50 + [float(n) for n in range(50, 80)] + [NAN] * 20
    before = [(0, 1.0, n, score) for n, score in enumerate(halves)]
    after = [(0, 1.0, -1, NAN), (1, 1.0, 95, None), (0, 1.0, 200, 0.5), (0, 1.0, None, 79.0)]
    sides = {
        BEFORE: spark.createDataFrame(before, SCHEMA).repartition(3),
        AFTER: spark.createDataFrame(after, SCHEMA).selectExpr("*", "1.0D AS late"),
    }
    keys = [("input", "number"), ("score", "ranker"), ("score", "late")]
    values = array_values(sides, dict(zip(keys, ("number", "score", "late"), strict=True)))
    found = {
        (row["name"], row["side"], row["bin"]): row["rows"] for row in number_counts(values, keys)
    }
    tenths = {("number", BEFORE, str(tenth)): 10 for tenth in range(10)}
    # Equal values are in one tenth, and those above it are empty.
    scores = {("ranker", BEFORE, str(tenth)): 10 for tenth in (5, 6, 7)}
    assert found == {
        **tenths,
        ("number", AFTER, "0"): 1,
        ("number", AFTER, "9"): 2,
        **scores,
        ("ranker", BEFORE, "0"): 50,
        ("ranker", BEFORE, "8"): 20,
        ("ranker", AFTER, "0"): 1,
        ("ranker", AFTER, "7"): 1,
        ("ranker", AFTER, "8"): 1,
    }
    rows = long_values(values).where("side = 'after' AND number = 1").collect()
    assert sorted(row["score"] for row in rows) == [0.5, 79.0, float("inf")]
