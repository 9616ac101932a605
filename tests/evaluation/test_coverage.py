"""Intervals cover the truth as often as they say, on data made by a known law."""

from collections.abc import Sequence

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from activityrec.evaluation.draws import (
    Bootstrap,
    differences,
    ratio_draws,
    summarised,
)
from activityrec.evaluation.ranking_metrics import ranking_draws

REPETITIONS, USERS, EACH = 400, 300, 5
EFFECTS = {"better": 1.2, "worse": 0.9}
"""How much higher the score of an answered exposure is, in deviations of its noise."""
Floats = np.ndarray

pytestmark = pytest.mark.slow


def drawn(random: np.random.Generator, users: int) -> tuple[Floats, Floats, dict[str, Floats]]:
    """User, label and the score of each model: users differ in how much they answer, and in the
    scores that they get, so that rows of one user are alike."""
    rate = random.beta(2, 6, users)
    taste = random.normal(0, 0.7, users)
    user = np.repeat(np.arange(users), EACH)
    label = (random.random(len(user)) < rate[user]).astype(int)
    shared = taste[user] + random.normal(0, 0.5, len(user))
    scores = {
        model: effect * label + shared + random.normal(0, 0.5, len(user))
        for model, effect in EFFECTS.items()
    }
    return user, label, scores


@pytest.fixture(scope="module")
def truth() -> dict[tuple[str, str], float]:
    """AUC and average precision over 10 million exposures, whose error is far below any interval;
    the rate is the mean of the law."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    _, label, scores = drawn(np.random.default_rng(99), 2_000_000)
    found = {("better", "rate"): 0.25}
    for model, score in scores.items():
        found[model, "auc"] = roc_auc_score(label, score)
        found[model, "average_precision"] = average_precision_score(label, score)
    return found


@pytest.fixture(scope="module")
def samples(spark: SparkSession) -> DataFrame:
    """Every repetition has users of its own."""
    import pandas as pd

    parts = []
    for repetition in range(REPETITIONS):
        user, label, scores = drawn(np.random.default_rng(repetition), USERS)
        parts += [
            pd.DataFrame(
                {
                    "repetition": repetition,
                    "user_id": [f"{repetition}-{n}" for n in user],
                    "model": model,
                    "score": score,
                    "label": label,
                }
            )
            for model, score in scores.items()
        ]
    rows = spark.createDataFrame(pd.concat(parts, ignore_index=True))
    return rows.withColumn("weight", F.lit(1.0)).repartition(8, "repetition").persist()


def coverage(rows: Sequence, wanted: float) -> float:
    assert len(rows) == REPETITIONS
    return sum(row["low"] <= wanted <= row["high"] for row in rows) / len(rows)


def test_95_percent_intervals_cover_the_truth_in_93_to_97_percent(
    samples: DataFrame, truth: dict[tuple[str, str], float]
) -> None:
    bootstrap, keys = Bootstrap(400, 17), ["repetition", "model"]
    ranked = ranking_draws(samples, bootstrap, keys).drop("drawn", "positives").persist()
    rate = {"rate": (F.col("label"), F.lit(1.0))}
    rates = ratio_draws(samples.where("model = 'better'"), rate, bootstrap, keys)
    rows = summarised(ranked.unionByName(rates)).collect()
    found = {
        (model, metric): coverage(
            [row for row in rows if (row["model"], row["metric"]) == (model, metric)], wanted
        )
        for (model, metric), wanted in truth.items()
    }
    gaps = differences(ranked, ["repetition", "metric"]).where("model = 'better'").collect()
    for metric in ("auc", "average_precision"):
        wanted = truth["better", metric] - truth["worse", metric]
        mine = [row for row in gaps if row["metric"] == metric]
        found["difference", metric] = coverage(mine, wanted)
    print("\ncoverage:", {" ".join(key): value for key, value in found.items()})
    assert {key: value for key, value in found.items() if not 0.93 <= value <= 0.97} == {}
