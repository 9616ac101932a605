"""Events folded by day lose nothing that a snapshot needs."""

from datetime import date, datetime

from pyspark.sql import SparkSession

from activityrec.features.daily import user_daily


def test_events_are_folded_by_utc_day_and_by_what_they_concern(spark: SparkSession) -> None:
    events = spark.createDataFrame(
        [
            ("u", "buy", datetime(2024, 5, 1), "p", None, 2.0, 5.0),
            ("u", "buy", datetime(2024, 5, 1, 23, 59, 59), "p", None, None, 4.0),
            ("u", "buy", datetime(2024, 5, 2), "p", None, 1.0, 2.5),
            ("u", "buy", datetime(2024, 5, 1), "q", None, 1.0, 1.0),
            ("u", "answer", datetime(2024, 5, 1), None, "a", None, None),
            ("v", "buy", datetime(2024, 5, 1), "p", None, 1.0, 1.0),
        ],
        "user_id STRING, event_type STRING, event_ts TIMESTAMP, product_id STRING, "
        "activity_id STRING, quantity DOUBLE, amount DOUBLE",
    )
    may = {1: date(2024, 5, 1), 2: date(2024, 5, 2)}
    rows = user_daily(events).collect()
    assert {
        (r["event_date"], r["user_id"], r["event_type"], r["product_id"], r["activity_id"]): (
            r["events"],
            r["quantity"],
            r["amount"],
            r["priced_amount"],
        )
        for r in rows
    } == {
        (may[1], "u", "buy", "p", None): (2, 2.0, 9.0, 5.0),
        (may[2], "u", "buy", "p", None): (1, 1.0, 2.5, 2.5),
        (may[1], "u", "buy", "q", None): (1, 1.0, 1.0, 1.0),
        (may[1], "u", "answer", None, "a"): (1, 0.0, 0.0, 0.0),
        (may[1], "v", "buy", "p", None): (1, 1.0, 1.0, 1.0),
    }
    assert len(rows) == 5
