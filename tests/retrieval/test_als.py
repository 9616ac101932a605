"""ALS, the numbering of ids, and the vectors of activities."""

from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import Row, SparkSession

from activityrec.config import AlsConfig, InteractionsConfig
from activityrec.errors import StateError
from activityrec.retrieval.als import (
    activity_vectors,
    als_scores,
    fit_als,
    fit_dates,
    number,
)
from activityrec.retrieval.interactions import interactions
from activityrec.retrieval.kernel import als_block

DAY = date(2024, 3, 1)
ITEM_VECTORS = (
    "fitted_date DATE, item_kind STRING, item_id STRING, users BIGINT, vector ARRAY<FLOAT>"
)


def test_ids_are_numbered_without_gaps_in_their_order(spark: SparkSession) -> None:
    names = [f"n{place:03d}" for place in range(50)]
    rows = spark.createDataFrame([(name,) for name in reversed(names)], "id STRING").repartition(4)
    found = {row["id"]: row["id_no"] for row in number(rows, ["id"]).collect()}
    assert found == {name: place for place, name in enumerate(names)}


def test_numbers_go_on_from_partition_to_partition(spark: SparkSession) -> None:
    names = [(kind, f"n{place:03d}") for kind in ("activity", "product") for place in range(40)]
    rows = spark.createDataFrame(names[::-1], "kind STRING, id STRING")
    key = "spark.sql.shuffle.partitions"
    before = spark.conf.get(key)
    spark.conf.set(key, "5")
    try:
        numbered = number(rows, ["kind", "id"])
        found = {(row["kind"], row["id"]): row["id_no"] for row in numbered.collect()}
        assert numbered.rdd.getNumPartitions() > 1
    finally:
        spark.conf.set(key, before)
    assert found == {name: place for place, name in enumerate(names)}


def test_training_scores_a_pair_as_serving_does(spark: SparkSession) -> None:
    random = np.random.default_rng(2)
    users = random.normal(size=(5, 3)).astype(np.float32)
    activities = random.normal(size=(4, 3))
    pairs = [(DAY, f"u{u}", f"a{a}") for u in range(5) for a in range(4)]
    rows = als_scores(
        spark.createDataFrame(pairs, "fitted_date DATE, user_id STRING, activity_id STRING"),
        spark.createDataFrame(
            [(DAY, f"u{u}", vector.tolist()) for u, vector in enumerate(users)],
            "fitted_date DATE, user_id STRING, vector ARRAY<FLOAT>",
        ),
        spark.createDataFrame(
            [(DAY, f"a{a}", vector.tolist()) for a, vector in enumerate(activities)],
            "fitted_date DATE, activity_id STRING, vector ARRAY<DOUBLE>",
        ),
    ).collect()
    learnt = np.empty((5, 4))
    for row in rows:
        learnt[int(row["user_id"][1:]), int(row["activity_id"][1:])] = row["als_score"]
    arrow = pa.array([vector.tolist() for vector in users], pa.list_(pa.float32()))
    # The kernel holds the activities in single precision.
    served = als_block(arrow, activities.astype(np.float32))
    np.testing.assert_allclose(served, learnt, atol=1e-6)


def test_interactions_weigh_types_and_fade(spark: SparkSession) -> None:
    daily = spark.createDataFrame(
        [
            (date(2024, 2, 29), "u", "buy", "p", None, 2),
            (date(2024, 2, 20), "u", "buy", "p", None, 4),
            (date(2024, 2, 20), "u", "answer", None, "a", 1),
            (date(2024, 2, 20), "u", "look", "p", None, 9),
            (DAY, "u", "buy", "p", None, 100),
        ],
        "event_date DATE, user_id STRING, event_type STRING, product_id STRING, "
        "activity_id STRING, events BIGINT",
    )
    config = InteractionsConfig(weights={"buy": 1.0, "answer": 3.0}, half_life_days=9)
    rows = interactions(daily, DAY, config).collect()
    found = {(row["item_kind"], row["item_id"]): row["weight"] for row in rows}
    fresh = 2 ** (-1 / 9)
    faded = 2 ** (-10 / 9)
    assert found == pytest.approx(
        {
            ("product", "p"): np.log1p(2 * fresh + 4 * faded),
            ("activity", "a"): np.log1p(3 * faded),
        }
    )


