"""Metrics of lists: by hand, and by their definitions on random lists."""

import math
import random

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from activityrec.evaluation.bootstrap import counts
from activityrec.evaluation.draws import Bootstrap
from activityrec.evaluation.lists import best_first, list_counts, list_draws, list_hits

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


@pytest.mark.parametrize("batch", [2, 10_000])
def test_lists_of_several_orders_whatever_the_batches(spark: SparkSession, batch: int) -> None:
    """With two rows a batch those of a user arrive in several."""
    draw = random.Random(2)
    rows = [
        (f"u{user}", f"a{activity:02d}", draw.choice([1.0, 2.0, 3.0]), draw.choice([None, 1, 2]))
        for user in range(7)
        for activity in draw.sample(range(12), 9)
    ]
    candidates = spark.createDataFrame(rows, "user_id STRING, activity_id STRING, x DOUBLE, y INT")
    key = "spark.sql.execution.arrow.maxRecordsPerBatch"
    before = spark.conf.get(key)
    spark.conf.set(key, str(batch))
    together = candidates.repartition(2, "user_id").sortWithinPartitions("user_id")
    made = best_first(together, {"by_x": "x", "by_y": "y"}, 4).collect()
    spark.conf.set(key, before)
    found: dict[tuple, dict] = {}
    for row in made:
        found.setdefault((row["model"], row["user_id"]), {})[row["rank"]] = row["activity_id"]
    for place, model in ((2, "by_x"), (3, "by_y")):
        for user in range(7):
            mine = [row for row in rows if row[0] == f"u{user}" and row[place] is not None]
            best = sorted(mine, key=lambda row: (-row[place], row[1]))[:4]
            wanted = {rank: row[1] for rank, row in enumerate(best, start=1)}
            assert found.pop((model, f"u{user}"), {}) == wanted
    assert not found
