"""Interactions: what one event weighs for the product and for the activity that it concerns."""

from datetime import date
from math import log1p

import pytest
from pyspark.sql import SparkSession

from activityrec.config import InteractionsConfig
from activityrec.retrieval.interactions import interactions

DAY = date(2024, 3, 11)


def test_an_event_counts_for_the_product_and_the_activity_that_it_concerns(
    spark: SparkSession,
) -> None:
    daily = spark.createDataFrame(
        [
            # A half-life before DAY: half the weight.
            (date(2024, 3, 1), "u", "buy", "p", "a", 3),
            (date(2024, 3, 1), "u", "answer", None, "a", 1),
            (date(2024, 3, 1), "v", "buy", "p", None, 1),
            (date(2024, 3, 1), "w", "visit", None, None, 5),
        ],
        "event_date DATE, user_id STRING, event_type STRING, product_id STRING, "
        "activity_id STRING, events BIGINT",
    )
    weights = {"buy": 2.0, "answer": 4.0, "visit": 1.0}
    rows = interactions(daily, DAY, InteractionsConfig(weights=weights, half_life_days=10))
    found = {(r["user_id"], r["item_kind"], r["item_id"]): r["weight"] for r in rows.collect()}
    assert found == pytest.approx(
        {
            ("u", "product", "p"): log1p(3 * 2 / 2),
            ("u", "activity", "a"): log1p(3 * 2 / 2 + 4 / 2),
            ("v", "product", "p"): log1p(2 / 2),
        }
    )


def test_interactions_weigh_types_and_fade(spark: SparkSession) -> None:
    daily = spark.createDataFrame(
        [
            (date(2024, 2, 29), "u", "buy", "p", None, 2),
            (date(2024, 2, 20), "u", "buy", "p", None, 4),
            (date(2024, 2, 20), "u", "answer", None, "a", 1),
            (date(2024, 2, 20), "u", "look", "p", None, 9),
            (date(2024, 3, 1), "u", "buy", "p", None, 100),
        ],
        "event_date DATE, user_id STRING, event_type STRING, product_id STRING, "
        "activity_id STRING, events BIGINT",
    )
    config = InteractionsConfig(weights={"buy": 1.0, "answer": 3.0}, half_life_days=9)
    rows = interactions(daily, date(2024, 3, 1), config).collect()
    found = {(row["item_kind"], row["item_id"]): row["weight"] for row in rows}
    fresh = 2 ** (-1 / 9)
    faded = 2 ** (-10 / 9)
    assert found == pytest.approx(
        {
            ("product", "p"): log1p(2 * fresh + 4 * faded),
            ("activity", "a"): log1p(3 * faded),
        }
    )
