"""Who may be recommended what, and in which order without a ranker."""

import re
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from pyspark.sql import DataFrame, SparkSession

from activityrec.config import Config, RetrievalConfig
from activityrec.features.history import History
from activityrec.serving.candidates import Serving, scored_candidates, sides
from tests.spark_settings import spark_settings
from tests.stand_ins import serving_of

DAY = date(2024, 5, 10)
PLANNING_DAYS = 5
VECTORS = {"everyone": [1.0, 0.0], "north": [0.0, 1.0], "planned": [0.5, 0.5]}
GIFTS = ("everyone", "north", "young", "northern women", "planned")


def may(day: int, second: int = 0) -> datetime:
    return datetime(2024, 5, day) + timedelta(seconds=second)


def _history(spark: SparkSession) -> History:
    target = {
        "north": {"city": ["north", "arctic"]},
        "young": {"age_band": ["18-24", "25-34"]},
        "northern women": {"gender": ["f"], "city": ["north"]},
    }
    spans = {
        "planned": (may(15), may(20)),
        "planned too late": (may(15, second=1), may(20)),
        "over": (may(1), may(10)),
    }
    names = [*GIFTS, "planned too late", "over"]
    activities = spark.createDataFrame(
        [(n, "gift", *spans.get(n, (may(1), may(10, second=1))), target.get(n)) for n in names],
        "activity_id STRING, activity_type STRING, start_ts TIMESTAMP, end_ts TIMESTAMP, "
        "target MAP<STRING, ARRAY<STRING>>",
    )
    return History(
        until=DAY,
        users=spark.createDataFrame(
            [
                ("anna", 24, "f", {"city": "north"}),
                ("bert", 40, "m", {"city": "arctic"}),
                ("carl", 25, None, {"other": "north"}),
                ("dora", None, "f", None),
            ],
            "user_id STRING, age INT, gender STRING, attributes MAP<STRING, STRING>",
        ),
        products=spark.createDataFrame([], "product_id STRING, category STRING"),
        activities=activities,
        activity_products=spark.createDataFrame(
            [], "activity_id STRING, offer_id STRING, product_id STRING"
        ),
        events=spark.createDataFrame(
            [
                ("no profile", "answer", may(2), None, "north", None, None),
                ("carl", "answer", may(2), None, "everyone", None, None),
                # Not a response.
                ("bert", "purchase", may(2), None, "everyone", None, None),
            ],
            "user_id STRING, event_type STRING, event_ts TIMESTAMP, product_id STRING, "
            "activity_id STRING, quantity DOUBLE, amount DOUBLE",
        ),
        exposures=spark.createDataFrame(
            [], "user_id STRING, activity_id STRING, exposure_ts TIMESTAMP"
        ),
    )


@pytest.fixture(scope="module")
def serving(spark: SparkSession, planted_config: Config) -> Serving:
    """Five users, one of them known by an event only, without a ranker."""
    recommend = planted_config.recommend.model_copy(update={"planning_days": PLANNING_DAYS})
    alone = {"recommend": recommend, "retrieval": RetrievalConfig()}
    config = planted_config.model_copy(update=alone)
    vectors = {"anna": [0.0, 1.0], "bert": [1.0, 0.2]}
    return serving_of(_history(spark), config, vectors, VECTORS)


def listed(candidates: DataFrame) -> dict[str, list[str]]:
    """The candidates of each user, best first."""
    rows = candidates.select("user_id", "activity_id", "score", "probability").collect()
    assert {row["probability"] for row in rows} == {None}
    found: dict[str, list[str]] = {}
    for row in sorted(rows, key=lambda row: -row["score"]):
        found.setdefault(row["user_id"], []).append(row["activity_id"])
    return found


@pytest.fixture(scope="module")
def found(serving: Serving) -> dict[str, list[str]]:
    return listed(scored_candidates(serving, sides(serving)))


def test_candidates_are_live_or_planned_for_the_user_and_not_answered(
    found: dict[str, list[str]],
) -> None:
    assert {user: set(names) for user, names in found.items()} == {
        "anna": {"everyone", "north", "young", "northern women", "planned"},
        "bert": {"everyone", "north", "planned"},
        # 25 opens the second of the young bands; whose city is not known is not from the north.
        "carl": {"young", "planned"},
        "dora": {"everyone", "planned"},
        "no profile": {"everyone", "planned"},
    }


def test_without_a_ranker_als_orders_them_and_popularity_those_of_unknown_users(
    found: dict[str, list[str]],
) -> None:
    assert found["anna"][:2] == ["north", "planned"]
    assert found["bert"] == ["everyone", "planned", "north"]
    # One user has responded to "everyone", none to what is planned.
    assert found["dora"] == ["everyone", "planned"]


def test_no_pair_of_user_and_activity_is_shuffled(serving: Serving) -> None:
    """After the kernel there is nothing but the small tables that are sent to every worker."""
    found = scored_candidates(serving, sides(serving))
    plan = str(found._jdf.queryExecution().executedPlan())
    after, kernel, _ = plan.partition("MapInArrow")
    assert kernel
    assert "BroadcastHashJoin" in after
    assert "Exchange" not in after.replace("BroadcastExchange", "")
    assert "CartesianProduct" not in plan


def test_what_users_did_is_shuffled_once_on_its_way_to_the_kernel(
    spark: SparkSession, serving: Serving
) -> None:
    # As with more users than can be broadcast, or are one partition.
    wanted = {"spark.sql.autoBroadcastJoinThreshold": "-1", "spark.sql.shuffle.partitions": "3"}
    with spark_settings(spark, wanted):
        found = scored_candidates(serving, sides(serving))
        plan = str(found._jdf.queryExecution().executedPlan()).splitlines()
    days = re.compile(r"InMemoryTableScan \[.*event_date#\d+.*amount#")
    ways = [above(plan, n) for n, line in enumerate(plan) if days.search(line)]
    # Others are inside of what was made before.
    (way,) = [way for way in ways if not any("InMemoryRelation" in line for line in way)]
    assert sum("Exchange hash" in line for line in way) == 1


def above(plan: list[str], number: int) -> list[str]:
    """The lines of a plan that a line hands its rows to, one after the other."""
    depth = [re.match(r"[ :+\-]*", line).end() for line in plan]  # type: ignore[union-attr]
    found = []
    for place in range(number, -1, -1):
        if depth[place] < depth[number]:
            number = place
            found.append(plan[place])
    return found


def test_the_evaluation_sees_all_candidates_of_the_users_asked_for(
    spark: SparkSession, serving: Serving
) -> None:
    recommend = serving.config.recommend.model_copy(
        update={"candidates": 2, "exclude_answered": False}
    )
    short = replace(serving, config=serving.config.model_copy(update={"recommend": recommend}))
    everyone = listed(scored_candidates(short, sides(short)))
    assert everyone["anna"] == ["north", "planned"]
    assert everyone["carl"] == ["everyone", "planned"], "answered, but not to be left out"

    asked = short.only(spark.createDataFrame([("anna",)], "user_id STRING"))
    alone = listed(scored_candidates(asked, sides(asked)))
    assert {user: set(names) for user, names in alone.items()} == {"anna": set(GIFTS)}


def test_activities_that_als_knows_nothing_of_go_by_popularity(serving: Serving) -> None:
    new = replace(serving, activity_vectors=serving.activity_vectors.limit(0))
    assert listed(scored_candidates(new, sides(new)))["bert"] == ["everyone", "north", "planned"]
