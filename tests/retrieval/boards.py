"""Interactions written out for tests of retrievers."""

from datetime import date

from pyspark.sql import SparkSession

from activityrec import tables
from activityrec.retrieval.numbers import number_ids
from activityrec.retrieval.protocol import Known

DAY = date(2024, 3, 1)
Rows = list[tuple[str, str, str, float]]


def known(spark: SparkSession, rows: Rows) -> Known:
    """From (user_id, item_kind, item_id, weight).

    Users and items whose id ends in an even number are of the kind "even", others "odd".
    """

    def named(kind: str) -> list[tuple[str, str]]:
        names = sorted({item for _, of, item, _ in rows if of == kind})
        return [(name, "even" if name[-1] in "02468" else "odd") for name in names]

    users = sorted({user for user, *_ in rows})
    attributes = "CAST(NULL AS MAP<STRING, STRING>) AS attributes"
    frame = spark.createDataFrame(
        rows, "user_id STRING, item_kind STRING, item_id STRING, weight DOUBLE"
    )
    daily = spark.createDataFrame([], tables.USER_DAILY.row_type)
    return Known(
        DAY,
        frame,
        number_ids(frame),
        daily,
        spark.createDataFrame(
            [(user, "even" if user[-1] in "02468" else "odd") for user in users],
            "user_id STRING, gender STRING",
        ).selectExpr("*", "INT(NULL) AS age", attributes),
        spark.createDataFrame(
            [*named("product"), ("p99", None)], "product_id STRING, category STRING"
        ).selectExpr("*", "STRING(NULL) AS name", "STRING(NULL) AS brand", attributes),
        spark.createDataFrame(
            named("activity"), "activity_id STRING, activity_type STRING"
        ).selectExpr("*", "STRING(NULL) AS name", "STRING(NULL) AS channel", attributes),
    )


def checkerboard(kind: str = "product", users: int = 16, items: int = 8) -> Rows:
    """Even users like even items, odd ones the odd; one of each user's is left to be guessed."""
    return [
        (f"u{user:02d}", kind, f"{kind[0]}{item}", 1.0)
        for user in range(users)
        for item in range(items)
        if user % 2 == item % 2 and user % items != item
    ]
