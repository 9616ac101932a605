"""Interactions written out for tests of retrievers."""

from datetime import date

from pyspark.sql import SparkSession

from activityrec import tables
from activityrec.retrieval.numbers import number_ids
from activityrec.retrieval.protocol import Known

DAY = date(2024, 3, 1)
Rows = list[tuple[str, str, str, float]]


def known(spark: SparkSession, rows: Rows) -> Known:
    """From (user_id, item_kind, item_id, weight)."""
    frame = spark.createDataFrame(
        rows, "user_id STRING, item_kind STRING, item_id STRING, weight DOUBLE"
    )
    daily = spark.createDataFrame([], tables.USER_DAILY.row_type)
    return Known(DAY, frame, number_ids(frame), daily)


def checkerboard(kind: str = "product", users: int = 16, items: int = 8) -> Rows:
    """Even users like even items, odd ones the odd; one of each user's is left to be guessed."""
    return [
        (f"u{user:02d}", kind, f"{kind[0]}{item}", 1.0)
        for user in range(users)
        for item in range(items)
        if user % 2 == item % 2 and user % items != item
    ]
