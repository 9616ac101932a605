"""An audience is the same whatever blocks its users come in, and whenever rows were let go."""

from collections import defaultdict

import numpy as np
import pyarrow as pa
import pytest

from activityrec.serving import audience
from activityrec.serving.audience import Audience

USERS, ACTIVITIES, SIZE = 400, 5, 7


@pytest.fixture(scope="module")
def candidates() -> pa.Table:
    rng = np.random.default_rng(5)
    user, activity = np.divmod(rng.permutation(USERS * ACTIVITIES), ACTIVITIES)
    return pa.table(
        {
            "user_id": [f"u{n:03d}" for n in user],
            "activity_id": [f"a{n}" for n in activity],
            # Few values: most rows tie with others.
            "score": rng.integers(0, 40, len(user)) / 10,
            "rule": (rng.random(len(user)) < 0.2).astype(np.int32),
            "room": pa.array(np.where(rng.random(len(user)) < 0.1, 0, None), pa.int32()),
            "text": ["not kept"] * len(user),
        }
    )


def _by_hand(candidates: pa.Table) -> dict[str, list[tuple[float, str]]]:
    found = defaultdict(list)
    for row in candidates.to_pylist():
        if row["rule"] == 0 and row["room"] is None:
            found[row["activity_id"]].append((-row["score"], row["user_id"]))
    return {name: sorted(rows)[:SIZE] for name, rows in found.items()}


@pytest.mark.parametrize("block", [1, 13, USERS * ACTIVITIES])
@pytest.mark.parametrize("limit", [0, 50, 1_000_000])
def test_the_best_of_all_blocks_are_kept(
    candidates: pa.Table, block: int, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience, "ROWS_AT_LEAST", limit)
    made = Audience(SIZE)
    for start in range(0, candidates.num_rows, block):
        made.add(candidates.slice(start, block))
    rows, rank = made.best()
    assert rows.column_names == ["user_id", "activity_id", "score"]
    found = defaultdict(list)
    for row, place in zip(rows.to_pylist(), rank.tolist(), strict=True):
        found[row["activity_id"]].append((-row["score"], row["user_id"]))
        assert place == len(found[row["activity_id"]])
    assert found == _by_hand(candidates)


def test_no_more_rows_are_held_than_are_needed(
    candidates: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience, "ROWS_AT_LEAST", 20)
    made = Audience(SIZE)
    for start in range(0, candidates.num_rows, 10):
        made.add(candidates.slice(start, 10))
        assert made.held <= 2 * SIZE * ACTIVITIES


def test_below_a_floor_nobody_is_looked_at(
    candidates: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience, "ROWS_AT_LEAST", 20)
    best = _by_hand(candidates)
    # One activity gets all its users, also after rows were let go, of one there are none so good.
    made = Audience(SIZE, {"a0": -best["a0"][-1][0], "a1": 99.0})
    for start in range(0, candidates.num_rows, 50):
        made.add(candidates.slice(start, 50))
    rows, _ = made.best()
    found = defaultdict(list)
    for row in rows.to_pylist():
        found[row["activity_id"]].append((-row["score"], row["user_id"]))
    assert found == {name: rows for name, rows in best.items() if name != "a1"}


def test_an_audience_of_nobody_is_empty(candidates: pa.Table) -> None:
    made = Audience(SIZE)
    made.add(candidates.filter(pa.array([False] * candidates.num_rows)))
    rows, rank = made.best()
    assert rows.num_rows == 0 and len(rank) == 0


@pytest.mark.parametrize("score", [None, float("nan")])
def test_a_score_that_is_no_number_keeps_nobody_else_out(
    score: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience, "ROWS_AT_LEAST", 2)
    made = Audience(2)
    for user, value in (("a", 1.0), ("b", score), ("c", score), ("d", 5.0), ("e", 6.0)):
        scores = pa.array([value], pa.float64())
        made.add(pa.table({"user_id": [user], "activity_id": ["x"], "score": scores}))
    rows, _ = made.best()
    assert rows.column("user_id").to_pylist() == ["e", "d"]
