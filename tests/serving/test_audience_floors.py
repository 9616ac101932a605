"""Audiences are the same with floors from a sample as without, and with floors that are wrong."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from pyspark.sql import DataFrame, SparkSession

from activityrec.config import Config, RetrievalConfig, RulesConfig
from activityrec.sampling import in_sample
from activityrec.serving import audience_floors
from activityrec.serving.audience_floors import pays, sampled_floors
from activityrec.serving.candidates import Serving, Sides, scored_candidates, sides
from activityrec.serving.list_rules import made_lists
from activityrec.serving.lists import audiences
from activityrec.serving.rules import with_favours
from tests.serving.shop import ACTIVITIES, USERS, history_of, random_shop
from tests.spark_settings import spark_settings
from tests.stand_ins import serving_of

SIZE = 5
RULES = {
    "contact_limit": {"times": 4, "days": 3},
    "blocks": [{"activity_id": "a00", "users": "age < 30"}],
    "pins": [{"activity_id": "a03", "users": "attributes['vip'] = 'yes'"}],
    "boosts": [{"activity_id": "a05", "factor": 3.0}],
    "inventory": "cast(attributes['places'] as int)",
    "explain": True,
}


@dataclass
class Made:
    """Audiences without floors, what they are made from, and all who may be sent an activity."""

    serving: Serving
    both: Sides
    audiences: dict[str, list[tuple[str, float]]]
    handed_on: int
    sent: DataFrame


@pytest.fixture(scope="module", autouse=True)
def several_tasks(spark: SparkSession) -> Iterator[None]:
    """Few users would be one task, which hands on no more than audiences have."""
    wanted = {
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.adaptive.coalescePartitions.enabled": "false",
    }
    with spark_settings(spark, wanted):
        yield


@pytest.fixture(scope="module")
def plain(spark: SparkSession, planted_config: Config) -> Made:
    shop = random_shop(3)
    changes = {
        "recommend": planted_config.recommend.model_copy(update={"audience_size": SIZE}),
        "retrieval": RetrievalConfig(),
        "rules": RulesConfig.model_validate(RULES),
    }
    config = planted_config.model_copy(update=changes)
    serving = serving_of(history_of(spark, shop), config, shop.vectors, shop.sides)
    both = sides(serving)
    found, handed_on = made(serving, both)
    assert len(found) == ACTIVITIES
    scored = with_favours(scored_candidates(serving, both), config.rules)
    return Made(serving, both, found, handed_on, scored.where("coalesce(room, 1) > 0"))


def made(serving: Serving, both: Sides) -> tuple[dict[str, list[tuple[str, float]]], int]:
    """The audiences, best first, and how many rows tasks handed on for them."""
    ranked = made_lists(serving, both, "r1", {}).ranked
    found: dict[str, list[tuple[str, float]]] = {}
    for row in audiences(ranked, SIZE).orderBy("activity_id", "rank").collect():
        found.setdefault(row["activity_id"], []).append((row["user_id"], row["score"]))
    return found, ranked.where("listed = 'activity'").count()


def everybody_is_sampled(monkeypatch: pytest.MonkeyPatch, floor: int) -> None:
    for name, value in {"SAMPLED": SIZE, "FLOOR": floor, "LARGEST_SHARE": 1.0,
                        "LEAST_CANDIDATES": 1}.items():  # fmt: skip
        monkeypatch.setattr(audience_floors, name, value)


def test_a_floor_is_the_score_of_that_place_among_who_may_be_sent_the_activity(plain: Made) -> None:
    floors = sampled_floors(plain.serving, plain.both, 1.0, SIZE)
    assert floors == {name: rows[-1][1] for name, rows in plain.audiences.items()}
    # Fewer users than that: no floor.
    assert sampled_floors(plain.serving, plain.both, 1.0, USERS + 1) == {}


def test_audiences_are_the_same_and_what_is_below_a_floor_stays_in_its_task(
    plain: Made, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    everybody_is_sampled(monkeypatch, SIZE)
    with caplog.at_level(logging.WARNING, "activityrec"):
        found, handed_on = made(plain.serving, plain.both)
    assert found == plain.audiences
    assert handed_on == ACTIVITIES * SIZE < plain.handed_on
    assert not caplog.records


def test_where_a_floor_is_too_high_audiences_are_made_without(
    plain: Made, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    everybody_is_sampled(monkeypatch, SIZE - 1)
    with caplog.at_level(logging.WARNING, "activityrec"):
        found, handed_on = made(plain.serving, plain.both)
    assert found == plain.audiences
    assert handed_on == plain.handed_on
    assert "made again" in caplog.text


def test_of_a_sample_the_best_of_its_users_alone_count(plain: Made) -> None:
    share, place = 0.4, 3
    drawn = in_sample(share, f"audiences {plain.serving.as_of}")
    users = {row["user_id"] for row in plain.serving.users.where(drawn).collect()}
    assert place < len(users) < USERS
    scores: dict[str, list[float]] = {}
    for row in plain.sent.collect():
        if row["user_id"] in users:
            scores.setdefault(row["activity_id"], []).append(row["score"])
    by_hand = {name: sorted(some)[-place] for name, some in scores.items() if len(some) >= place}
    assert by_hand
    assert sampled_floors(plain.serving, plain.both, share, place) == pytest.approx(by_hand)


def test_a_sample_is_taken_of_many_candidates_and_for_large_audiences_alone() -> None:
    assert pays(10_000, 500, 25_000_000)
    assert not pays(10_000, 500, 24_999_999)
    assert not pays(1_000, 500, 10**12)


def test_of_a_sample_no_table_is_read_in_whole(plain: Made) -> None:
    some = plain.serving.where(in_sample(0.01, "x"))
    rows = scored_candidates(some, plain.both.for_users(some)).select("user_id", "score")
    lines = rows._jdf.queryExecution().optimizedPlan().toString().splitlines()
    scans = [n for n, line in enumerate(lines) if "LogicalRDD" in line and "user_id#" in line]
    assert len(scans) >= 4
    for n in scans:
        assert any("pmod(" in line for line in lines[n - 2 : n]), lines[n - 2 : n + 1]
