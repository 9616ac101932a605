"""The plan's formulas beside real arrays, real rows and the kernel's real peak."""

import argparse
import pickle
import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

import plan as script
from activityrec.config import Config, ItemKnnConfig
from activityrec.config_file import load_config
from activityrec.features import pairs
from activityrec.features.affinity import ActivitySide, Ragged
from activityrec.planning import Need, advice, partitions, plan
from activityrec.planning_sizes import (
    Counts,
    array_bytes,
    audience_bytes,
    kernel_bytes,
    row_bytes,
    side_bytes,
)
from activityrec.retrieval import gram
from activityrec.retrieval.kernel import LiveActivities, candidate_mapper
from activityrec.retrieval.methods.ease import item_weights
from activityrec.retrieval.methods.item_knn import _nearest
from activityrec.retrieval.scores import ActivitySideVectors
from activityrec.retrieval.spread import spread
from activityrec.serving.audience import Audience
from activityrec.tables import affinity_columns
from tests.planted import configuration

COUNTS = Counts(1_000_000, 500, 100_000, 100_000_000, 100_000, 100)
SMALL = Counts(300, 40, 90, 5_000, 90, 7)


def config(**methods: float) -> Config:
    raw = configuration()
    raw["retrieval"]["methods"] = methods or {"als": 1.0, "history": 0.5}
    raw["recommend"]["candidates"] = 20
    return Config.model_validate(raw)


def live(counts: Counts, retrievers: Config) -> LiveActivities:
    """The activity side of each product in one activity, and as many categories."""
    number = np.arange(counts.products)
    owner = number % counts.activities
    covered = [Ragged.from_pairs(number, owner, counts.products) for _ in ("product", "category")]
    ids = tuple(f"a{n}" for n in range(counts.activities))
    rank = retrievers.retrieval.als.rank
    dense = [(n, None, np.ones(rank)) for n in range(counts.activities)]
    sparse = [(n, np.flatnonzero(owner == n), np.ones((owner == n).sum()))
              for n in range(counts.activities)]  # fmt: skip
    vectors = {
        "als": ActivitySideVectors.of(dense, counts.activities),
        "history": ActivitySideVectors.of(sparse, counts.activities),
    }
    popularity = np.zeros(counts.activities)
    return LiveActivities(
        ActivitySide(ids, *covered), vectors, retrievers.retrieval.weights, popularity
    )


def test_the_activity_side_has_the_arrays_of_the_formula() -> None:
    arrays: list[pickle.PickleBuffer] = []
    keep: Any = arrays.append
    pickle.dumps(live(SMALL, config()), protocol=5, buffer_callback=keep)
    planned, _ = side_bytes(["als", "history"], config(), SMALL)
    assert planned == sum(array.raw().nbytes for array in arrays)


