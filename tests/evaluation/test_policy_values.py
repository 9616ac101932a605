"""Policies are worth what a planted log says that they are worth, or there is a refusal."""

from datetime import datetime, timedelta
from itertools import product

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from activityrec.config import EvaluateConfig, OffPolicyConfig
from activityrec.evaluation.decisions import with_available, with_context
from activityrec.evaluation.policy_values import COUNTS, values_of
from activityrec.serving.anonymity import large_counts

START = datetime(2024, 5, 1)
ACTIVITIES = ["a", "b", "c", "d"]
USERS, DAYS = 200, 5
RECOMMENDED, POPULAR = 0.8, 0.35
"""What the policies are worth: a user answers the activity of their taste with probability 0.8,
any other one with 0.2, and a quarter of the users have the taste of the popular one."""
ROWS = (
    "user_id STRING, activity_id STRING, exposure_ts TIMESTAMP, label INT, propensity DOUBLE, "
    "position INT"
)


def _log(spark: SparkSession, rows: list[tuple], users: DataFrame | None = None) -> DataFrame:
    """``c`` is the most popular activity."""
    spans = [(name, START, None) for name in ACTIVITIES]
    activities = spark.createDataFrame(
        spans, "activity_id STRING, start_ts TIMESTAMP, end_ts TIMESTAMP"
    )
    popular = spark.createDataFrame([("c", 9), ("a", 4)], "activity_id STRING, answers LONG")
    log = with_available(spark.createDataFrame(rows, ROWS), activities, popular, 0)
    if users is not None:
        log = with_context(log, users, {"region": "region"})
    return log.coalesce(2).persist()


def _taste(user: int) -> str:
    return ACTIVITIES[user % 4]


def _lists(spark: SparkSession, users: range = range(USERS)) -> DataFrame:
    """The activity of the user's taste first, then the others."""
    rows = []
    for user in users:
        ordered = sorted(ACTIVITIES, key=lambda name: (name != _taste(user), name))
        rows += [(f"u{user}", name, place + 1) for place, name in enumerate(ordered)]
    return spark.createDataFrame(rows, "user_id STRING, activity_id STRING, rank INT")


def _uniform(propensity: float | None = 0.25) -> list[tuple]:
    """Every user is sent one activity a day, drawn by chance."""
    random = np.random.default_rng(8)
    rows = []
    for user, day in product(range(USERS), range(DAYS)):
        name = ACTIVITIES[random.integers(4)]
        answered = random.random() < (0.8 if name == _taste(user) else 0.2)
        rows.append((f"u{user}", name, START + timedelta(days=day), int(answered), propensity, 1))
    return rows


def _found(
    log: DataFrame, lists: DataFrame, replicates: int = 100, **options: object
) -> dict[tuple[str, str], dict]:
    config = EvaluateConfig(replicates=replicates, off_policy=OffPolicyConfig(**options))
    rows = values_of(log, lambda users: lists, config).collect()
    return {(row["policy"], row["estimator"]): row.asDict() for row in rows}


def _refusals(log: DataFrame, lists: DataFrame, **options: object) -> dict[str, str]:
    """Of the policies that have no value; the policy of the log always has one."""
    found = _found(log, lists, 20, reward_model=False, **options)
    assert found["logging", "on_policy"]["value"] is not None
    refused = {policy: row for (policy, name), row in found.items() if name == "all"}
    assert all(row["value"] is None and row["rows"] for row in refused.values())
    return {policy: row["refusal"] for policy, row in refused.items()}


@pytest.fixture(scope="module")
def uniform(spark: SparkSession) -> DataFrame:
    return _log(spark, _uniform())


def test_the_truth_is_inside_the_intervals(spark: SparkSession, uniform: DataFrame) -> None:
    found = _found(uniform, _lists(spark))
    for policy, truth in {"recommended": RECOMMENDED, "popularity": POPULAR}.items():
        for estimator in ("ipw", "snipw", "dr", "sndr"):
            row = found[policy, estimator]
            assert row["low"] < truth < row["high"] < truth + 0.2
            assert row["propensities"] == "logged" and row["refusal"] is None
            assert (row["largest_weight"], row["unsupported"]) == (4.0, 0.0)
    logging = found["logging", "on_policy"]
    mean = uniform.agg(F.avg("reward")).first()[0]
    assert logging["value"] == pytest.approx(mean)
    assert logging["low"] < POPULAR < logging["high"]
    assert logging["propensities"] == "none" and logging["effective_sample_size"] == 1_000
    chosen = uniform.where("activity_id = 'c'")
    counts = (chosen.count(), chosen.where("reward = 1").count())
    popular = found["popularity", "ipw"]
    assert (popular["chosen"], popular["chosen_answers"]) == counts


def test_what_few_answers_say_is_left_out(spark: SparkSession) -> None:
    """Of what is popular one exposure in 50 is answered, of the others all."""
    rows = [
        (*row[:3], int(row[1] != "c" or number % 50 == 0), *row[4:])
        for number, row in enumerate(_uniform())
    ]
    config = EvaluateConfig(replicates=20, off_policy=OffPolicyConfig(reward_model=False))
    lists = _lists(spark).where("activity_id != 'c'")
    found = values_of(_log(spark, rows), lambda users: lists, config)
    kept = large_counts(found, COUNTS, 20).select("policy").distinct().collect()
    assert {row["policy"] for row in kept} == {"recommended", "logging"}


