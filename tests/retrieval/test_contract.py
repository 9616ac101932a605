"""What every retriever keeps, each tried on the same boards."""

from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from activityrec.config import RetrievalConfig
from activityrec.errors import StateError
from activityrec.retrieval.activities import activity_vectors
from activityrec.retrieval.kernel import top
from activityrec.retrieval.protocol import Known, Vectors
from activityrec.retrieval.registry import RETRIEVERS
from activityrec.retrieval.scores import score_block
from activityrec.retrieval.sides import activity_sides, no_sides, users_side
from tests.retrieval.boards import DAY, checkerboard, known

PARAMETERS = RetrievalConfig.model_validate(
    {
        "als": {"rank": 2, "max_iter": 10, "alpha": 20.0, "blocks": 1},
        "item_knn": {"shrinkage": 0.0, "min_users": 2},
        "ease": {"reg": 1.0},
        "content": {"features": 64},
    }
)
COVERED = {"even": ["p0", "p2", "p4"], "odd": ["p1", "p3"], "unsold": ["p99"]}
"""New activities that nobody answered, and their products."""

FAST = ("als", "history")
"""One dense and one sparse retriever for every run of the tests; make slow tries the others."""
pytestmark = pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in FAST else pytest.mark.slow) for n in sorted(RETRIEVERS)],
)


def fit(name: str, what: Known) -> Vectors:
    return RETRIEVERS[name](what, getattr(PARAMETERS, name))


def scores(
    spark: SparkSession, name: str, vectors: Vectors, covered: dict[str, list[str]]
) -> tuple[list[str], list[str], np.ndarray]:
    """Users, activities and the scores between them."""

    def stored(frame: DataFrame) -> DataFrame:
        return frame.withColumns({"fitted_date": F.lit(DAY), "retriever": F.lit(name)})

    products = spark.createDataFrame(
        [(activity, product) for activity, listed in covered.items() for product in listed],
        "activity_id STRING, product_id STRING",
    )
    activities = activity_vectors(stored(vectors.items), products, own_prior=1.0)
    own = [row[0] for row in vectors.items.where("item_kind = 'activity'")
           .select("item_id").collect()]  # fmt: skip
    ids = sorted({*covered, *own})
    fits = activity_sides(activities, ids, [name])
    side = (fits.get(DAY) or no_sides([name], len(ids)))[name]
    users = users_side(stored(vectors.users), [name]).orderBy("user_id").toArrow().combine_chunks()
    block = score_block(_one(users, f"{name}_indices"), _one(users, f"{name}_vector"), side)
    return users.column("user_id").to_pylist(), ids, block


def _one(table: pa.Table, column: str) -> pa.Array:
    return table.column(column).combine_chunks()


def test_a_checkerboard_is_solved_for_activities_that_nobody_answered(
    spark: SparkSession, name: str
) -> None:
    users, ids, found = scores(spark, name, fit(name, known(spark, checkerboard())), COVERED)
    assert len(users) == 16
    if name == "popularity":
        # The same for everybody; the first board has more of the odd ones left to be guessed.
        np.testing.assert_array_equal(found, np.broadcast_to(found[:1], found.shape))
        return
    even, odd, unsold = (found[:, ids.index(activity)] for activity in ("even", "odd", "unsold"))
    for user, likes_even in enumerate(int(u[1:]) % 2 == 0 for u in users):
        assert (even[user] > odd[user]) == likes_even
    np.testing.assert_array_equal(unsold, 0)


def test_a_checkerboard_of_activities_is_solved(spark: SparkSession, name: str) -> None:
    board = checkerboard("activity")
    users, ids, found = scores(spark, name, fit(name, known(spark, board)), {"even": []})
    seen = {(user, item) for user, _, item, _ in board}
    mask = np.array([[(user, item) not in seen for item in ids] for user in users])
    if name == "popularity":
        np.testing.assert_array_equal(found, np.broadcast_to(found[:1], found.shape))
        return
    if name == "history":
        # It repeats: what was not done before scores nothing.
        np.testing.assert_array_equal(found[mask], 0)
        return
    if name == "bayes":
        np.testing.assert_allclose(found.sum(axis=1), 1)
    rows, columns = top(found, mask, 1)
    assert rows.tolist() == list(range(16))
    guessed = {users[row]: ids[column] for row, column in zip(rows, columns, strict=True)}
    wanted = {user: f"a{int(user[1:]) % 8}" for user in users}
    # Who likes even ones did not see one of them: it is the best of what they did not see.
    assert guessed == wanted


def test_the_same_board_gives_the_same_scores(spark: SparkSession, name: str) -> None:
    board = checkerboard()
    _, _, once = scores(spark, name, fit(name, known(spark, board)), COVERED)
    _, _, again = scores(spark, name, fit(name, known(spark, board[::-1])), COVERED)
    np.testing.assert_array_equal(once, again)


def test_one_user_with_one_item(spark: SparkSession, name: str) -> None:
    users, ids, found = scores(
        spark, name, fit(name, known(spark, [("u", "product", "p", 2.0)])), {"a": ["p"]}
    )
    assert (users, ids) == (["u"], ["a"])
    assert np.isfinite(found).all()


def test_nothing_to_learn_from_is_an_error(spark: SparkSession, name: str) -> None:
    with pytest.raises(StateError, match=f"no interactions before {date(2024, 3, 1)}"):
        fit(name, known(spark, []))
