"""Vectors of activities, and the days of fits."""

from datetime import date

import numpy as np
import pytest
from pyspark.sql import SparkSession

from activityrec import tables
from activityrec.retrieval.activities import activity_vectors
from activityrec.retrieval.fits import fit_dates
from tests.stand_ins import unmarked

DAY = date(2024, 3, 1)
ITEM_VECTORS = unmarked(tables.ITEM_VECTORS)


def test_activity_vectors_blend_own_and_pooled_factors(spark: SparkSession) -> None:
    items = spark.createDataFrame(
        [
            (DAY, "als", "product", "p1", 1, None, [1.0, 0.0]),
            (DAY, "als", "product", "p2", 3, None, [0.0, 1.0]),
            (DAY, "als", "activity", "both", 10, None, [2.0, 2.0]),
            (DAY, "als", "activity", "own", 5, None, [3.0, 1.0]),
        ],
        ITEM_VECTORS,
    )
    covered = spark.createDataFrame(
        # A product in two offers counts once.
        [("both", "o1", "p1"), ("both", "o2", "p1"), ("both", "o1", "p2"), ("new", None, "p2"),
         ("unsold", None, "p9")],
        "activity_id STRING, offer_id STRING, product_id STRING",
    )  # fmt: skip
    rows = activity_vectors(items, covered, own_prior=30.0).collect()
    found = {row["activity_id"]: row["vector"] for row in rows}
    assert set(found) == {"both", "own", "new"}
    pooled = np.array([0.25, 0.75])
    np.testing.assert_allclose(found["both"], (10 * np.array([2.0, 2.0]) + 30 * pooled) / 40)
    np.testing.assert_allclose(found["own"], [3, 1])
    np.testing.assert_allclose(found["new"], [0, 1])


def test_sparse_vectors_blend_value_by_value(spark: SparkSession) -> None:
    items = spark.createDataFrame(
        [
            (DAY, "knn", "product", "p1", 1, [0, 5], [1.0, 2.0]),
            (DAY, "knn", "product", "p2", 3, [5, 7], [4.0, 8.0]),
            (DAY, "knn", "activity", "both", 10, [0, 9], [3.0, 6.0]),
            (DAY, "knn", "activity", "own", 10, [2], [1.5]),
        ],
        ITEM_VECTORS,
    )
    covered = spark.createDataFrame(
        [("both", "p1"), ("both", "p2"), ("new", "p2")], "activity_id STRING, product_id STRING"
    )
    rows = activity_vectors(items, covered, own_prior=30.0).collect()
    found = {
        row["activity_id"]: dict(zip(row["indices"], row["vector"], strict=True)) for row in rows
    }
    assert found == {
        "both": {
            0: pytest.approx((10 * 3 + 30 * 0.25) / 40),
            5: pytest.approx(30 * (0.5 + 3.0) / 40),
            7: pytest.approx(30 * 6.0 / 40),
            9: pytest.approx(10 * 6 / 40),
        },
        "new": {5: 4.0, 7: 8.0},
        "own": {2: 1.5},
    }


def test_vectors_of_products_can_be_added_up(spark: SparkSession) -> None:
    items = spark.createDataFrame(
        [
            (DAY, "knn", "product", "p1", 9, [0, 5], [1.0, 2.0]),
            (DAY, "knn", "product", "p2", 3, [5], [4.0]),
            (DAY, "als", "product", "p1", 9, None, [1.0, 2.0]),
            (DAY, "als", "product", "p2", 3, None, [5.0, 6.0]),
        ],
        ITEM_VECTORS,
    )
    covered = spark.createDataFrame(
        [("new", "p1"), ("new", "p2")], "activity_id STRING, product_id STRING"
    )
    rows = activity_vectors(items, covered, 30.0, ["knn"]).collect()
    found = {row["retriever"]: (row["indices"], row["vector"]) for row in rows}
    assert found == {"knn": ([0, 5], [1.0, 6.0]), "als": (None, [2.0, 3.0])}
    rows = activity_vectors(items, covered, 30.0, ["als", "knn"]).collect()
    assert {row["retriever"]: row["vector"] for row in rows}["als"] == [6.0, 8.0]


def test_every_learnable_exposure_has_a_fit_before_it() -> None:
    assert fit_dates(date(2024, 5, 1), date(2024, 1, 20), 60) == [
        date(2024, 1, 2),
        date(2024, 3, 2),
        date(2024, 5, 1),
    ]
    assert fit_dates(date(2024, 5, 1), None, 60) == [date(2024, 5, 1)]
