"""User features at the edges of windows, and response rates by hand."""

from datetime import date, datetime, timedelta

import pytest
from pyspark.sql import Row, SparkSession

from activityrec.config import AttributesConfig, Config, FeaturesConfig
from activityrec.features.users import response_history, user_features

DAY = date(2024, 5, 1)
DAILY = (
    "event_date DATE, user_id STRING, event_type STRING, product_id STRING, activity_id STRING, "
    "events BIGINT, quantity DOUBLE, amount DOUBLE"
)
OUTCOMES = "user_id STRING, exposure_ts TIMESTAMP, closes_ts TIMESTAMP, response_ts TIMESTAMP"


def ago(days: int) -> date:
    return DAY - timedelta(days=days)


def at(days_ago: int, hour: int = 0) -> datetime:
    return datetime.combine(ago(days_ago), datetime.min.time()) + timedelta(hours=hour)


@pytest.fixture(scope="module")
def found(spark: SparkSession, planted_config: Config) -> dict[str, Row]:
    """Rows at DAY of three users: one buys, one only has a profile, one is known by nothing."""
    daily = spark.createDataFrame(
        [
            (ago(1), "u", "buy", "p", None, 2, 2.0, 10.0),
            (ago(7), "u", "buy", "p", None, 1, 1.0, 5.0),
            (ago(7), "u", "buy", "q", None, 1, 1.0, 3.0),
            # The same product and day, of an activity: neither is counted twice.
            (ago(7), "u", "buy", "p", "a", 1, 1.0, 2.0),
            (ago(8), "u", "buy", "r", None, 4, 4.0, 1.0),
            (ago(8), "u", "answer", None, "a", 1, 0.0, 0.0),
            # The snapshot knows nothing of its own day, nor of later ones.
            (ago(0), "u", "buy", "today", None, 50, 50.0, 500.0),
            (ago(-1), "u", "answer", None, "tomorrow", 50, 0.0, 0.0),
            (ago(0), "u", "buy", "q", None, 1, 1.0, 1.0),
            (ago(-2), "u", "buy", "r", None, 1, 1.0, 1.0),
            (ago(1), "somebody else", "buy", "p", None, 9, 9.0, 9.0),
        ],
        DAILY,
    )
    users = spark.createDataFrame(
        [("u", 24, "f", {"city": "north", "floor": "10"}), ("profile", None, None, {"other": "x"})],
        "user_id STRING, age INT, gender STRING, attributes MAP<STRING, STRING>",
    )
    population = spark.createDataFrame(
        [(DAY, user) for user in ("u", "profile", "nobody")],
        "snapshot_date DATE, user_id STRING",
    )
    features = FeaturesConfig(event_types=["buy", "answer"], windows=[1, 7], age_bands=[18, 25])
    attributes = AttributesConfig.model_validate(
        {"users": {"city": {}, "floor": {"type": "numeric", "bands": [1, 10]}}}
    )
    config = planted_config.model_copy(update={"features": features, "attributes": attributes})
    nothing = spark.createDataFrame([], OUTCOMES)
    rows = user_features(population, daily, nothing, users, config, ago(20)).collect()
    assert len(rows) == 3
    return {row["user_id"]: row for row in rows}


def test_a_window_of_n_days_holds_the_n_days_before_the_snapshot(found: dict[str, Row]) -> None:
    wanted = {
        "observed_days": 20,
        "buy_count_1d": 2, "buy_amount_1d": 10.0, "buy_products_1d": 1, "buy_days_1d": 1,
        "buy_count_7d": 5, "buy_amount_7d": 20.0, "buy_products_7d": 2, "buy_days_7d": 2,
        "buy_count_all": 9, "buy_amount_all": 21.0, "buy_products_all": 3, "buy_days_all": 3,
        "buy_recency_days": 1, "buy_frequency": 3 / 20,
        "answer_count_7d": 0, "answer_count_all": 1, "answer_products_all": 0,
        "answer_recency_days": 8, "answer_frequency": 1 / 20,
    }  # fmt: skip
    assert {name: found["u"][name] for name in wanted} == wanted


def test_users_without_events_have_zeros_and_no_recency(found: dict[str, Row]) -> None:
    for user in ("profile", "nobody"):
        row = found[user]
        assert (row["buy_count_all"], row["buy_frequency"], row["shown"]) == (0, 0, 0)
        assert row["buy_recency_days"] is None


def test_a_profile_that_is_not_known_says_so(found: dict[str, Row]) -> None:
    profile = ["age_band", "gender", "attribute_city", "attribute_floor"]
    assert [found["u"][name] for name in profile] == ["18-24", "f", "north", "10+"]
    assert [found["profile"][name] for name in profile] == ["unknown"] * 4
    assert [found["nobody"][name] for name in profile] == ["unknown"] * 4


def test_before_anything_has_closed_there_is_no_response_rate(found: dict[str, Row]) -> None:
    assert [row["response_rate"] for row in found.values()] == [None] * 3


def test_the_response_rate_is_smoothed_and_open_exposures_are_no_failures(
    spark: SparkSession,
) -> None:
    outcomes = spark.createDataFrame(
        [
            ("u", at(30), at(20), at(25)),
            ("u", at(30), at(10), None),
            # Closes as the snapshot begins: closed.
            ("u", at(30), at(0), at(1, hour=23)),
            # Open, not answered yet: shown, but not a failure.
            ("u", at(5), at(-5), None),
            # Open and answered: counts as answered, not yet in the rate.
            ("u", at(5), at(-6), at(1)),
            # Answered on the snapshot's day or later: nobody knows yet.
            ("u", at(5), at(-7), at(0)),
            ("u", at(5), at(-8), at(-3)),
            # Shown on the snapshot's day or later: nothing of it is known.
            ("u", at(0), at(-5), None),
            ("u", at(-1), at(-5), at(-2)),
            ("v", at(30), at(10), None),
        ],
        OUTCOMES,
    )
    population = spark.createDataFrame(
        [(DAY, "u"), (DAY, "v"), (DAY, "w"), (ago(25), "u")], "snapshot_date DATE, user_id STRING"
    )
    rows = response_history(population, outcomes, prior=3.0).collect()
    found = {(row["snapshot_date"], row["user_id"]): tuple(row)[2:] for row in rows}
    everyone = 2 / 4
    assert found == {
        (DAY, "u"): (7, 3, pytest.approx((2 + 3 * everyone) / (3 + 3))),
        (DAY, "v"): (1, 0, pytest.approx((0 + 3 * everyone) / (1 + 3))),
        (DAY, "w"): (0, 0, pytest.approx(everyone)),
        # 25 days ago three were shown and none had closed; the response of that midnight is not
        # known yet.
        (ago(25), "u"): (3, 0, None),
    }
