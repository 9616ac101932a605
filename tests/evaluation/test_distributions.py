"""Numbers of two sides, counted in tenths of the first."""

from pyspark.sql import SparkSession

from activityrec.evaluation.distributions import AFTER, BEFORE, array_values, number_counts

SCHEMA = "label INT, weight DOUBLE, number INT, score DOUBLE"
NAN = float("nan")


def test_values_are_counted_by_the_tenths_before_and_what_is_no_number_is_not(
    spark: SparkSession,
) -> None:
    before = [(0, 1.0, n, 0.5 if n < 50 else float(n)) for n in range(100)]
    after = [(0, 1.0, -1, NAN), (1, 1.0, 95, None), (0, 1.0, 200, 0.5), (0, 1.0, None, 99.0)]
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
    # Half of the scores are one value: it is in the first tenth, and the next four are empty.
    scores = {("ranker", BEFORE, str(tenth)): 10 for tenth in range(5, 10)}
    assert found == {
        **tenths,
        ("number", AFTER, "0"): 1,
        ("number", AFTER, "9"): 2,
        **scores,
        ("ranker", BEFORE, "0"): 50,
        ("ranker", AFTER, "0"): 1,
        ("ranker", AFTER, "9"): 1,
    }