def test_weights_are_clipped_as_configured(spark: SparkSession, uniform: DataFrame) -> None:
    found = _found(uniform, _lists(spark), reward_model=False, clip=2.0)
    assert {name for policy, name in found if policy == "recommended"} == {"ipw", "snipw"}
    row = found["recommended", "ipw"]
    assert row["clipped"] == pytest.approx(0.25, abs=0.05)
    assert row["value"] == pytest.approx(RECOMMENDED / 2, abs=0.06)


def test_a_user_without_a_list_is_shown_what_is_popular(
    spark: SparkSession, uniform: DataFrame
) -> None:
    found = _found(uniform, _lists(spark, range(0)), reward_model=False)
    popular, recommended = (found[policy, "ipw"] for policy in ("popularity", "recommended"))
    assert recommended | {"policy": ""} == popular | {"policy": ""}


def test_lists_of_what_the_log_never_shows_are_refused(
    spark: SparkSession, uniform: DataFrame
) -> None:
    """A fifth of the users have such lists."""
    strange = F.when(F.substring("user_id", -1, 1).isin("0", "5"), "z").otherwise(
        F.col("activity_id")
    )
    found = _refusals(uniform, _lists(spark).withColumn("activity_id", strange))
    assert list(found) == ["recommended"]
    assert "20.0% of its probability to actions that the log never takes" in found["recommended"]


def test_a_log_without_chance_is_refused(spark: SparkSession) -> None:
    """Each user is always sent what follows their taste: the lists are never tried."""
    rows = [
        (f"u{user}", ACTIVITIES[(user + 1) % 4], START + timedelta(days=day), user % 2, 1.0, 1)
        for user, day in product(range(USERS), range(DAYS))
    ]
    found = _refusals(_log(spark, rows), _lists(spark))
    assert "100.0% of its probability to actions that the log never takes" in found["recommended"]
    assert "75.0% of its probability to actions that the log never takes" in found["popularity"]


def test_days_with_one_activity_are_refused(spark: SparkSession) -> None:
    rows = [
        (f"u{user}", ACTIVITIES[day % 4], START + timedelta(days=day), user % 2, None, None)
        for user, day in product(range(20), range(DAYS))
    ]
    found = _refusals(_log(spark, rows), _lists(spark))
    assert set(found) == {"recommended", "popularity"}
    assert all("in 100.0% of 100 exposures no other activity" in text for text in found.values())


def test_propensities_of_some_exposures_are_refused(spark: SparkSession) -> None:
    rows = _uniform()
    rows[:30] = [(*row[:4], None, row[5]) for row in rows[:30]]
    found = _refusals(_log(spark, rows), _lists(spark))
    assert set(found) == {"recommended", "popularity"}
    assert all("30 of 1,000 exposures have no logged propensity" in t for t in found.values())


def test_impossible_propensities_are_refused(spark: SparkSession) -> None:
    found = _refusals(_log(spark, _uniform(0.0)), _lists(spark))
    assert all("1,000 have a propensity that is NULL or outside" in t for t in found.values())


def test_propensities_that_are_not_those_of_the_choices_are_refused(spark: SparkSession) -> None:
    found = _refusals(_log(spark, _uniform(0.5)), _lists(spark))
    assert all("the weights are 0.5" in text for text in found.values()) and len(found) == 2


def test_no_exposures_no_rows(spark: SparkSession, uniform: DataFrame) -> None:
    assert _found(uniform.where("false"), _lists(spark)) == {}


@pytest.fixture(scope="module")
def confounded(spark: SparkSession) -> DataFrame:
    """Users in the north like the popular activity, and are sent it more often."""
    random = np.random.default_rng(4)
    rows = []
    for user, day in product(range(300), range(DAYS)):
        north = user % 2 == 0
        chances = [0.1, 0.1, 0.7, 0.1] if north else [0.3, 0.3, 0.1, 0.3]
        name = ACTIVITIES[random.choice(4, p=chances)]
        answered = random.random() < ((0.8 if north else 0.2) if name == "c" else 0.3)
        rows.append((f"u{user}", name, START + timedelta(days=day), int(answered), None, None))
    regions = [(f"u{user}", "south" if user % 2 else "north") for user in range(300)]
    return _log(spark, rows, spark.createDataFrame(regions, "user_id STRING, region STRING"))


def test_estimated_propensities_undo_the_selection_of_the_log(
    spark: SparkSession, confounded: DataFrame
) -> None:
    found = _found(confounded, _lists(spark), reward_model=False)
    naive = confounded.where("activity_id = 'c'").agg(F.avg("reward")).first()[0]
    for estimator in ("ipw", "snipw"):
        row = found["popularity", estimator]
        assert row["propensities"] == "estimated"
        assert row["low"] < 0.5 < row["high"] < naive
        assert row["value"] == pytest.approx(0.5, abs=0.06)


def test_too_many_activities_are_not_modelled(spark: SparkSession, confounded: DataFrame) -> None:
    found = _refusals(confounded, _lists(spark), max_activities=3)
    assert all("the log shows 4 activities" in text for text in found.values())
    assert set(found) == {"recommended", "popularity"}
