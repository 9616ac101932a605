"""What each retriever computes, by hand."""

import numpy as np
import pytest
from pyspark.sql import SparkSession

from activityrec.config import EaseConfig, HistoryConfig, ItemKnnConfig
from activityrec.errors import ConfigError
from activityrec.retrieval.methods.ease import fit_ease, item_weights
from activityrec.retrieval.methods.history import fit_history
from activityrec.retrieval.methods.item_knn import fit_item_knn
from activityrec.retrieval.protocol import Vectors
from tests.retrieval.boards import Rows, known

BOUGHT: Rows = [
    ("u1", "product", "a", 1.0),
    ("u1", "product", "b", 2.0),
    ("u2", "product", "a", 3.0),
    ("u2", "product", "b", 1.0),
    ("u2", "product", "c", 1.0),
    ("u3", "product", "c", 2.0),
]
ROOT_10, ROOT_5 = np.sqrt(10.0), np.sqrt(5.0)
COSINE_AB = (1 * 2 + 3 * 1) / (ROOT_10 * ROOT_5)


def terms(vectors: Vectors) -> dict[str, dict[str, float]]:
    """Item to the values of its vector, by the item at that place."""
    rows = vectors.items.collect()
    names = sorted(row["item_id"] for row in rows)
    return {
        row["item_id"]: {
            names[place]: pytest.approx(value)
            for place, value in zip(row["indices"] or range(len(names)), row["vector"], strict=True)
            if value
        }
        for row in rows
    }


def test_item_knn_is_the_damped_cosine_of_columns(spark: SparkSession) -> None:
    config = ItemKnnConfig(shrinkage=2.0, min_users=1)
    found = terms(fit_item_knn(known(spark, BOUGHT), config))
    near_c = {"a": 3 / (ROOT_10 * ROOT_5) / 3, "b": 1 / 5 / 3}
    assert found == {
        "a": {"b": COSINE_AB * 2 / 4, "c": near_c["a"]},
        "b": {"a": COSINE_AB * 2 / 4, "c": near_c["b"]},
        "c": near_c,
    }


def test_item_knn_keeps_the_nearest_and_leaves_out_what_few_users_share(
    spark: SparkSession,
) -> None:
    one = fit_item_knn(known(spark, BOUGHT), ItemKnnConfig(neighbours=1, min_users=1))
    assert {item: set(near) for item, near in terms(one).items()} == {
        "a": {"b"}, "b": {"a"}, "c": {"a"}
    }  # fmt: skip
    shared = fit_item_knn(known(spark, BOUGHT), ItemKnnConfig(min_users=2))
    assert set(terms(shared)) == {"a", "b"}


def test_ease_rebuilds_users_without_using_an_item_for_itself(spark: SparkSession) -> None:
    X = np.array([[1, 1, 0], [1, 1, 1], [0, 0, 1]], dtype=float)
    B = item_weights(X.T @ X, 2.0)
    np.testing.assert_array_equal(np.diag(B), 0)
    # The closed form is the least-squares solution of each column over the other items.
    for item in range(3):
        others = [other for other in range(3) if other != item]
        A = X[:, others]
        solved = np.linalg.solve(A.T @ A + 2.0 * np.eye(2), A.T @ X[:, item])
        np.testing.assert_allclose(B[others, item], solved)
    found = terms(fit_ease(known(spark, BOUGHT), EaseConfig(reg=2.0)))
    names = "abc"
    assert found == {
        names[i]: {names[j]: B[j, i] for j in range(3) if abs(B[j, i]) > 0} for i in range(3)
    }


def test_ease_refuses_a_catalogue_that_is_too_large(spark: SparkSession) -> None:
    with pytest.raises(ConfigError, match="retrieval.ease: 3 items .* max_items 2"):
        fit_ease(known(spark, BOUGHT), EaseConfig(max_items=2))


def test_history_is_the_weight_of_what_the_user_did(spark: SparkSession) -> None:
    vectors = fit_history(known(spark, BOUGHT), HistoryConfig())
    assert terms(vectors) == {name: {name: 1.0} for name in "abc"}
    users = {row["user_id"]: (row["indices"], row["vector"]) for row in vectors.users.collect()}
    assert users == {
        "u1": ([0, 1], [1.0, 2.0]),
        "u2": ([0, 1, 2], [3.0, 1.0, 1.0]),
        "u3": ([2], [2.0]),
    }
