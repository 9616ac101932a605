"""What an audit finds in a run, alone and beside the last publication."""

import math

import pytest
from pyspark.sql import DataFrame, SparkSession

from activityrec.config_publish import PublishConfig
from activityrec.serving.audit import Audited, audit
from activityrec.serving.drift import drift, score_psi

ROW = "user_id STRING, activity_id STRING, rank INT, score DOUBLE, probability DOUBLE"


def rows(spark: SparkSession, *given: tuple) -> DataFrame:
    padded = [(*row, *(0.5, None)[len(row) - 3 :]) for row in given]
    return spark.createDataFrame(padded, ROW)


def failures(lists: DataFrame, audiences: DataFrame, **limits: float) -> dict[str, float | None]:
    spark = lists.sparkSession
    live = spark.createDataFrame([("a",), ("b",), ("c",)], "activity_id STRING")
    users = spark.range(4).selectExpr("concat('u', id) AS user_id")
    found = audit(Audited(lists, audiences, live, users), PublishConfig.model_validate(limits))
    return {check.name: check.value for check in found.failed}


def test_an_audit_names_every_rule_and_counts(spark: SparkSession) -> None:
    good = rows(spark, ("u1", "a", 1), ("u1", "b", 2), ("u2", "c", 1))
    audience = rows(spark, ("u1", "a", 1), ("u2", "a", 2))
    assert failures(good, audience) == {}
    bad = rows(
        spark,
        ("gap", "a", 1), ("gap", "b", 3),
        ("repeat", "a", 1), ("repeat", "a", 2),
        ("tie", "a", 1), ("tie", "b", 3), ("tie", "c", 3, math.nan),
        ("late", "over", 1, math.inf),
    )  # fmt: skip
    nobody = audience.limit(0)
    assert failures(bad, nobody) == {
        "audiences": 0,
        "list_order": 3,
        "list_activities": 1,
        "list_values": 2,
    }
    assert failures(good.limit(0), audience) == {"users": 0}
    bad = rows(spark, ("u1", "a", 1), ("u2", "a", 3), ("u1", "b", 1), ("u1", "over", 1))
    wanted = {"audience_order": 1, "audience_activities": 1}
    assert failures(good, bad) == wanted
    strict = failures(good, audience, min_users=3, min_user_coverage=0.6)
    assert strict == {"users": 2, "user_coverage": 0.5}
    assert failures(good.where("activity_id != 'c'"), audience, min_activity_coverage=0.7) == {
        "activity_coverage": pytest.approx(2 / 3)
    }


def test_drift_counts_users_whose_list_and_first_activity_changed(spark: SparkSession) -> None:
    old = rows(
        spark,
        ("same", "a", 1), ("same", "b", 2),
        ("swapped", "a", 1), ("swapped", "b", 2),
        ("shorter", "a", 1), ("shorter", "b", 2),
        ("third", "a", 1), ("third", "b", 2),
        ("gone", "a", 1),
    )  # fmt: skip
    new = rows(
        spark,
        ("same", "a", 1), ("same", "b", 2),
        ("swapped", "b", 1), ("swapped", "a", 2),
        ("shorter", "a", 1),
        ("third", "a", 1), ("third", "b", 2),
    )  # fmt: skip
    found = drift(new, old)
    assert (found.users_kept, found.changed_lists, found.changed_first) == (0.8, 0.5, 0.25)
    strangers = drift(new.where("user_id = 'same'"), old.where("user_id = 'gone'"))
    assert (strangers.changed_lists, strangers.changed_first) == (None, None)


def test_score_psi_is_that_of_its_formula(spark: SparkSession) -> None:
    old = spark.range(1, 101).selectExpr("double(id) AS score")
    assert score_psi(old, old) == 0
    # Half of the scores are in the first tenth now, the other half where all were.
    mixed = old.unionAll(old.selectExpr("1D AS score"))
    first, other = 0.55, 0.05
    wanted = (first - 0.1) * math.log(first / 0.1) + 9 * (other - 0.1) * math.log(other / 0.1)
    assert score_psi(mixed, old) == pytest.approx(wanted)
    constant = old.selectExpr("0.5D AS score")
    assert score_psi(constant, constant) == 0
