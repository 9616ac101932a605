"""Affinities by hand, and the same ones in training as in serving."""

import pickle
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, Row, SparkSession

from activityrec.config import FeaturesConfig
from activityrec.features import pairs
from activityrec.features.eligible import EligibleItems, eligible_items
from activityrec.features.pairs import (
    affinity_blocks,
    histories,
    pair_features,
)
from activityrec.retrieval.kernel import LiveActivities, candidate_mapper
from activityrec.retrieval.spread import Spread
from activityrec.tables import affinity_columns

DAY = date(2024, 5, 1)
ACTIVITIES = ["a", "b", "none"]
FEATURES = FeaturesConfig(
    event_types=["buy", "page_view"], affinity_types=["buy", "page_view"], affinity_windows=[30]
)
NAMES = [column.name for column in affinity_columns(FEATURES)]


def ago(days: int) -> date:
    return DAY - timedelta(days=days)


@pytest.fixture(scope="module")
def items(spark: SparkSession) -> EligibleItems:
    covered = spark.createDataFrame(
        # A product in two offers of an activity counts once; s has no category; "over" is not
        # among the activities asked for.
        [("a", "o1", "p"), ("a", "o2", "p"), ("a", "o1", "q"), ("b", None, "q"), ("b", None, "s"),
         ("over", None, "far")],
        "activity_id STRING, offer_id STRING, product_id STRING",
    )  # fmt: skip
    products = spark.createDataFrame(
        [("p", "tea"), ("q", "milk"), ("r", "tea"), ("s", None), ("t", None), ("far", "far")],
        "product_id STRING, category STRING",
    )
    return eligible_items(spark, ACTIVITIES, covered, products)


@pytest.fixture(scope="module")
def past(spark: SparkSession, items: EligibleItems) -> DataFrame:
    daily = spark.createDataFrame(
        [
            (ago(30), "u", "buy", "p", 2, 10.0),
            (ago(31), "u", "buy", "p", 1, 5.0),
            (ago(1), "u", "buy", "q", 1, 4.0),
            (ago(1), "u", "buy", "r", 3, 6.0),
            (ago(1), "u", "buy", "s", 1, 1.0),
            (ago(1), "u", "buy", "t", 1, 14.0),
            (ago(1), "u", "page_view", "p", 7, 0.0),
            (ago(0), "u", "buy", "p", 99, 990.0),
            (ago(2), "v", "buy", "far", 1, 8.0),
            (ago(2), "w", "buy", "q", 5, 20.0),
        ],
        "event_date DATE, user_id STRING, event_type STRING, product_id STRING, events BIGINT, "
        "amount DOUBLE",
    )
    population = spark.createDataFrame(
        [(DAY, "u"), (DAY, "v"), (DAY, "w"), (DAY, "idle"), (ago(30), "u")],
        "snapshot_date DATE, user_id STRING",
    )
    return histories(population, daily, items, FEATURES).persist()


@pytest.fixture(scope="module")
def found(spark: SparkSession, past: DataFrame, items: EligibleItems) -> dict[tuple, Row]:
    wanted = spark.createDataFrame(
        [(day, user, activity)
         for day, user in [(DAY, "u"), (DAY, "v"), (DAY, "w"), (DAY, "idle"), (ago(30), "u")]
         for activity in ("none", "b", "a")],
        "snapshot_date DATE, user_id STRING, activity_id STRING",
    )  # fmt: skip
    rows = pair_features(wanted, past, items.side, FEATURES).collect()
    assert len(rows) == 15
    return {(row["snapshot_date"], row["user_id"], row["activity_id"]): row for row in rows}


def test_affinities_by_hand(found: dict[tuple, Row]) -> None:
    wanted = {
        "buy_eligible_count": 4, "buy_eligible_amount": 19.0, "buy_eligible_share": 19 / 40,
        "buy_eligible_products": 2,
        "buy_eligible_count_30d": 3, "buy_eligible_amount_30d": 14.0,
        # The categories of a are tea and milk: p, q and also r.
        "buy_category_count": 7, "buy_category_amount": 25.0, "buy_category_share": 25 / 40,
        "buy_category_products": 3,
        "page_view_eligible_count": 7, "page_view_eligible_share": 0.0,
        "page_view_category_products": 1,
    }  # fmt: skip
    row = found[DAY, "u", "a"]
    assert {name: row[name] for name in wanted} == pytest.approx(wanted)

    # Products without a category share none with each other: of b's s, t is no relative.
    row = found[DAY, "u", "b"]
    assert (row["buy_eligible_amount"], row["buy_category_amount"]) == (5.0, 4.0)


