"""Activity features: which activities a snapshot is about, and what was known of them."""

import math
from datetime import date, datetime

import pytest
from pyspark.sql import Row, SparkSession

from activityrec.config import AttributesConfig, Config
from activityrec.features.activities import activity_features

DAY = date(2024, 5, 10)
PRIOR = 20.0


def may(day: int) -> datetime:
    return datetime(2024, 5, day)


@pytest.fixture(scope="module")
def found(spark: SparkSession, planted_config: Config) -> dict[str, Row]:
    """Activities at DAY with two planning days."""
    recommend = planted_config.recommend.model_copy(update={"planning_days": 2})
    attributes = AttributesConfig.model_validate(
        {
            "activities": {"theme": {"cap": 1}},
            "products": {"brand": {"cap": 1}, "weight": {"type": "numeric", "bands": [1, 10]}},
        }
    )
    config = planted_config.model_copy(update={"recommend": recommend, "attributes": attributes})
    activities = spark.createDataFrame(
        [
            ("live", "gift", may(1), may(11), {"theme": "spring"}),
            ("endless", "gift", may(10), None, {"theme": "winter"}),
            ("planned", "new", may(12), may(20), {}),
            ("ended", "gift", may(1), may(10), {"theme": "spring"}),
            ("far", "gift", datetime(2024, 5, 12, 1), may(20), None),
            ("sent early", "gift", may(20), may(25), None),
            ("sent before", "gift", may(20), may(25), None),
        ],
        "activity_id STRING, activity_type STRING, start_ts TIMESTAMP, end_ts TIMESTAMP, "
        "attributes MAP<STRING, STRING>",
    )
    covered = spark.createDataFrame(
        [("live", "o1", "p"), ("live", "o2", "p"), ("live", "o1", "q"), ("live", "o2", "unsold"),
         ("planned", None, "r"), ("sent early", None, "no such product")],
        "activity_id STRING, offer_id STRING, product_id STRING",
    )  # fmt: skip
    products = spark.createDataFrame(
        [
            # Two offers on p are no two votes for its brand: it ties with that of q.
            ("p", {"brand": "Zed", "weight": "1"}),
            ("q", {"brand": "Ace", "weight": "18"}),
            ("unsold", {"weight": "heavy"}),
            ("r", {"brand": "Zed", "weight": "0.5"}),
        ],
        "product_id STRING, attributes MAP<STRING, STRING>",
    )
    daily = spark.createDataFrame(
        [
            (date(2024, 5, 1), "u", "purchase", "p", None, 1, 2.0, 6.0),
            (date(2024, 5, 9), "v", "purchase", "p", None, 1, 2.0, 2.0),
            (date(2024, 5, 9), "v", "purchase", "q", None, 1, 1.0, 9.0),
            (date(2024, 5, 9), "v", "purchase", "unsold", None, 1, 0.0, 9.0),
            (DAY, "v", "purchase", "p", None, 1, 1.0, 900.0),
            (date(2024, 5, 2), "u", "answer", None, "live", 2, 0.0, 0.0),
            (date(2024, 5, 3), "u", "answer", None, "live", 1, 0.0, 0.0),
            (date(2024, 5, 9), "w", "answer", None, "live", 1, 0.0, 0.0),
            (DAY, "x", "answer", None, "live", 1, 0.0, 0.0),
        ],
        "event_date DATE, user_id STRING, event_type STRING, product_id STRING, "
        "activity_id STRING, events BIGINT, quantity DOUBLE, priced_amount DOUBLE",
    )
    exposed = [
        # Two types have closed exposures: with those below 7 of 15 gifts answered, 1 of 30 deals.
        *[(f"u{n}", "old", "gift", may(1), may(10), may(2) if n < 3 else None) for n in range(10)],
        *[(f"u{n}", "older", "deal", may(1), may(9), may(2) if n < 1 else None) for n in range(30)],
        # Of the live one some windows have closed: 4 of 5 answered.
        *[(f"v{n}", "live", "gift", may(1), may(8), may(2) if n < 4 else None) for n in range(5)],
        # Open at DAY, answered as they are.
        *[(f"u{n}", "live", "gift", may(1), may(11), may(2)) for n in range(5)],
        ("u", "sent early", "gift", datetime(2024, 5, 10, 15), may(25), None),
        ("u", "sent before", "gift", may(9), may(25), None),
    ]
    outcomes = spark.createDataFrame(
        exposed,
        "user_id STRING, activity_id STRING, activity_type STRING, exposure_ts TIMESTAMP, "
        "closes_ts TIMESTAMP, response_ts TIMESTAMP",
    )
    snapshots = spark.createDataFrame([(DAY,)], "snapshot_date DATE")
    rows = activity_features(
        snapshots, activities, covered, products, daily, outcomes, config
    ).collect()
    assert {row["snapshot_date"] for row in rows} == {DAY}
    return {row["activity_id"]: row for row in rows}


