"""The kernel: sparse products, masks and the best cells of each row."""

import pickle
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from activityrec.features.affinity import (
    ActivitySide,
    Ragged,
    cells_of_products,
    sparse_products,
)
from activityrec.retrieval.eligibility import (
    RULES,
    Barrier,
    broken_rules,
    would_be_candidates,
)
from activityrec.retrieval.kernel import LiveActivities, candidate_mapper, proposed, top
from activityrec.retrieval.scores import ActivitySideVectors
from activityrec.retrieval.spread import Spread

RANDOM = np.random.default_rng(5)


def test_sparse_products_equal_the_dense_ones() -> None:
    users, items, activities = 9, 12, 5
    bought = RANDOM.random((users, items)) * (RANDOM.random((users, items)) < 0.3)
    bought[4] = 0
    covers = RANDOM.random((items, activities)) < 0.4
    covers[3] = False
    owned = Ragged.from_pairs(*map(np.asarray, np.nonzero(bought)), n_rows=users)
    matrix = Ragged.from_pairs(*map(np.asarray, np.nonzero(covers)), n_rows=items)
    found = sparse_products(owned, {"x": bought[np.nonzero(bought)]}, matrix, activities)
    np.testing.assert_allclose(found["x"], bought @ covers)


def test_some_cells_of_sparse_products_are_those_of_the_whole() -> None:
    users, items, activities = 40, 30, 8
    bought = RANDOM.random((users, items)) * (RANDOM.random((users, items)) < 0.4)
    bought[[0, 7]] = 0
    covers = RANDOM.random((items, activities)) < 0.3
    covers[:, 2] = False
    owned = Ragged.from_pairs(*map(np.asarray, np.nonzero(bought)), n_rows=users)
    matrix = Ragged.from_pairs(*map(np.asarray, np.nonzero(covers)), n_rows=items)
    measures = {"x": bought[np.nonzero(bought)], "y": RANDOM.random(len(owned.items))}
    whole = sparse_products(owned, measures, matrix, activities)
    cells = RANDOM.integers(users, size=200), RANDOM.integers(activities, size=200)
    found = cells_of_products(owned, measures, matrix.transposed(activities), cells)
    for name, values in whole.items():
        assert values[cells].any()
        np.testing.assert_array_equal(found[name], values[cells], name)


def test_no_cells_of_nothing() -> None:
    empty = Ragged(np.zeros(4, dtype=np.int64), np.zeros(0, dtype=np.int64))
    columns = Ragged(np.array([0, 1]), np.array([0]))
    none = np.zeros(0, dtype=np.int64)
    for cells in ((none, none), (np.array([2]), np.array([0]))):
        found = cells_of_products(empty, {"x": np.zeros(0)}, columns, cells)
        assert found["x"].tolist() == [0.0] * len(cells[0])


def test_a_block_of_users_without_purchases_is_zero() -> None:
    empty = Ragged(np.zeros(4, dtype=np.int64), np.zeros(0, dtype=np.int64))
    matrix = Ragged(np.array([0, 1]), np.array([0]))
    np.testing.assert_array_equal(
        sparse_products(empty, {"x": np.zeros(0)}, matrix, 2)["x"], np.zeros((3, 2))
    )


def test_top_breaks_ties_by_column_and_never_returns_a_masked_cell() -> None:
    scores = np.array([[1.0, 3.0, 3.0, 2.0], [5.0, 5.0, 5.0, 5.0], [1.0, 2.0, 3.0, 4.0]])
    mask = np.array([[1, 1, 1, 1], [0, 1, 1, 1], [0, 0, 0, 0]], dtype=bool)
    rows, columns = top(scores, mask, 2)
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == [
        (0, 1),
        (0, 2),
        (1, 1),
        (1, 2),
    ]
    rows, columns = top(scores, mask, 100)
    assert len(rows) == 7


@pytest.mark.parametrize("tied", [0, 3, 100, 200])
@pytest.mark.parametrize("width", [30, 403])
def test_top_is_that_of_a_full_sort(width: int, tied: int) -> None:
    scores = RANDOM.integers(0, 6, size=(200, width)).astype(float)
    scores[tied:] += RANDOM.random((200 - tied, width))
    mask = RANDOM.random(scores.shape) < 0.7
    mask[5] = False
    mask[7, 2:] = False
    for n in (1, 4, 29, 30, 50):
        order = np.argsort(np.where(mask, -scores, np.inf), axis=1, kind="stable")[:, :n]
        wanted = [(r, c) for r, row in enumerate(order) for c in row if mask[r, c]]
        rows, columns = top(scores, mask, n)
        assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == wanted


def test_each_retriever_proposes_its_part_and_the_blend_fills_the_rest() -> None:
    first = np.array([[9.0, 8, 0, 0, 0, 0], [9, 8, 0, 0, 0, 0]])
    second = np.array([[0.0, 0, 0, 0, 8, 9], [9, 8, 0, 0, 0, 0]])
    order = np.array([[0.0, 0, 5, 4, 0, 0], [0, 0, 5, 4, 3, 0]])
    mask = np.array([[True] * 6, [True, True, False, True, True, True]])
    kept = proposed({"a": first, "b": second}, order, mask, 4)
    np.testing.assert_array_equal(
        kept, [[True, True, False, False, True, True], [True, True, False, True, True, False]]
    )
    assert proposed({"a": first}, order, mask, 4) is mask


def test_a_retriever_proposes_nothing_of_a_user_that_it_does_not_know() -> None:
    unknown = np.zeros((1, 6))
    few = np.array([[0.0, 0, 0, 3, 0, 0]])
    order = np.array([[0.0, 1, 2, 3, 4, 5]])
    kept = proposed({"a": unknown, "b": few}, order, np.ones((1, 6), dtype=bool), 4)
    assert np.flatnonzero(kept).tolist() == [2, 3, 4, 5]