def test_a_snapshot_knows_what_happened_before_its_own_day(found: dict[tuple, Row]) -> None:
    row = found[ago(30), "u", "a"]
    assert (row["buy_eligible_count"], row["buy_eligible_count_30d"]) == (1, 1)
    assert row["buy_eligible_share"] == 1.0


def test_nothing_in_common_is_zero(found: dict[tuple, Row]) -> None:
    for key in ((DAY, "v", "a"), (DAY, "idle", "a"), (DAY, "u", "none")):
        assert [found[key][name] for name in NAMES] == [0.0] * len(NAMES), key


def test_serving_computes_the_features_that_training_learnt_from(
    past: DataFrame, items: EligibleItems, found: dict[tuple, Row]
) -> None:
    histories = past.where(f"snapshot_date = '{DAY}'").orderBy("user_id").toArrow()
    users = histories.column("user_id").to_pylist()
    count = len(users)
    empty = pa.array([[]] * count, pa.list_(pa.int32()))
    (batch,) = (
        histories.append_column("answered_activities", empty)
        .append_column("capped_activities", empty)
        .append_column("barred_by", empty)
        .combine_chunks()
        .to_batches()
    )
    width = len(ACTIVITIES)
    live = LiveActivities(items.side, {}, {}, np.zeros(width))
    (served,) = candidate_mapper(Spread(pickle.dumps(live)), ["user_id"], NAMES, width)(
        iter([batch])
    )
    assert served.column("user_id").to_pylist() == users == ["idle", "u", "v", "w"]
    for user, candidates in zip(users, served.column("candidates").to_pylist(), strict=True):
        assert [c["activity_id"] for c in candidates] == ACTIVITIES
        for candidate in candidates:
            learnt = found[DAY, user, candidate["activity_id"]]
            assert {n: candidate[n] for n in NAMES} == {n: learnt[n] for n in NAMES}


def test_blocks_of_a_batch_are_the_same_as_the_whole(
    past: DataFrame, items: EligibleItems, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large batch is cut into slices, whose arrays keep the offsets of the whole."""
    (batch,) = past.orderBy("user_id").toArrow().combine_chunks().to_batches()
    ((_, whole),) = affinity_blocks(batch, items.side)
    monkeypatch.setattr(pairs, "CELLS_PER_BLOCK", 2 * len(ACTIVITIES))
    blocks = list(affinity_blocks(batch, items.side))
    assert [rows.num_rows for rows, _ in blocks] == [2, 2, 1]
    assert whole["buy_eligible_amount"].any()
    for name, values in whole.items():
        np.testing.assert_array_equal(np.concatenate([b[name] for _, b in blocks]), values, name)


@pytest.mark.parametrize("entries", [1, 1_000_000])
def test_given_pairs_have_the_cells_of_the_whole(
    past: DataFrame, items: EligibleItems, monkeypatch: pytest.MonkeyPatch, entries: int
) -> None:
    (batch,) = past.orderBy("user_id").toArrow().combine_chunks().to_batches()
    ((_, whole),) = affinity_blocks(batch, items.side)
    wanted = [[1], [0, 1, 2], [], [0], [0, 2]]
    monkeypatch.setattr(pairs, "ENTRIES_PER_BLOCK", entries)
    asked = batch.append_column("wanted", pa.array(wanted, pa.list_(pa.int32())))
    blocks = list(pairs.pair_mapper(items.side, NAMES)(iter([asked])))
    assert len(blocks) == (7 if entries == 1 else 1)
    found = pa.Table.from_batches(blocks)
    cells = [(row, place) for row, places in enumerate(wanted) for place in places]
    users = batch.column("user_id").to_pylist()
    assert found.column("user_id").to_pylist() == [users[row] for row, _ in cells]
    assert found.column("activity_id").to_pylist() == [ACTIVITIES[place] for _, place in cells]
    for name in NAMES:
        expected = [whole[name][cell] for cell in cells]
        np.testing.assert_array_equal(found.column(name).to_numpy(), expected, name)


def test_without_affinity_types_there_are_users_but_no_features(
    spark: SparkSession, items: EligibleItems
) -> None:
    nothing = FeaturesConfig(event_types=["page_view"])
    population = spark.createDataFrame([(DAY, "u")], "snapshot_date DATE, user_id STRING")
    daily = spark.createDataFrame(
        [(ago(2), "u", "page_view", "p", 1, 0.0)],
        "event_date DATE, user_id STRING, event_type STRING, product_id STRING, events BIGINT, "
        "amount DOUBLE",
    )
    wanted = population.selectExpr("*", "'a' AS activity_id")
    past = histories(population, daily, items, nothing)
    rows = pair_features(wanted, past, items.side, nothing).collect()
    assert [tuple(row) for row in rows] == [(DAY, "u", "a")]
