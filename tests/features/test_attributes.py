"""Attributes: which values count as known, which are frequent, and which band a number is in."""

from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from activityrec.config import AttributesConfig
from activityrec.features.attributes import (
    age_band,
    attribute_values,
    declared_columns,
    product_values,
    with_labels,
)


def labels(spark: SparkSession, texts: list[str | None], **declared: Any) -> list[str]:
    """The labels of one attribute of users with these texts, in their order."""
    users = spark.createDataFrame(
        [(place, None if text is None else {"x": text}) for place, text in enumerate(texts)],
        "place INT, attributes MAP<STRING, STRING>",
    )
    attributes = AttributesConfig.model_validate({"users": {"x": declared}})
    values = users.select("place", *attribute_values(attributes, "users"))
    rows = with_labels(values, declared_columns(attributes, "users")).orderBy("place").collect()
    return [row["attribute_x"] for row in rows]


def test_the_most_frequent_categories_stay_and_of_equal_ones_the_first_by_value(
    spark: SparkSession,
) -> None:
    texts = ["c", "b", "a", "b", "c", "d", "d", "d", None]
    assert labels(spark, texts, cap=2) == [
        "other", "b", "other", "b", "other", "d", "d", "d", "unknown",
    ]  # fmt: skip
    assert labels(spark, texts, cap=4) == ["c", "b", "a", "b", "c", "d", "d", "d", "unknown"]


def test_an_empty_category_is_unknown_and_space_around_one_is_none_of_it(
    spark: SparkSession,
) -> None:
    assert labels(spark, ["", "  ", " a ", "a", "b"], cap=1) == [
        "unknown", "unknown", "a", "a", "other",
    ]  # fmt: skip


def test_a_value_that_reads_like_a_label_takes_no_place(spark: SparkSession) -> None:
    texts = ["other", "other", "unknown", "unknown", "a"]
    assert labels(spark, texts, cap=1) == ["other", "other", "unknown", "unknown", "a"]


def test_a_number_belongs_to_the_band_that_it_opens(spark: SparkSession) -> None:
    texts = ["-1", "9.99", "10", " 19 ", "20", "20.4", "20.5", "1e3"]
    assert labels(spark, texts, type="numeric", bands=[10, 20, 20.5]) == [
        "<10", "<10", "10-20", "10-20", "20-20.5", "20-20.5", "20.5+", "20.5+",
    ]  # fmt: skip


@pytest.mark.parametrize("declared", [{"bands": [10]}, {"quantiles": 2}], ids=str)
def test_what_is_no_number_is_unknown(spark: SparkSession, declared: dict) -> None:
    texts = ["many", "", None, "NaN", "Infinity", "-inf", "1e999", "1,5", "1d", "2f"]
    found = labels(spark, texts, type="numeric", **declared)
    assert found == ["unknown"] * len(texts)


def test_quantiles_are_equal_parts_of_the_known_numbers(spark: SparkSession) -> None:
    texts = ["8", "1", "NaN", "2", "30", "4", "x", "5", "6", "7"]
    assert labels(spark, texts, type="numeric", quantiles=4) == [
        "q4", "q1", "unknown", "q1", "q4", "q2", "unknown", "q2", "q3", "q3",
    ]  # fmt: skip


def test_equal_numbers_are_in_one_quantile_and_leave_others_empty(spark: SparkSession) -> None:
    texts = ["0", "0", "0", "0", "0", "1", "2", "3"]
    assert labels(spark, texts, type="numeric", quantiles=4) == [
        "q1", "q1", "q1", "q1", "q1", "q3", "q4", "q4",
    ]  # fmt: skip


def test_each_attribute_has_its_own_cap_and_its_own_quantiles(spark: SparkSession) -> None:
    users = spark.createDataFrame(
        [
            ({"a": "x", "b": "x", "m": "1", "n": "1"},),
            ({"a": "x", "b": "x", "m": "2", "n": "2"},),
            ({"a": "y", "b": "y", "m": "3", "n": "3"},),
            ({"a": "z", "b": "z", "m": "4", "n": "4"},),
        ],
        "attributes MAP<STRING, STRING>",
    )
    attributes = AttributesConfig.model_validate(
        {
            "users": {
                "a": {"cap": 1},
                "b": {"cap": 2},
                "m": {"type": "numeric", "quantiles": 2},
                "n": {"type": "numeric"},
            }
        }
    )
    values = users.select(*attribute_values(attributes, "users"))
    found = with_labels(values, declared_columns(attributes, "users")).collect()
    assert sorted(tuple(row) for row in found) == [
        ("other", "other", "q2", "q4"),
        ("other", "y", "q2", "q3"),
        ("x", "x", "q1", "q1"),
        ("x", "x", "q1", "q2"),
    ]


def test_eligible_products_give_the_most_frequent_category_and_the_mean_of_their_numbers(
    spark: SparkSession,
) -> None:
    covered = spark.createDataFrame(
        [
            # Two offers on one product, which counts once.
            ("majority", "o1", "a1"), ("majority", "o2", "a1"), ("majority", "o1", "b1"),
            ("majority", "o1", "b2"),
            ("tie", None, "b1"), ("tie", None, "a1"), ("tie", None, "nothing known"),
            ("nothing", None, "nothing known"),
            ("gone", None, "no such product"),
        ],
        "activity_id STRING, offer_id STRING, product_id STRING",
    )  # fmt: skip
    products = spark.createDataFrame(
        [
            ("a1", {"brand": "a", "weight": "1"}),
            ("b1", {"brand": "b", "weight": "2"}),
            ("b2", {"brand": "b", "weight": "Infinity"}),
            ("nothing known", None),
        ],
        "product_id STRING, attributes MAP<STRING, STRING>",
    )
    attributes = AttributesConfig.model_validate(
        {"products": {"brand": {}, "weight": {"type": "numeric"}}}
    )
    rows = product_values(covered, products, attributes).collect()
    assert {row["activity_id"]: tuple(row)[1:] for row in rows} == {
        "majority": ("b", 1.5),
        "tie": ("a", 1.5),
        "nothing": (None, None),
    }


def test_an_age_belongs_to_the_band_that_it_opens(spark: SparkSession) -> None:
    ages = [0, 17, 18, 24, 25, 64, 65, 130, None]
    frame = spark.createDataFrame([(age,) for age in ages], "age INT")
    rows = frame.select(age_band(F.col("age"), [65, 18, 25])).collect()
    assert [row[0] for row in rows] == [
        "0-17", "0-17", "18-24", "18-24", "25-64", "25-64", "65+", "65+", None,
    ]  # fmt: skip
