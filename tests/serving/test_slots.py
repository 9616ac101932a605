"""The slots of lists: order, pins, maxima, diversity; propensities that are those of the draws."""

from collections import Counter
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from pyspark.sql import SparkSession
from scipy import stats

from activityrec.evaluation.off_policy import off_policy_estimates
from activityrec.serving.slots import Contenders, SlotPolicy, fill_slots

RANDOM = np.random.default_rng(11)
SCORES = np.array([0.9, 0.8, 0.5, 0.45, 0.1])


def block(scores: np.ndarray, users: int = 1) -> Contenders:
    """Users who have the same candidates, the activities 0, 1, 2, ..."""
    shape = (users, len(scores))
    return Contenders(
        score=np.broadcast_to(scores, shape),
        allowed=np.ones(shape, dtype=bool),
        activity=np.broadcast_to(np.arange(len(scores)), shape),
        kind=np.zeros(shape, dtype=np.int64),
        pin=np.zeros(shape, dtype=np.int64),
        room=np.full(users, len(scores)),
        key=RANDOM.integers(0, 2**63, users).astype(np.uint64),
    )


def test_without_chance_lists_are_in_order_with_propensity_one() -> None:
    mine = replace(block(SCORES, 2), room=np.array([9, 2]))
    mine.allowed[:, 1] = False
    chosen, propensity = fill_slots(mine, SlotPolicy(), 3)
    assert chosen.tolist() == [[0, 2, 3], [0, 2, -1]]
    np.testing.assert_array_equal(propensity, [[1, 1, 1], [1, 1, np.nan]])


def test_pins_come_first_in_their_order_where_they_are_allowed() -> None:
    mine = replace(block(SCORES, 2), pin=np.array([[0, 0, 2, 0, 1]] * 2))
    mine.allowed[1, 4] = False
    chosen, propensity = fill_slots(mine, SlotPolicy(share=0.5), 3)
    assert chosen[:, :2].tolist()[0] == [4, 2]
    assert chosen[1, 0] == 2
    assert propensity[0, :2].tolist() == [1, 1]


def test_no_more_of_a_type_than_the_maximum_pins_among_them() -> None:
    kind = np.array([[0, 0, 0, 1, 2]])
    mine = replace(block(SCORES), kind=kind, pin=np.array([[0, 0, 1, 0, 0]]))
    assert fill_slots(mine, SlotPolicy(max_per_type=1), 5)[0].tolist() == [[2, 3, 4, -1, -1]]
    assert fill_slots(mine, SlotPolicy(max_per_type=2), 5)[0].tolist() == [[2, 0, 3, 4, -1]]


def test_diversity_is_maximal_marginal_relevance() -> None:
    similarity = np.eye(5)
    similarity[0, 1] = similarity[1, 0] = 0.9
    policy = SlotPolicy(diversity=0.5, similarity=similarity)
    # By hand: after 0 stand 1 at (0.875 - 0.9) / 2, 2 at 0.5 / 2, 3 at 0.4375 / 2, 4 at 0.
    assert fill_slots(block(SCORES), policy, 5)[0].tolist() == [[0, 2, 3, 4, 1]]
    mild = replace(policy, diversity=0.1)
    assert fill_slots(block(SCORES), mild, 3)[0].tolist() == [[0, 1, 2]]
    assert fill_slots(block(SCORES), replace(policy, diversity=0.0), 3)[0].tolist() == [[0, 1, 2]]


def probabilities_of_lists(value: np.ndarray, share: float, heat: float, k: int) -> dict:
    """Each list with the product of its slots' probabilities, written out."""
    found = {}
    for chosen in permutations(range(len(value)), k):
        left, probability = list(range(len(value))), 1.0
        for activity in chosen:
            grown = {a: np.exp(value[a] / heat) for a in left}
            soft = grown[activity] / sum(grown.values())
            best = max(left, key=lambda a: value[a])
            probability *= (1 - share) * (activity == best) + share * soft
            left.remove(activity)
        found[chosen] = probability
    return found


