"""The best offers and products of an activity for a user, by hand."""

from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.config import FeaturesConfig
from activityrec.features.eligible import eligible_items
from activityrec.features.pairs import histories
from activityrec.serving.offer_scores import ActivityProducts, Catalogue, offer_scores
from activityrec.serving.offers import _by_user, average_spend, catalogue, with_best_offers
from tests.stand_ins import unmarked

DAY = date(2024, 5, 1)
ACTIVITIES = ["a", "mixed", "none", "parts"]
FEATURES = FeaturesConfig(event_types=["buy"], purchase_type="buy", affinity_types=["buy"])


@pytest.fixture(scope="module")
def best(spark: SparkSession) -> dict[tuple[str, str], tuple[list[str], list[str]]]:
    covered = spark.createDataFrame(
        [
            ("a", "o1", "p1"), ("a", "o1", "p2"),
            ("a", "o2", "p3"),
            ("a", "o3", "p2"), ("a", "o3", "p4"),
            ("parts", None, "p4"), ("parts", None, "p1"),
            ("mixed", None, "p3"), ("mixed", "o1", "p1"), ("mixed", "o2", "p2"),
        ],
        "activity_id STRING, offer_id STRING, product_id STRING",
    )  # fmt: skip
    products = spark.createDataFrame(
        [(f"p{place}", "c") for place in range(1, 5)], "product_id STRING, category STRING"
    )
    daily = spark.createDataFrame(
        [(date(2024, 4, 1), "loyal", "buy", "p3", None, 5, 5.0, 9.0),
         (date(2024, 4, 1), "loyal", "buy", "p4", None, 2, 2.0, 2.0),
         (DAY, "loyal", "buy", "p1", None, 99, 99.0, 99.0)],
        "event_date DATE, user_id STRING, event_type STRING, product_id STRING, "
        "activity_id STRING, events BIGINT, quantity DOUBLE, amount DOUBLE",
    )  # fmt: skip
    vectors = spark.createDataFrame(
        [(DAY, retriever, "product", item, users, None, vector)
         for retriever, part in (("als", 1.0), ("other", -9.0))
         for item, users, vector in (
             ("p1", 9, [0.9 * part, 0.0]), ("p2", 5, [0.5 * part, 0.5]),
             ("p3", 2, [0.0, 0.9 * part]), ("p4", 7, [0.1, 0.1]))],
        unmarked(tables.ITEM_VECTORS),
    )  # fmt: skip
    users = spark.createDataFrame(
        [(DAY, "als", "taste", None, [1.0, 0.2]), (DAY, "als", "loyal", None, [1.0, 0.0]),
         (DAY, "other", "loyal", None, [7.0, 0.0])],
        unmarked(tables.USER_VECTORS),
    )  # fmt: skip
    who = ["taste", "loyal", "stranger"]
    population = spark.createDataFrame(
        [(DAY, user) for user in who], "snapshot_date DATE, user_id STRING"
    )
    lists = spark.createDataFrame(
        [(user, activity, 0.5) for user in who for activity in ACTIVITIES],
        "user_id STRING, activity_id STRING, score DOUBLE",
    )
    items = eligible_items(spark, ACTIVITIES, covered, products)
    past = histories(population, daily, items, FEATURES)
    spent = average_spend(daily.where(F.col("event_date") < F.lit(DAY)), "buy", users=3)
    made = catalogue(items, covered, vectors, spent, days=30)
    rows = with_best_offers(lists, past, users, made, "buy", n_offers=2, n_products=3).collect()
    assert all(row["score"] == 0.5 for row in rows)
    return {(row["user_id"], row["activity_id"]): (row["offers"], row["products"]) for row in rows}


def test_a_user_whose_rows_come_in_two_batches_is_one_row() -> None:
    rows = pa.table({"user_id": ["u", "u", "v", "v", "v", "w"], "activity_id": list("abcdef")})
    empty = rows.slice(0, 0).to_batches() or [pa.RecordBatch.from_pylist([], rows.schema)]
    batches = [*rows.to_batches(max_chunksize=4), *empty]
    found = [row for made in _by_user(iter(batches)) for row in made.to_pylist()]
    assert {row["user_id"]: [x["activity_id"] for x in row["rows"]] for row in found} == {
        "u": ["a", "b"],
        "v": ["c", "d", "e"],
        "w": ["f"],
    }
    assert len(found) == 3


def test_what_was_bought_most_comes_first_then_what_is_like_it(best: dict) -> None:
    offers, products = best["loyal", "a"]
    assert products == ["p3", "p4", "p1"]
    assert offers == ["o2", "o3"]


def test_without_purchases_the_factors_decide(best: dict) -> None:
    # By factors 0.9, 0.6, 0.18, 0.12.
    offers, products = best["taste", "a"]
    assert products == ["p1", "p2", "p3"]
    # What others spend decides on offers: p3 of o2, p4 of o3.
    assert offers == ["o2", "o3"]
    # Nobody spent anything on p1 and p2.
    assert best["taste", "mixed"][0] == ["o1", "o2"]


def test_a_stranger_gets_the_popular_ones(best: dict) -> None:
    offers, products = best["stranger", "a"]
    assert products == ["p1", "p4", "p2"]
    assert offers == ["o2", "o3"]


def test_an_activity_without_parts_has_no_offers_and_one_without_products_nothing(
    best: dict,
) -> None:
    assert best["loyal", "parts"] == ([], ["p4", "p1"])
    assert best["loyal", "none"] == ([], [])
    assert len(best) == 12


def test_products_without_an_offer_take_no_place_among_the_offers(best: dict) -> None:
    assert best["loyal", "mixed"] == (["o1", "o2"], ["p3", "p1", "p2"])


def test_an_offer_is_worth_what_is_spent_on_it_for_its_breadth() -> None:
    part = ActivityProducts(np.array([0, 1, 2, 0]), np.array([0, 2, 3]), ("two", "one", "again"))
    made = Catalogue(
        ("p0", "p1", "p2"), np.zeros((3, 0), dtype=np.float32), np.zeros(3),
        np.array([1.0, 3.0, 5.0]), 60, {},
    )  # fmt: skip
    products = np.array([[1.0, 2.0, 3.0, 1.0]])
    spent = np.array([[10.0, 0.0, 2.0, 10.0]])
    found = offer_scores(products, spent, part, made)
    money = np.array([10 + 0.3 * (1 + 3), 2 + 0.3 * 5, 10 + 0.3 * 1]) / 2
    wanted = np.log(money + 0.01) - 0.35 * np.log([3, 2, 2]) + 1e-6 * np.array([2, 3, 1])
    np.testing.assert_allclose(found, [wanted])
    np.testing.assert_array_equal(offer_scores(products, None, part, made), [[2, 3, 1]])
