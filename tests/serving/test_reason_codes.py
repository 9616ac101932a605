"""Reasons for people: the figures of the row, and never what speaks against the activity."""

import re

import pytest
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from activityrec.config import Config
from activityrec.ranking.groups import input_groups
from activityrec.serving.expected_value import with_expected_value
from activityrec.serving.reason_codes import MOST, figure_columns, with_reason_codes
from activityrec.serving.reason_templates import SEPARATORS, TEMPLATES
from tests.planted import configuration

FEATURES = {
    "answered": 2.0,
    "shown": 5.0,
    "type_response_rate": 0.1234,
    "als_rank": 3.0,
    "als_score": 0.5,
    "history_rank": 1.0,
    "history_score": 0.0,
    "purchase_eligible_products": 4.0,
    "purchase_recency_days": 6.0,
    "purchase_eligible_count_30d": 7.0,
}
ALL = ("affinity", "history", "past_responses", "activity", "retrieval", "profile")
REASONS = "array<struct<group: string, contribution: double>>"


def told(
    spark: SparkSession, config: Config, reasons: dict[str, float] | None, **changes: float | None
) -> Row:
    features = FEATURES | changes
    columns = {name: F.lit(value).cast("double") for name, value in features.items()}
    listed = sorted((reasons or {}).items(), key=lambda entry: -abs(entry[1]))
    row = spark.range(1).withColumns(columns)
    structs = [F.struct(F.lit(group).alias("group"), F.lit(value)) for group, value in listed]
    value = F.lit(None) if reasons is None else F.array(*structs)
    row = row.select(value.cast(REASONS).alias("reasons"), *[
        column.alias(name) for name, column in figure_columns(config).items()
    ])  # fmt: skip
    found = with_reason_codes(row, config)
    assert found.columns == ["reasons", "reason_codes", "reason_text"]
    first = found.first()
    assert first is not None
    return first


def codes(row: Row) -> list[tuple[str, dict[str, float], float | None]]:
    return [(r["code"], r["figures"], r["contribution"]) for r in row["reason_codes"]]


def test_the_largest_contributions_with_the_figures_of_the_row(
    spark: SparkSession, planted_config: Config
) -> None:
    parts = {"affinity": 0.9, "history": -2.0, "past_responses": 0.4, "activity": 0.7,
             "retrieval": 0.1, "profile": 0.8}  # fmt: skip
    row = told(spark, planted_config, parts)
    assert codes(row) == [
        ("bought_lately", {"times": 7.0, "days": 30.0}, 0.9),
        ("type_answered", {"rate": 0.1234}, 0.7),
        ("answers", {"answered": 2.0, "shown": 5.0}, 0.4),
    ]
    assert row["reason_text"] == {
        "en": "bought its products 7 times in 30 days; 12.3% of those who were shown such "
        "activities answered; answered 2 of the 5 times that activities were shown",
        "zh": "近30天购买活动商品7次；此类活动的参与率为12.3%；看过5次活动，参与2次",
    }


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("group", ALL)
def test_what_takes_away_is_never_a_reason(
    spark: SparkSession, planted_config: Config, group: str, sign: int
) -> None:
    row = told(spark, planted_config, {group: 0.5 * sign})
    assert (len(row["reason_codes"]) == 1) == (sign > 0 and group != "profile")
    for language in TEMPLATES:
        assert bool(row["reason_text"][language]) == bool(row["reason_codes"])


def test_figures_that_say_nothing_give_no_reason(
    spark: SparkSession, planted_config: Config
) -> None:
    parts = dict.fromkeys(ALL, 0.5)
    nothing: dict[str, float | None] = dict.fromkeys(FEATURES, 0.0)
    unknown: dict[str, float | None] = dict.fromkeys(FEATURES)
    empty = nothing | {"purchase_recency_days": None}
    for changes in (empty, unknown):
        assert codes(told(spark, planted_config, parts, **changes)) == []
    once = told(spark, planted_config, {"affinity": 1.0}, purchase_eligible_count_30d=1.0)
    assert codes(once) == [("bought_before", {"products": 4.0}, 1.0)]