@pytest.mark.parametrize("share, heat", [(0.3, 0.4), (1.0, 0.5), (0.1, 2.0)])
def test_frequencies_of_a_hundred_thousand_lists_agree_with_the_propensities(
    share: float, heat: float
) -> None:
    users, k = 100_000, 3
    policy = SlotPolicy(share=share, temperature=heat)
    chosen, propensity = fill_slots(block(SCORES, users), policy, k)
    value = (SCORES - SCORES.min()) / (SCORES.max() - SCORES.min())
    wanted = probabilities_of_lists(value, share, heat, k)
    assert sum(wanted.values()) == pytest.approx(1)
    logged = propensity.prod(axis=1)
    for made, product in zip(map(tuple, chosen.tolist()), logged, strict=True):
        assert product == pytest.approx(wanted[made])
    seen = Counter(map(tuple, chosen.tolist()))
    common = [name for name, p in wanted.items() if users * p >= 5]
    rare = users - sum(seen[name] for name in common)
    expected = np.array([users * wanted[name] for name in common])
    observed = np.array([seen[name] for name in common], dtype=float)
    if (rest := users - expected.sum()) >= 5:
        observed, expected = np.append(observed, rare), np.append(expected, rest)
    else:
        expected *= observed.sum() / expected.sum()
    assert stats.chisquare(observed, expected).pvalue > 0.001


def test_draws_depend_on_run_user_and_slot_alone() -> None:
    mine = block(SCORES, 1_000)
    policy = SlotPolicy(share=1.0, temperature=1.0)
    whole = fill_slots(mine, policy, 3)[0]
    np.testing.assert_array_equal(fill_slots(mine, policy, 3)[0], whole)
    order = RANDOM.permutation(1_000)
    np.testing.assert_array_equal(fill_slots(mine.rows(order), policy, 3)[0], whole[order])


def test_chance_never_breaks_a_rule() -> None:
    users, width, k = 2_000, 12, 5
    mine = replace(
        block(np.sort(RANDOM.random(width))[::-1], users),
        allowed=RANDOM.random((users, width)) < 0.5,
        kind=RANDOM.integers(0, 3, (users, width)),
        pin=RANDOM.integers(0, 3, (users, width)) * (RANDOM.random((users, width)) < 0.1),
        room=RANDOM.integers(0, k + 1, users),
    )
    policy = SlotPolicy(2, 0.4, np.eye(width), 0.5, 0.3)
    chosen, propensity = fill_slots(mine, policy, k)
    for user, row in enumerate(chosen):
        listed = row[row >= 0]
        assert len(set(listed)) == len(listed) <= mine.room[user]
        assert mine.allowed[user, listed].all()
        assert Counter(mine.kind[user, listed]).total() == len(listed)
        assert max(Counter(mine.kind[user, listed]).values(), default=0) <= 2
        assert (row[: len(listed)] >= 0).all(), "no gaps"
    assert ((propensity > 0) == (chosen >= 0)).all()


def test_the_logged_propensities_give_the_planted_worth_of_another_policy(
    spark: SparkSession,
) -> None:
    users = 20_000
    rates = np.array([0.05, 0.4, 0.2, 0.1, 0.3])
    mine = block(SCORES, users)
    chosen, propensity = fill_slots(mine, SlotPolicy(share=0.4, temperature=0.5), 1)
    reward = RANDOM.random(users) < rates[chosen[:, 0]]
    # The policy in question shows activity 1 to a half of the users, and activity 4 to the others.
    wanted = np.where(np.arange(users) % 2, 1, 4)
    rows = [
        (f"u{user}", float(reward[user]), float(propensity[user, 0]),
         float(chosen[user, 0] == wanted[user]))
        for user in range(users)
    ]  # fmt: skip
    log = spark.createDataFrame(
        rows, "user_id STRING, reward DOUBLE, propensity DOUBLE, target DOUBLE"
    )
    for row in off_policy_estimates(log).collect():
        assert row["low"] <= 0.35 <= row["high"], row
