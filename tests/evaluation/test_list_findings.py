"""What could have been found, and the simple orders, on a random shop with rules."""

from dataclasses import replace

import pytest
from pyspark.sql import SparkSession

from activityrec.config import Config, FeaturesConfig, RetrievalConfig, RulesConfig
from activityrec.evaluation.list_findings import (
    findable,
    of_simple_orders,
    other_orders,
    under_test,
)
from activityrec.evaluation.lists import best_first
from activityrec.serving.candidates import Serving, scored_candidates, sides
from tests.serving.shop import ACTIVITIES, history_of, random_shop
from tests.stand_ins import serving_of

SHOP = random_shop(3)
FEW = 4
K = 3


@pytest.fixture(scope="module")
def serving(spark: SparkSession, planted_config: Config) -> Serving:
    """More live activities than candidates; the shop knows no purchases."""
    recommend = planted_config.recommend.model_copy(update={"candidates": FEW, "k": K})
    rules = RulesConfig.model_validate({"blocks": [{"activity_id": "a01"}]})
    changes = {
        "recommend": recommend,
        "rules": rules,
        "retrieval": RetrievalConfig(),
        "features": FeaturesConfig(event_types=["answer"]),
    }
    config = planted_config.model_copy(update=changes)
    return serving_of(history_of(spark, SHOP), config, SHOP.vectors, SHOP.sides)


def test_what_a_rule_excludes_or_nobody_knows_could_not_have_been_found(
    spark: SparkSession, serving: Serving
) -> None:
    free = [
        (u, a) for u in SHOP.users for a in ("a00", "a01", "a02") if (u, a) not in SHOP.answered
    ]
    answered = spark.createDataFrame(
        [*free, ("stranger", "a02")], "user_id STRING, activity_id STRING"
    )
    usual = spark.createDataFrame(
        [("popularity", "u00", "a02", 2), ("als", "u00", "a00", 1)],
        "model STRING, user_id STRING, activity_id STRING, rank INT",
    )
    found = findable(serving, answered, sides(serving), usual).collect()
    vip = {a for a, (_, _, only_vip, _) in SHOP.activities.items() if only_vip}
    allowed = {
        (user, activity)
        for user, activity in free
        if activity != "a01"
        and (activity not in vip or (SHOP.users[user] or (0, "no"))[1] == "yes")
    }
    assert {(row["user_id"], row["activity_id"]) for row in found} == allowed
    assert 0 < len(allowed) < len(free)
    expected = {(row["user_id"], row["activity_id"]): row["expected"] for row in found}
    if ("u00", "a02") in allowed:
        assert expected.pop(("u00", "a02")) == 2
    assert set(expected.values()) == {None}


def test_simple_orders_are_of_every_candidate_and_those_under_test_of_the_chosen(
    spark: SparkSession, serving: Serving
) -> None:
    asked = spark.createDataFrame([(f"u0{n}",) for n in range(6)], "user_id STRING")
    mine = serving.only(asked)
    both = sides(mine)
    simple = of_simple_orders(mine, both, None)
    per_user = {row["user_id"]: row["count"] for row in simple.groupBy("user_id").count().collect()}
    assert set(per_user) == {f"u0{n}" for n in range(6)}
    assert FEW < max(per_user.values()) < ACTIVITIES

    scored = scored_candidates(mine, both)
    orders = other_orders(serving)
    assert {"popularity", "affinity", "als"} <= set(orders)
    lists = best_first(simple, orders, K)
    assert "affinity" not in {row["model"] for row in lists.select("model").collect()}
    wanted = best_first(scored, {"als": "als_score"}, K)
    by_als = lists.where("model = 'als'")
    assert sorted(by_als.collect()) == sorted(wanted.collect())

    chosen = under_test(serving, asked, both)
    served = replace(mine, config=serving.config)
    assert {row["count"] for row in chosen.groupBy("user_id").count().collect()} == {FEW}
    kept = ["user_id", "activity_id", "score"]
    again = scored_candidates(served, both).select(*kept)
    assert sorted(chosen.select(*kept).collect()) == sorted(again.collect())