def test_activity_vectors_blend_own_and_pooled_factors(spark: SparkSession) -> None:
    items = spark.createDataFrame(
        [
            (DAY, "product", "p1", 1, [1.0, 0.0]),
            (DAY, "product", "p2", 3, [0.0, 1.0]),
            (DAY, "activity", "both", 10, [2.0, 2.0]),
            (DAY, "activity", "own", 5, [3.0, 1.0]),
        ],
        ITEM_VECTORS,
    )
    covered = spark.createDataFrame(
        # A product in two offers counts once.
        [("both", "o1", "p1"), ("both", "o2", "p1"), ("both", "o1", "p2"), ("new", None, "p2"),
         ("unsold", None, "p9")],
        "activity_id STRING, offer_id STRING, product_id STRING",
    )  # fmt: skip
    rows = activity_vectors(items, covered, own_factor_prior=30.0).collect()
    found = {row["activity_id"]: row["vector"] for row in rows}
    assert set(found) == {"both", "own", "new"}
    pooled = np.array([0.25, 0.75])
    np.testing.assert_allclose(found["both"], (10 * np.array([2.0, 2.0]) + 30 * pooled) / 40)
    np.testing.assert_allclose(found["own"], [3, 1])
    np.testing.assert_allclose(found["new"], [0, 1])


def test_scores_of_unknown_users_and_activities_are_zero(spark: SparkSession) -> None:
    pairs = spark.createDataFrame(
        [(DAY, "u", "a"), (DAY, "x", "a"), (DAY, "u", "x"), (None, "u", "a")],
        "fitted_date DATE, user_id STRING, activity_id STRING",
    )
    users = spark.createDataFrame(
        [(DAY, "u", [1.0, 2.0])], "fitted_date DATE, user_id STRING, vector ARRAY<FLOAT>"
    )
    activities = spark.createDataFrame(
        [(DAY, "a", [3.0, 0.5])], "fitted_date DATE, activity_id STRING, vector ARRAY<DOUBLE>"
    )
    rows = als_scores(pairs, users, activities).collect()
    found = {(r["fitted_date"], r["user_id"], r["activity_id"]): r["als_score"] for r in rows}
    assert found == {
        (DAY, "u", "a"): 4.0,
        (DAY, "x", "a"): 0.0,
        (DAY, "u", "x"): 0.0,
        (None, "u", "a"): 0.0,
    }


def test_als_solves_a_checkerboard_and_scores_an_activity_that_nobody_answered(
    spark: SparkSession,
) -> None:
    board = [
        (f"u{user}", "product", f"p{item}", 1.0)
        for user in range(12)
        for item in range(8)
        # The diagonal is left to be guessed.
        if user % 2 == item % 2 and user % 8 != item
    ]
    rows = spark.createDataFrame(
        board, "user_id STRING, item_kind STRING, item_id STRING, weight DOUBLE"
    )
    fit = fit_als(rows, DAY, AlsConfig(rank=2, max_iter=10, alpha=20.0, blocks=1))
    covered = spark.createDataFrame(
        [("even", None, f"p{p}") for p in (0, 2, 4)] + [("odd", None, f"p{p}") for p in (1, 3)],
        "activity_id STRING, offer_id STRING, product_id STRING",
    )
    activities = {
        row["activity_id"]: row["vector"]
        for row in activity_vectors(fit.items, covered, 50.0).collect()
    }
    users: list[Row] = fit.users.collect()
    assert len(users) == 12
    for user in users:
        number_of = int(user["user_id"][1:])
        even, odd = (np.dot(user["vector"], activities[name]) for name in ("even", "odd"))
        assert (even > odd) == (number_of % 2 == 0)


def test_nothing_to_factorise_is_an_error(spark: SparkSession) -> None:
    empty = spark.createDataFrame(
        [], "user_id STRING, item_kind STRING, item_id STRING, weight DOUBLE"
    )
    with pytest.raises(StateError, match="no interactions before 2024-03-01"):
        fit_als(empty, DAY, AlsConfig())


def test_every_learnable_exposure_has_a_fit_before_it() -> None:
    assert fit_dates(date(2024, 5, 1), date(2024, 1, 20), 60) == [
        date(2024, 1, 2),
        date(2024, 3, 2),
        date(2024, 5, 1),
    ]
    assert fit_dates(date(2024, 5, 1), None, 60) == [date(2024, 5, 1)]