def test_a_snapshot_is_about_what_is_live_planned_or_sent_on_its_day(found: dict) -> None:
    assert sorted(found) == ["endless", "live", "planned", "sent early"]


def test_length_and_age(found: dict) -> None:
    assert {name: (row["length_days"], row["days_since_start"]) for name, row in found.items()} == {
        "live": (10.0, 9),
        "endless": (None, 0),
        "planned": (8.0, -2),
        "sent early": (5.0, -10),
    }


def test_products_and_offers_count_once(found: dict) -> None:
    sizes = {name: (row["eligible_products"], row["offers"]) for name, row in found.items()}
    assert sizes["live"] == (3, 2)
    assert sizes["planned"] == (1, 0)
    assert sizes["endless"] == (0, 0)


def test_the_price_level_is_that_of_products_sold_before(found: dict) -> None:
    # p cost (6 + 2) / (2 + 2), q 9; the third product has no unit price.
    wanted = (math.log1p(2) + math.log1p(9)) / 2
    assert found["live"]["price_level"] == pytest.approx(wanted)
    assert found["planned"]["price_level"] is None


def test_responders_are_users_before_the_snapshot(found: dict) -> None:
    assert found["live"]["responders"] == 2
    assert found["planned"]["responders"] == 0


def test_the_rate_of_a_type_is_smoothed_and_a_new_type_has_that_of_all(found: dict) -> None:
    overall = 8 / 45
    assert found["live"]["type_exposures"] == 15
    assert found["live"]["type_response_rate"] == pytest.approx((7 + PRIOR * overall) / 35)
    assert found["planned"]["type_exposures"] == 0
    assert found["planned"]["type_response_rate"] == pytest.approx(overall)


def test_the_rate_of_an_activity_is_smoothed_towards_that_of_its_type(found: dict) -> None:
    of_type = {name: row["type_response_rate"] for name, row in found.items()}
    assert found["live"]["activity_exposures"] == 5
    wanted = (4 + PRIOR * of_type["live"]) / (5 + PRIOR)
    assert found["live"]["activity_response_rate"] == pytest.approx(wanted)
    assert found["endless"]["activity_exposures"] == 0
    assert found["endless"]["activity_response_rate"] == pytest.approx(of_type["endless"])


def test_attributes_are_labelled_among_all_activities(found: dict) -> None:
    """Spring is the more frequent one, if what has ended counts."""
    themes = {name: row["activity_attribute_theme"] for name, row in found.items()}
    assert themes == {
        "live": "spring", "endless": "other", "planned": "unknown", "sent early": "unknown",
    }  # fmt: skip


def test_products_give_their_most_frequent_category_and_their_mean(found: dict) -> None:
    columns = ("product_attribute_brand", "product_attribute_weight")
    assert {name: tuple(row[c] for c in columns) for name, row in found.items()} == {
        # Ace and Zed are as frequent: as the brand of one activity each, Ace takes the one place.
        "live": ("Ace", "1-10"),
        "planned": ("other", "<1"),
        "endless": ("unknown", "unknown"),
        "sent early": ("unknown", "unknown"),
    }
