"""Robust bounds on events: who is caught by them, and who is not."""

from collections.abc import Iterable
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.testing import assertDataFrameEqual

from activityrec import tables
from activityrec.config import AnomalyConfig
from activityrec.ingest.anomalies import ANOMALY, mark_anomalies, not_anomalous

GIVEN = ", ".join(f"{column.name} {column.type}" for column in tables.EVENTS.given)
NEW = f"{GIVEN}, _reasons ARRAY<STRING>, _flags ARRAY<STRING>, _raw STRING"
STORED = ", ".join(f"{column.name} {column.type}" for column in tables.EVENTS.columns)

Event = dict[str, Any]

AMOUNT = "anomaly: amount beyond 10 deviations of its product"
QUANTITY = "anomaly: quantity beyond 10 deviations of its product"
DAY = "anomaly: more events a day than 10 deviations"


def event(event_id: str, day: str = "2024-05-01", **others: Any) -> Event:
    """A purchase of one product, or what ``others`` make of it."""
    usual = {"user_id": "u1", "event_type": "purchase", "product_id": "p1", "at": f"{day} 10:00:00"}
    return {**usual, "event_id": event_id, **others}


def priced(amounts: Iterable[float], prefix: str = "n", **others: Any) -> list[Event]:
    return [event(f"{prefix}{n}", amount=float(a), **others) for n, a in enumerate(amounts)]


def views(user: str, count: int, day: str = "2024-05-01", **others: Any) -> list[Event]:
    fields = {"user_id": user, "event_type": "view", **others}
    return [event(f"{user}-{day}-{n}", day, **fields) for n in range(count)]


def table(spark: SparkSession, rows: list[Event], schema: str) -> DataFrame:
    names = [part.split()[0] for part in schema.split(", ")]
    texts = schema.replace("event_ts TIMESTAMP", "event_ts STRING")
    filled = [tuple({"event_ts": row.get("at"), **row}.get(n) for n in names) for row in rows]
    return spark.createDataFrame(filled, texts).withColumn(
        "event_ts", F.col("event_ts").cast("timestamp")
    )


def marked(
    spark: SparkSession, new: list[Event], past: list[Event] | None = None, **rule: Any
) -> dict[str, list[str]]:
    """The flags of the new events that get some from the rule given as keywords."""
    rules = [AnomalyConfig.model_validate(rule)]
    judged = mark_anomalies(table(spark, new, NEW), table(spark, past or [], STORED), rules)
    rows = judged.select("event_id", "_flags").collect()
    assert len(rows) == len(new)
    return {row["event_id"]: row["_flags"] for row in rows if row["_flags"] is not None}


def test_a_bot_is_caught_and_nobody_else(spark: SparkSession) -> None:
    people = [row for n in range(30) for row in views(f"u{n}", 1 + n % 7)]
    bot = views("bot", 2000)
    buys = [event(f"buy{n}", user_id="u2") for n in range(40)]
    found = marked(spark, people + bot + buys, measure="events_per_day", event_types=["view"])
    assert found == {row["event_id"]: [DAY] for row in bot}


def test_a_day_is_counted_with_what_the_table_holds_of_it(spark: SparkSession) -> None:
    people = [row for n in range(30) for row in views(f"u{n}", 1 + n % 7)]
    # Of the bot's day 300 are known and flagged already; of another day they do not count.
    flagged = views("bot", 300, flags=[DAY]) + views("u3", 300, "2024-04-30", flags=[DAY])
    new = [
        event("late-bot", user_id="bot", event_type="view"),
        event("late-u3", user_id="u3", event_type="view"),
    ]
    found = marked(spark, new, people + flagged, measure="events_per_day")
    assert found == {"late-bot": [DAY]}


