"""NDCG and recall of lists, by hand."""

import math

import pytest
from pyspark.sql import SparkSession

from activityrec.evaluation.lists import list_metrics, ranked_by


def test_ndcg_and_recall_by_hand(spark: SparkSession) -> None:
    lists = spark.createDataFrame(
        [
            ("m", "u1", "a", 1), ("m", "u1", "b", 2), ("m", "u1", "c", 3),
            ("m", "u2", "b", 1),
            ("m", "u4", "a", 1),
        ],
        "model STRING, user_id STRING, activity_id STRING, rank INT",
    )  # fmt: skip
    relevant = spark.createDataFrame(
        # u1 wanted the second and the third of their list, u2 something else,
        # u3 has no list at all, and u4 answered nothing.
        [("u1", "b"), ("u1", "c"), ("u1", "c"), ("u2", "a"), ("u3", "a")],
        "user_id STRING, activity_id STRING",
    )
    rows = list_metrics(lists, relevant, [1, 2]).collect()
    found = {row["metric"]: row for row in rows}
    dcg = 1 / math.log2(3)
    ideal = 1 + 1 / math.log2(3)
    wanted = {
        "ndcg@1": 0.0,
        "recall@1": 0.0,
        "ndcg@2": dcg / ideal / 3,
        "recall@2": (1 / 2) / 3,
    }
    assert {name: row["value"] for name, row in found.items()} == pytest.approx(wanted)
    assert (found["ndcg@2"]["groups"], found["ndcg@2"]["positives"]) == (3, 4)
    assert found["ndcg@2"]["rows"] == 3


def test_other_orders_of_the_same_candidates_break_ties_by_id(spark: SparkSession) -> None:
    candidates = spark.createDataFrame(
        [("u1", "b", 1.0, 5), ("u1", "a", 1.0, 7), ("u1", "c", 2.0, None)],
        "user_id STRING, activity_id STRING, x DOUBLE, y INT",
    )
    rows = ranked_by(candidates, {"by_x": "x", "by_y": "y"}).collect()
    assert {(r["model"], r["activity_id"]): r["rank"] for r in rows} == {
        ("by_x", "c"): 1,
        ("by_x", "a"): 2,
        ("by_x", "b"): 3,
        ("by_y", "a"): 1,
        ("by_y", "b"): 2,
    }
