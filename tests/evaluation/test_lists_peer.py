"""Metrics of lists beside trec_eval, the reference implementation of information retrieval.

Definitions agree, with two remarks: ``map`` is its ``map_cut``, divided by all that is relevant
and not by min(k, relevant), and it knows no reciprocal rank at k, so it sees the list up to k.
"""

import numpy as np
import pytest
from pyspark.sql import SparkSession

from activityrec.evaluation.draws import Bootstrap
from activityrec.evaluation.lists import best_first, list_draws, list_hits

pytrec_eval = pytest.importorskip("pytrec_eval")

KS = [1, 3, 5, 20]
ACTIVITIES = [f"a{n:02}" for n in range(12)]
PEERS = {
    "precision": "P",
    "recall": "recall",
    "hit_rate": "success",
    "map": "map_cut",
    "ndcg": "ndcg_cut",
}
Case = tuple[dict[str, float], set[str]]


def cases() -> dict[str, Case]:
    """Scores of few values, so with ties, of no to all activities; and what is relevant."""
    random = np.random.default_rng(8)
    made: dict[str, Case] = {}
    for n in range(200):
        some = random.permutation(ACTIVITIES)[: random.integers(0, 13)].tolist()
        scores = {name: float(random.integers(0, 4)) for name in some}
        wanted = random.permutation(ACTIVITIES)[: random.integers(1, 7)].tolist()
        made[f"u{n}"] = (scores, set(wanted))
    return made


def trec(cases: dict[str, Case]) -> dict[str, float]:
    """Means over all cases; trec_eval leaves out those without a list, where all is 0."""
    wanted = {user: dict.fromkeys(relevant, 1) for user, (_, relevant) in cases.items()}
    # It breaks ties by the name, descending: it gets distinct scores instead.
    ranked = {
        user: sorted(scores, key=lambda name: (-scores[name], name))
        for user, (scores, _) in cases.items()
    }
    cuts = ",".join(map(str, KS))
    judge = pytrec_eval.RelevanceEvaluator(wanted, {f"{name}.{cuts}" for name in PEERS.values()})
    runs = {
        user: {name: -float(place) for place, name in enumerate(names)}
        for user, names in ranked.items()
        if names
    }
    found = judge.evaluate(runs).values()
    means = {
        f"{name}@{k}": sum(row[f"{peer}_{k}"] for row in found) / len(cases)
        for name, peer in PEERS.items()
        for k in KS
    }
    for k in KS:
        short = {
            user: {name: score for name, score in run.items() if -score < k}
            for user, run in runs.items()
        }
        ranks = pytrec_eval.RelevanceEvaluator(wanted, {"recip_rank"}).evaluate(short)
        means[f"mrr@{k}"] = sum(row["recip_rank"] for row in ranks.values()) / len(cases)
    return means


def test_metrics_equal_trec_eval_on_random_cases(spark: SparkSession) -> None:
    made = cases()
    assert any(not scores for scores, _ in made.values())
    candidates = spark.createDataFrame(
        [(u, name, score) for u, (scores, _) in made.items() for name, score in scores.items()],
        "user_id STRING, activity_id STRING, score DOUBLE",
    )
    relevant = spark.createDataFrame(
        [(user, name) for user, (_, wanted) in made.items() for name in wanted],
        "user_id STRING, activity_id STRING",
    )
    lists = best_first(candidates.coalesce(1), {"m": "score"}, max(KS))
    rows = list_draws(list_hits(lists, relevant), KS, Bootstrap(0, 0)).collect()
    found = {row["metric"]: row["draws"][0] for row in rows}
    assert found == pytest.approx(trec(made), abs=1e-9, rel=0)