def test_without_a_ranker_retrieval_is_the_reason(
    spark: SparkSession, planted_config: Config
) -> None:
    row = told(spark, planted_config, None)
    # The first place is that of a retriever that does not know the user.
    assert codes(row) == [("suits", {"place": 3.0}, None)]
    assert "number 3 among" in row["reason_text"]["en"]
    assert len(told(spark, planted_config, dict.fromkeys(ALL, 0.5))["reason_codes"]) == MOST


def by_segment(methods: dict[str, float]) -> Config:
    raw = configuration()
    del raw["ranker"]["inputs"]
    raw["retrieval"] |= {"methods": methods, "segments": {}, "popularity": {"by_segment": True}}
    return Config.model_validate(raw)


def test_what_is_popular_in_the_segment_is_said_where_that_contributed(spark: SparkSession) -> None:
    config = by_segment({"als": 1.0, "popularity": 1.0})
    groups = input_groups(config)
    assert (groups["als"], groups["popularity"]) == ("retrieval", "segment_popularity")
    known = {"popularity_score": 0.2, "popularity_rank": 1.0}
    parts = {"segment_popularity": 0.3, "retrieval": 0.1}
    row = told(spark, config, parts, **known)
    # The place that ALS gives is not mixed with that of the segment.
    assert codes(row) == [
        ("popular_in_segment", {"place": 1.0}, 0.3),
        ("suits", {"place": 3.0}, 0.1),
    ]
    assert row["reason_text"] == {
        "en": "popular with your segment: number 1 among the activities; "
        "number 3 among the activities by what was chosen before",
        "zh": "受同类用户欢迎，在各活动中排第1位；按以往选择，在各活动中排第3位",
    }
    against = told(spark, config, {"segment_popularity": -0.3, "retrieval": 0.1}, **known)
    assert codes(against) == [("suits", {"place": 3.0}, 0.1)]
    unknown = told(spark, config, parts, popularity_score=0.0, popularity_rank=1.0)
    assert codes(unknown) == [("suits", {"place": 3.0}, 0.1)]


def test_without_a_ranker_the_segment_is_the_reason_where_nothing_else_is(
    spark: SparkSession,
) -> None:
    known = {"popularity_score": 0.2, "popularity_rank": 2.0}
    both = told(spark, by_segment({"als": 1.0, "popularity": 1.0}), None, **known)
    assert codes(both) == [("suits", {"place": 3.0}, None)]
    alone = told(spark, by_segment({"popularity": 1.0}), None, **known)
    assert codes(alone) == [("popular_in_segment", {"place": 2.0}, None)]


def test_every_language_has_every_text_with_the_same_figures() -> None:
    assert set(SEPARATORS) == set(TEMPLATES)
    figures = [
        {code: sorted(re.findall(r"\{.*?\}", text)) for code, text in texts.items()}
        for texts in TEMPLATES.values()
    ]
    assert all(found == figures[0] for found in figures)


def test_the_expected_value_is_probability_times_margin_less_cost(spark: SparkSession) -> None:
    lists = spark.createDataFrame(
        [("a", 0.5), ("b", 0.1), ("c", 0.5), ("a", None)], "activity_id STRING, probability DOUBLE"
    )
    activities = spark.createDataFrame(
        [("a", 1.5, {"margin": "10"}), ("b", None, {"margin": "10"}), ("c", 1.0, None)],
        "activity_id STRING, cost DOUBLE, attributes MAP<STRING, STRING>",
    )
    margin = "cast(attributes['margin'] as double)"
    rows = with_expected_value(lists, activities, margin).collect()
    found = {(row["activity_id"], row["probability"]): row["expected_value"] for row in rows}
    assert found == {("a", 0.5): 3.5, ("b", 0.1): 1.0, ("c", 0.5): None, ("a", None): None}
    assert {
        r["expected_value"] for r in with_expected_value(lists, activities, None).collect()
    } == {None}
