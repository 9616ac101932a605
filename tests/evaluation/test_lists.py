"""Metrics of lists: by hand, and by their definitions on random lists."""

import math

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from activityrec.evaluation.bootstrap import counts
from activityrec.evaluation.draws import Bootstrap
from activityrec.evaluation.lists import best_first, by_scores, list_counts, list_draws, list_hits

NAMES = ("precision", "recall", "hit_rate", "mrr", "map", "ndcg")
KS = [1, 3, 5, 20]


Lists = dict[str, list[str]]
BOOTSTRAP = Bootstrap(20, 3)


def hits(spark: SparkSession, lists: Lists, relevant: dict[str, list[str]]) -> DataFrame:
    """Of a model ``m``; a name may be asked for twice."""
    rows = [("m", user, a, n) for user, made in lists.items() for n, a in enumerate(made, start=1)]
    wanted = [(user, activity) for user, listed in relevant.items() for activity in listed]
    return list_hits(
        spark.createDataFrame(rows, "model STRING, user_id STRING, activity_id STRING, rank INT"),
        spark.createDataFrame(wanted, "user_id STRING, activity_id STRING"),
    )


def test_lists_by_hand(spark: SparkSession) -> None:
    # u1 wanted the second and the third of their list, u2 something else,
    # u3 has no list at all, and u4 answered nothing.
    found = hits(
        spark,
        {"u1": ["a", "b", "c"], "u2": ["b"], "u4": ["a"]},
        {"u1": ["b", "c", "c"], "u2": ["a"], "u3": ["a"]},
    ).persist()
    rows = list_draws(found, [1, 2], Bootstrap(0, 0)).collect()
    values = {row["metric"]: row["draws"][0] for row in rows}
    dcg, ideal = 1 / math.log2(3), 1 + 1 / math.log2(3)
    wanted = {
        **dict.fromkeys([f"{name}@1" for name in NAMES], 0.0),
        "precision@2": (1 / 2) / 3,
        "recall@2": (1 / 2) / 3,
        "hit_rate@2": 1 / 3,
        "mrr@2": (1 / 2) / 3,
        "map@2": (1 / 2) / 2 / 3,
        "ndcg@2": dcg / ideal / 3,
    }
    assert values == pytest.approx(wanted)
    sizes = {row["k"]: row for row in list_counts(found, [1, 2]).collect()}
    assert [(sizes[k]["rows"], sizes[k]["positives"], sizes[k]["groups"]) for k in (1, 2)] == [
        (2, 4, 3),
        (3, 4, 3),
    ]


def by_definition(ranks: list[int], relevant: int, k: int) -> dict[str, float]:
    """The metrics of one list, each written as its definition says."""
    within = [rank for rank in ranks if rank <= k]
    ideal = sum(1 / math.log2(1 + place) for place in range(1, min(k, relevant) + 1))
    return {
        "precision": len(within) / k,
        "recall": len(within) / relevant,
        "hit_rate": float(bool(within)),
        "mrr": 1 / within[0] if within else 0.0,
        "map": sum((n + 1) / rank for n, rank in enumerate(within)) / relevant,
        "ndcg": sum(1 / math.log2(1 + rank) for rank in within) / ideal,
    }


def test_every_metric_of_random_lists_is_its_mean_over_users(spark: SparkSession) -> None:
    random, activities = np.random.default_rng(4), [f"a{n}" for n in range(12)]
    lists, relevant, wanted = {}, {}, []
    for n in range(200):
        made = random.permutation(activities)[: random.integers(0, 12)].tolist()
        liked = random.permutation(activities)[: random.integers(1, 6)].tolist()
        lists[f"u{n}"], relevant[f"u{n}"] = made, liked
        ranks = [place for place, name in enumerate(made, start=1) if name in liked]
        wanted.append({f"{m}@{k}": v for k in KS for m, v in
                       by_definition(ranks, len(liked), k).items()})  # fmt: skip
    rows = list_draws(hits(spark, lists, relevant), KS, BOOTSTRAP).collect()
    draws = {row["metric"]: row["draws"] for row in rows}
    found = {metric: values[0] for metric, values in draws.items()}
    means = {name: np.mean([row[name] for row in wanted]) for name in wanted[0]}
    assert found == pytest.approx(means, abs=1e-12)
    # A replicate is the mean over users, each as often as it is drawn.
    hashes = spark.createDataFrame([(u,) for u in lists], "user_id STRING")
    hashes = hashes.select("user_id", F.xxhash64("user_id").alias("hash")).toPandas()
    users = hashes["hash"].to_numpy().view(np.uint64)
    times = counts(users, BOOTSTRAP.replicates, BOOTSTRAP.seed)
    values = np.array([wanted[int(name[1:])]["ndcg@5"] for name in hashes["user_id"]])
    np.testing.assert_allclose(draws["ndcg@5"], times.T @ values / times.sum(axis=0), atol=1e-12)


def test_serendipity_counts_hits_that_popularity_does_not_have_among_its_first_k(
    spark: SparkSession,
) -> None:
    lists = [("m", "u1", name, n) for n, name in enumerate("abcd", start=1)]
    found = list_hits(
        spark.createDataFrame(lists, "model STRING, user_id STRING, activity_id STRING, rank INT"),
        # c is third of the popular ones, d nowhere; u2 has no list.
        spark.createDataFrame(
            [("u1", "a", 1), ("u1", "c", 3), ("u1", "d", None), ("u2", "a", 1)],
            "user_id STRING, activity_id STRING, expected INT",
        ),
    )
    rows = list_draws(found, [2, 3, 4], Bootstrap(0, 0)).where("metric LIKE 'serendipity%'")
    assert {row["metric"]: row["draws"][0] for row in rows.collect()} == pytest.approx(
        {"serendipity@2": 0.0, "serendipity@3": 0.0, "serendipity@4": (1 / 4) / 2}
    )


def test_other_orders_of_the_same_candidates_break_ties_by_id_and_end_at_k(
    spark: SparkSession,
) -> None:
    candidates = spark.createDataFrame(
        [("u1", "b", 1.0, 5), ("u1", "a", 1.0, 7), ("u1", "c", 2.0, None)],
        "user_id STRING, activity_id STRING, x DOUBLE, y INT",
    )
    rows = best_first(by_scores(candidates, {"by_x": "x", "by_y": "y"}), 2).collect()
    assert {(r["model"], r["activity_id"]): r["rank"] for r in rows} == {
        ("by_x", "c"): 1,
        ("by_x", "a"): 2,
        ("by_y", "a"): 1,
        ("by_y", "b"): 2,
    }