def test_a_quantity_that_is_no_count_of_units(spark: SparkSession) -> None:
    snacks = [event(f"s{n}", quantity=float(1 + n % 3)) for n in range(30)]
    fuel = [event(f"f{n}", product_id="fuel", quantity=9000.0 + 17 * n) for n in range(30)]
    odd = [event("odd", quantity=9000.0)]
    found = marked(spark, snacks + fuel + odd, measure="quantity")
    assert found == {"odd": [QUANTITY]}


def test_a_small_group_is_not_judged(spark: SparkSession) -> None:
    new = [*priced(range(10, 28)), event("odd", amount=1e6)]
    assert marked(spark, new, measure="amount", min_rows=20) == {}
    assert marked(spark, new, measure="amount", min_rows=19) == {"odd": [AMOUNT]}


def test_each_event_type_and_user_has_a_bound_of_its_own(spark: SparkSession) -> None:
    cheap = priced(range(10, 40), "c", product_id=None)
    dear = priced(range(1000, 1030), "d", product_id=None, user_id="u2")
    refunds = priced(range(2000, 2030), "r", product_id=None, event_type="refund")
    odd = [event("odd", amount=1010.0, product_id=None)]
    found = marked(spark, cheap + dear + refunds + odd, measure="amount", per="user")
    assert found == {"odd": ["anomaly: amount beyond 10 deviations of its user"]}


@pytest.mark.parametrize(("at_least", "caught"), [(0, ["odd"]), (499, ["odd"]), (500, [])])
def test_no_bound_is_below_at_least(spark: SparkSession, at_least: float, caught: list) -> None:
    new = [*priced(range(10, 40)), event("odd", amount=500.0)]
    assert list(marked(spark, new, measure="amount", at_least=at_least)) == caught


def test_the_bound_is_median_and_deviations_of_the_mad(spark: SparkSession) -> None:
    # 1 to 40 and one beyond: the median is 21, MAD 10, so 3 deviations end at 65.478.
    for amount, caught in ((65.47, []), (65.49, ["odd"])):
        new = [*priced(range(1, 41)), event("odd", amount=amount)]
        assert list(marked(spark, new, measure="amount", deviations=3)) == caught


@pytest.mark.parametrize(
    ("amount", "caught"),
    [
        (5.5, []),  # a new price
        (15.0, []),  # three units
        (50.0, ["odd"]),  # a slipped decimal point
        (5000.0, ["odd"]),
    ],
)
def test_a_constant_price_may_change(spark: SparkSession, amount: float, caught: list) -> None:
    new = [*priced([5.0] * 30), event("odd", amount=amount)]
    assert list(marked(spark, new, measure="amount")) == caught


def test_mostly_equal_values_are_judged_by_their_mean_deviation(spark: SparkSession) -> None:
    # Median 1, MAD 0, mean absolute deviation 13/31 (with the odd one: 9 + 4 of 31): 6.256.
    quantities = [1.0] * 21 + [2.0] * 9
    for quantity, caught in ((5.0, []), (50.0, ["odd"])):
        new = [event(f"q{n}", quantity=q) for n, q in enumerate(quantities)]
        new.append(event("odd", quantity=quantity))
        assert list(marked(spark, new, measure="quantity")) == caught


def test_history_decides_for_a_small_batch(spark: SparkSession) -> None:
    past = priced(range(10, 40), "past", day="2024-04-20")
    new = [event("fine", amount=39.0), event("odd", amount=5000.0)]
    assert marked(spark, new, measure="amount") == {}
    assert marked(spark, new, past, measure="amount") == {"odd": [AMOUNT]}


def test_only_the_window_counts(spark: SparkSession) -> None:
    past = priced(range(10, 40), "past", day="2024-04-20")
    new = [event("odd", amount=5000.0)]
    assert marked(spark, new, past, measure="amount", window_days=11) == {"odd": [AMOUNT]}
    assert marked(spark, new, past, measure="amount", window_days=10) == {}
    later = priced(range(10, 40), "later", day="2024-05-02")
    assert marked(spark, new, later, measure="amount") == {}


