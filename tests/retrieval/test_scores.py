"""Blocks of scores, sparse and dense, equal plain products of matrices."""

import numpy as np
import pyarrow as pa
import pytest

from activityrec.retrieval import scores as module
from activityrec.retrieval.scores import ActivitySideVectors, blend, ranks, score_block

RANDOM = np.random.default_rng(5)
USERS, PLACES, ACTIVITIES = 9, 12, 7


def sparse(matrix: np.ndarray) -> tuple[pa.ListArray, pa.ListArray]:
    """Rows of zeros are users that nothing is known of."""
    places = [np.flatnonzero(row).tolist() or None for row in matrix]
    values = [row[row != 0].tolist() or None for row in matrix]
    return pa.array(places, pa.list_(pa.int32())), pa.array(values, pa.list_(pa.float32()))


def dense(matrix: np.ndarray) -> tuple[pa.ListArray, pa.ListArray]:
    rows = [row.tolist() if row.any() else None for row in matrix]
    return pa.array([None] * len(matrix), pa.list_(pa.int32())), pa.array(
        rows, pa.list_(pa.float32())
    )


def random(shape: tuple[int, int], filled: float) -> np.ndarray:
    values = np.where(RANDOM.random(shape) < filled, RANDOM.normal(size=shape), 0)
    values[3] = 0
    return values.astype(np.float32).astype(np.float64)


def sides(matrix: np.ndarray) -> dict[str, ActivitySideVectors]:
    """The activities (rows) as a dense and as a sparse side."""
    full = [(number, None, row) for number, row in enumerate(matrix) if row.any()]
    thin = [(number, np.flatnonzero(row), row[row != 0]) for number, _, row in full]
    return {
        "dense": ActivitySideVectors.of(full, len(matrix)),
        "sparse": ActivitySideVectors.of(thin, len(matrix)),
    }


@pytest.mark.parametrize("users, side", [("dense", "dense"), ("sparse", "dense"),
                                         ("sparse", "sparse")])  # fmt: skip
def test_scores_are_dot_products(users: str, side: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Several blocks of dense rows.
    monkeypatch.setattr(module, "BLOCK_CELLS", 2 * PLACES)
    X, A = random((USERS, PLACES), 0.4), random((ACTIVITIES, PLACES), 0.4)
    columns = sparse(X) if users == "sparse" else dense(X)
    vectors = sides(A)[side]
    np.testing.assert_allclose(score_block(*columns, vectors), X @ A.T, atol=1e-12)
    part = [column.slice(2, 4) for column in columns]
    np.testing.assert_allclose(score_block(*part, vectors), (X @ A.T)[2:6], atol=1e-12)
    some = np.array([5, 0, 3])
    np.testing.assert_allclose(
        score_block(*columns, vectors.only(some)), (X @ A.T)[:, some], atol=1e-12
    )


def test_unknown_users_and_activities_score_zero() -> None:
    nobody = sparse(np.zeros((3, 2)))
    side = sides(random((ACTIVITIES, PLACES), 0.5))
    assert not score_block(*nobody, side["sparse"]).any()
    assert not score_block(*nobody, side["dense"]).any()
    users = dense(random((USERS, PLACES), 1.0))
    empty = score_block(*users, ActivitySideVectors.of([], 4))
    assert (empty.shape, empty.any()) == ((USERS, 4), False)


def test_ties_share_their_mean_rank() -> None:
    found = ranks(np.array([[3.0, 1.0, 3.0, 2.0], [0.0, 0.0, 0.0, 0.0], [1.0, 2.0, 3.0, 4.0]]))
    np.testing.assert_array_equal(found, [[1.5, 4, 1.5, 3], [2.5] * 4, [4, 3, 2, 1]])


def test_a_blend_adds_what_is_standardised_over_the_allowed() -> None:
    mask = np.array([[True, True, False], [True, True, True]])
    scores = {
        "a": np.array([[10.0, 30.0, 999.0], [5.0, 5.0, 5.0]]),
        "b": np.array([[2.0, 1.0, 0.0], [0.0, 0.0, 3.0]]),
    }
    found = blend(scores, {"a": 2.0, "b": 1.0}, mask)
    np.testing.assert_allclose(found[0, :2], [-2 + 1, 2 - 1])
    # "a" says nothing of the second user.
    np.testing.assert_allclose(found[1], np.array([-1, -1, 2]) / np.sqrt(2))
    assert blend({"a": scores["a"]}, {"a": 2.0}, mask) is scores["a"]