def histories(users: int, products: int, of: Config) -> pa.RecordBatch:
    """Users who bought three products each, known to both retrievers."""
    bought = (np.arange(3 * users) * 7 % products).astype(np.int32)
    offsets = pa.array(np.arange(users + 1, dtype=np.int32) * 3)

    def entries(name: str, measures: list[str]) -> pa.ListArray:
        fields = [pa.array(bought), *[pa.array(np.ones(3 * users)) for _ in measures]]
        return pa.ListArray.from_arrays(
            offsets, pa.StructArray.from_arrays(fields, names=[name, *measures])
        )

    rank = of.retrieval.als.rank
    factors = pa.ListArray.from_arrays(
        pa.array(np.arange(users + 1, dtype=np.int32) * rank),
        pa.array(np.ones(users * rank, dtype=np.float32)),
    )
    nobody = pa.array([[]] * users, pa.list_(pa.int32()))
    columns = {
        "user_id": pa.array([f"u{n}" for n in range(users)]),
        "als_indices": pa.nulls(users, pa.list_(pa.int32())),
        "als_vector": factors,
        "history_indices": pa.ListArray.from_arrays(offsets, pa.array(bought)),
        "history_vector": pa.ListArray.from_arrays(
            offsets, pa.array(np.ones(3 * users, dtype=np.float32))
        ),
        "answered_activities": nobody,
        "capped_activities": nobody,
        "barred_by": nobody,
        "by_product": entries("product_no", pairs.product_measures(of.features)),
        "by_category": entries("category_no", pairs.category_measures(of.features)),
        "totals": pa.StructArray.from_arrays([pa.array(np.ones(users))], names=["purchase"]),
    }
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def test_the_kernel_stays_within_its_block(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells, of = 400_000, config()
    counts = replace(SMALL, users=6_000, activities=200, products=400)
    monkeypatch.setattr(pairs, "CELLS_PER_BLOCK", cells)
    names = [column.name for column in affinity_columns(of.features)]
    mapper = candidate_mapper(
        spread(spark, live(counts, of)), ["user_id"], names, of.recommend.candidates
    )
    # More than one block: nothing of one may be left in memory while the next is made.
    batch = histories(counts.users, counts.products, of)
    tracemalloc.start()
    for _ in mapper(iter([batch])):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    planned, _ = kernel_bytes(of, counts.activities, counts.users, cells)
    assert 0.9 * planned < peak < planned, f"{peak:,} of {planned:,}"


def test_audiences_stay_within_what_is_planned() -> None:
    size, activities, block = 4_000, 10, 4_000
    made, rng = Audience(size), np.random.default_rng(1)
    pool = pa.proxy_memory_pool(pa.default_memory_pool())
    before = pa.default_memory_pool()
    pa.set_memory_pool(pool)
    try:
        for number in range(100):
            users = [f"user-{number:03d}-{n:07d}" for n in range(block)]
            names = [f"activity-{n:07d}" for n in rng.integers(0, activities, block)]
            scores = rng.random(block)
            columns = {"user_id": users, "activity_id": names, "score": scores}
            made.add(pa.table(columns | {"probability": scores}))
    finally:
        pa.set_memory_pool(before)
    planned, _ = audience_bytes(2 * size * activities, 16)
    assert 0.5 * planned < pool.max_memory() < planned, f"{pool.max_memory():,} of {planned:,}"


def test_rows_are_as_long_as_spark_makes_them(spark: SparkSession) -> None:
    types = ["STRING", "DATE", "INT", "DOUBLE", "STRING", *["DOUBLE"] * 60]
    names = ", ".join(f"c{n} {kind}" for n, kind in enumerate(types))
    row = ("u" * 20, None, 3, 1.0, "p" * 20, *[0.5] * 60)
    frame: DataFrame = spark.createDataFrame([row], names).repartition(1)
    made = frame._jdf.queryExecution().toRdd().first()
    assert made.getSizeInBytes() == row_bytes(types, 20)


def test_arrays_are_as_long_as_spark_makes_them(spark: SparkSession) -> None:
    columns = "a INT, b INT, item ARRAY<INT>, weight ARRAY<DOUBLE>"
    row = (1, 2, list(range(101)), [0.5] * 101)
    made = spark.createDataFrame([row], columns).repartition(1)._jdf.queryExecution().toRdd()
    planned = row_bytes(["INT"] * 4, 0) + array_bytes(101, 4) + array_bytes(101, 8)
    assert made.first().getSizeInBytes() == planned


def test_ease_takes_four_matrices_on_the_driver() -> None:
    items = 300
    (need,) = [n for n in plan(config(ease=1.0), replace(COUNTS, products=items))
               if n.where == "driver"]  # fmt: skip
    gram = np.eye(items)
    tracemalloc.start()
    item_weights(gram, 1.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The Gram matrix itself is the fourth.
    assert peak + gram.nbytes <= 1.05 * need.size


def test_a_block_of_item_knn_stays_within_what_is_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    cells, width, users, each = 1_000_000, 2_000, 400, 400
    monkeypatch.setattr(gram, "CELLS", cells)
    monkeypatch.setattr(gram, "PAIRS", cells)
    (need,) = [n for n in plan(config(item_knn=1.0), replace(COUNTS, products=width))
               if n.what.startswith("item_knn: a block")]  # fmt: skip
    rng = np.random.default_rng(1)
    # Every two items are shared by somebody.
    items = [np.sort(rng.choice(width, each, replace=False)) for _ in range(users)]
    columns = {
        "block": pa.array([0] * users, pa.int32()),
        "item": pa.array([i.astype(np.int32) for i in items]),
        "weight": pa.array([np.ones(each)] * users),
    }
    batch = pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
    mapper = gram._mapper(width, gram.blocks_of(width), _nearest(ItemKnnConfig()))
    tracemalloc.start()
    (found,) = mapper(iter([batch]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.num_rows == cells // width
    assert 0.8 * need.size < peak < need.size, f"{peak:,} of {need.size:,}"


def sizes(needs: list[Need], where: str) -> dict[tuple[str, str], int]:
    return {(need.stage, need.what): need.size for need in needs if need.where == where}


def test_shuffles_grow_with_users_and_not_with_activities() -> None:
    ours = sizes(plan(config(), COUNTS), "shuffle")
    more = sizes(plan(config(), replace(COUNTS, activities=5_000, eligible=1_000_000)), "shuffle")
    # The audiences themselves are so many: of ten times the activities ten times, and not more
    # than there are candidates of users.
    audiences = ("recommend", "audiences of all tasks, each with 64 MB of users")
    assert more.pop(audiences) <= 10 * ours[audiences]
    of_users = {key: size for key, size in ours.items() if key != audiences}
    assert of_users == more
    twice = replace(COUNTS, users=2_000_000, events=200_000_000)
    for key, size in sizes(plan(config(), twice), "shuffle").items():
        assert size <= 2 * ours[key]


def test_of_many_candidates_those_above_a_floor_alone_are_handed_on() -> None:
    of, size = config(), 9_000
    limits = of.recommend.model_copy(update={"audience_size": size})
    of = of.model_copy(update={"recommend": limits})
    audiences = ("recommend", "audiences of all tasks, each with 64 MB of users")

    def bytes_with(candidates: int) -> int:
        counts = replace(COUNTS, users=candidates // limits.candidates)
        return sizes(plan(of, counts), "shuffle")[audiences]

    places = size * COUNTS.activities
    # All of them where there are few; of many 1.6 for each place.
    row = bytes_with(10 * places) / (1.6 * places)
    assert bytes_with(100 * places) == row * 1.6 * places
    assert bytes_with(4 * places) == row * 4 * places


def test_what_a_core_needs_does_not_grow_with_events() -> None:
    ours = sizes(plan(config(), COUNTS), "each core")
    more = sizes(plan(config(), replace(COUNTS, events=10**10)), "each core")
    # More events are more tasks, of which each sees fewer users.
    audiences = ("recommend", "audiences, in Python")
    assert more.pop(audiences) <= ours.pop(audiences)
    assert more == ours


def test_blocks_of_als_are_asked_for_by_the_number_of_users() -> None:
    assert advice(config(), COUNTS) == []
    (said,) = advice(config(), replace(COUNTS, users=10**9))
    assert said.startswith("retrieval.als.blocks: 1 → 60, ")


def test_partitions_follow_from_the_largest_shuffle() -> None:
    needs = [Need("a", "shuffle", "", 1 << 30, ""), Need("b", "driver", "", 1 << 40, "")]
    assert partitions(needs) == 16


def test_the_script_prints_every_need_with_its_arithmetic(
    planted: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--users", "1e6", "--activities", "500", "--products", "1e5", "--events", "1e8"]
    monkeypatch.setattr("sys.argv", ["plan", "--config", str(planted / "planted.yaml"), *given])
    script.main()
    printed = capsys.readouterr().out
    for need in plan(load_config(planted / "planted.yaml"), COUNTS):
        assert f"{need.what}: {need.arithmetic}" in printed
    monkeypatch.setattr("sys.argv", ["plan", "--config", str(planted / "none.yaml"), *given])
    with pytest.raises(SystemExit, match="cannot read the configuration"):
        script.main()


@pytest.mark.parametrize("text", ["inf", "nan", "0", "1.5", "-3", "1e30"])
def test_a_count_that_is_none_is_refused(text: str) -> None:
    with pytest.raises((argparse.ArgumentTypeError, ValueError)):
        script.count(text)


def test_a_count_may_be_written_with_a_power_of_ten() -> None:
    assert script.count("1e8") == 100_000_000