def test_an_event_of_both_counts_once(spark: SparkSession) -> None:
    people = [row for n in range(30) for row in views(f"u{n}", 3)]
    # Twice 5 would be above the bound of 6 from at_least.
    again = views("again", 5)
    rule = {"measure": "events_per_day", "deviations": 0.1, "at_least": 6}
    assert marked(spark, again, people + again, **rule) == {}
    more = [event("more", user_id="again", event_type="view"), event("m2", user_id="again")]
    more.append(event("m3", user_id="again", event_type="view"))
    assert set(marked(spark, more, people + again, **rule)) == {"more", "m3"}


def test_flagged_events_do_not_raise_the_bound(spark: SparkSession) -> None:
    past = priced(range(10, 40), "past")
    bots = priced([9000 + n for n in range(60)], "bot")
    new = [event("odd", amount=9000.0)]
    assert marked(spark, new, past + bots, measure="amount") == {}
    flagged = [{**row, "flags": [AMOUNT]} for row in bots]
    assert marked(spark, new, past + flagged, measure="amount") == {"odd": [AMOUNT]}
    other = [{**row, "flags": ["product_id: not in products"]} for row in bots]
    assert marked(spark, new, past + other, measure="amount") == {}


def test_flags_and_quarantine(spark: SparkSession) -> None:
    usual = [event(f"u{n}", amount=10.0 + n, quantity=1.0 + n % 3) for n in range(30)]
    odd = event("odd", amount=5000.0, quantity=5000.0, _flags=["before"], _raw="kept")
    refused = event("refused", amount=5000.0, quantity=5000.0, _reasons=["user_id: missing"])
    rules = [
        AnomalyConfig(measure="amount", action="quarantine"),
        AnomalyConfig(measure="quantity"),
        AnomalyConfig(measure="quantity", event_types=["purchase"]),
    ]
    rows = table(spark, [*usual, odd, refused], NEW)
    judged = mark_anomalies(rows, table(spark, [], STORED), rules)
    assert judged.columns == rows.columns
    kept = judged.select("event_id", "_reasons", "_flags", "_raw")
    expected = [(row["event_id"], None, None, None) for row in usual]
    expected.append(("odd", [AMOUNT], ["before", QUANTITY], "kept"))
    expected.append(("refused", ["user_id: missing"], None, None))
    assertDataFrameEqual(kept, spark.createDataFrame(expected, kept.schema))


def test_refused_rows_do_not_count(spark: SparkSession) -> None:
    new = [*priced(range(10, 28)), event("odd", amount=1e6)]
    new.append(event("refused", amount=20.0, _reasons=["user_id: missing"]))
    assert marked(spark, new, measure="amount", min_rows=20) == {}


def test_unknown_values_pass(spark: SparkSession) -> None:
    new = priced(range(10, 40)) + priced([1.0] * 30, "free", product_id=None)
    new += [event("unknown"), event("nowhere", product_id=None, amount=9e9)]
    new.append(event("odd", amount=9e9))
    assert marked(spark, new, measure="amount") == {"odd": [AMOUNT]}


def test_no_new_events_and_no_rules(spark: SparkSession) -> None:
    past = table(spark, priced(range(10, 40)), STORED)
    none = table(spark, [], NEW)
    rules = [AnomalyConfig(measure="amount"), AnomalyConfig(measure="events_per_day")]
    assert mark_anomalies(none, past, rules).isEmpty()
    rows = table(spark, priced([1.0, 2.0]), NEW)
    assertDataFrameEqual(mark_anomalies(rows, past, []), rows)


def test_features_leave_anomalies_out(spark: SparkSession) -> None:
    flags = [(None,), ([],), (["product_id: not in products"],), (["other", f"{ANOMALY}x"],)]
    rows = spark.createDataFrame(flags, "flags ARRAY<STRING>")
    kept = rows.select(not_anomalous(F.col("flags")).alias("kept")).collect()
    assert [row["kept"] for row in kept] == [True, True, True, False]