def test_popularity_changes_the_order_of_no_scores_however_small_they_are() -> None:
    side = ActivitySideVectors.dense(np.array([[5e-7], [2e-7], [1e-7]], dtype=np.float32))
    live = replace(_live(), vectors={"als": side})
    users = _users().slice(0, 1)
    one = pa.array([[1.0]], pa.list_(pa.float32()))
    users = users.set_column(2, "als_vector", one)
    (batch,) = candidate_mapper(Spread(pickle.dumps(live)), ["user_id"], [], 3)(iter([users]))
    assert [c["activity_id"] for c in batch.column("candidates")[0].as_py()] == ["a", "b", "c"]


def _live() -> LiveActivities:
    nothing = Ragged(np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.int64))
    return LiveActivities(
        ActivitySide(("a", "b", "c"), nothing, nothing),
        {"als": ActivitySideVectors.dense(np.array([[1, 0], [0, 1], [1, 1]], dtype=np.float32))},
        {"als": 1.0},
        np.array([0.1, 0.9, 0.5]),
        (Barrier("target_group", np.array([1])), Barrier("consent", np.array([1, 2]))),
    )


def _users() -> pa.RecordBatch:
    empty = pa.array([[]] * 4, pa.list_(pa.struct([("product_no", pa.int32())])))
    return pa.RecordBatch.from_arrays(
        [
            pa.array(["known", "unknown", "answered", "outsider"]),
            pa.array([None] * 4, pa.list_(pa.int32())),
            pa.array([[2.0, 1.0], None, [2.0, 1.0], [2.0, 1.0]], pa.list_(pa.float32())),
            pa.array([[], [], [2], []], pa.list_(pa.int32())),
            pa.array([[], [], [1], []], pa.list_(pa.int32())),
            pa.array([[], [], [], [0, 1]], pa.list_(pa.int32())),
            empty,
            pa.array([[]] * 4, pa.list_(pa.struct([("category_no", pa.int32())]))),
            pa.array([{"_": 0}] * 4, pa.struct([("_", pa.int32())])),
        ],
        names=["user_id", "als_indices", "als_vector", "answered_activities", "capped_activities",
               "barred_by", "by_product", "by_category", "totals"],
    )  # fmt: skip


BROKEN = [
    ["", "", ""],
    ["", "", ""],
    ["", "frequency_cap", "answered"],
    ["", "target_group", "consent"],
]


def rules_of(rows: pa.RecordBatch) -> list[list[str]]:
    codes = broken_rules(rows, _live().barriers, 3)
    return [[("", *RULES)[code] for code in user] for user in codes]


def test_masks_know_the_first_rule_that_is_broken() -> None:
    assert rules_of(_users()) == BROKEN


def test_a_slice_of_a_batch_is_masked_by_its_own_rows() -> None:
    assert rules_of(_users().slice(2, 2)) == BROKEN[2:]


def test_only_what_would_have_been_a_candidate_is_excluded() -> None:
    order = np.array([[5.0, 4, 3, 2, 1], [5, 4, 3, 2, 1], [1, 2, 3, 4, 5]])
    broken = np.array([[1, 0, 2, 0, 1], [0, 0, 0, 0, 0], [0, 1, 1, 1, 1]], dtype=np.int8)

    def cells(n: int, limit: int) -> list[tuple[int, int]]:
        found = would_be_candidates(order, broken, n, limit)
        return list(zip(*map(np.ndarray.tolist, found), strict=True))

    # Of the first user 4 and 2 are the best two that are allowed; of the last there is but one.
    assert cells(2, 9) == [(0, 0), (0, 2), (2, 4), (2, 3), (2, 2), (2, 1)]
    assert cells(2, 1) == [(0, 0), (2, 4)]
    assert cells(1, 9) == [(0, 0), (2, 4), (2, 3), (2, 2), (2, 1)]
    assert cells(5, 9) == [(0, 0), (0, 2), (0, 4), (2, 4), (2, 3), (2, 2), (2, 1)]


def test_candidates_carry_the_rule_that_excludes_them_behind_those_allowed() -> None:
    live = Spread(pickle.dumps(_live()))
    mapper = candidate_mapper(live, ["user_id"], [], 3, excluded=3)
    (batch,) = mapper(iter([_users()]))
    found = [
        [(c["activity_id"], ("", *RULES)[c["rule"]]) for c in rows.as_py()]
        for rows in batch.column("candidates")
    ]
    assert found[2:] == [
        [("a", ""), ("c", "answered"), ("b", "frequency_cap")],
        [("a", ""), ("c", "consent"), ("b", "target_group")],
    ]


def test_what_is_pinned_is_a_candidate_of_whom_rules_allow_it() -> None:
    live = Spread(pickle.dumps(replace(_live(), pinned=np.array([1]))))
    (batch,) = candidate_mapper(live, ["user_id"], [], 1)(iter([_users()]))
    found = [[c["activity_id"] for c in rows.as_py()] for rows in batch.column("candidates")]
    assert found == [["b"], ["b"], ["a"], ["a"]]


def test_candidates_are_best_first_and_unknown_users_get_the_popular_ones() -> None:
    live = Spread(pickle.dumps(_live()))
    (batch,) = candidate_mapper(live, ["user_id"], [], 2)(iter([_users()]))
    found = dict(zip(batch.column("user_id").to_pylist(), batch.column("candidates"), strict=True))
    names = {user: [c["activity_id"] for c in rows.as_py()] for user, rows in found.items()}
    assert names == {
        "known": ["c", "a"],
        "unknown": ["b", "c"],
        "answered": ["a"],
        "outsider": ["a"],
    }
