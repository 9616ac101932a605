"""Metrics of ranges of scores are those of all of them in one task."""

import numpy as np
import pytest
from pyspark.sql import SparkSession

from activityrec.evaluation.draws import Bootstrap
from activityrec.evaluation.ranking_metrics import ranged_ranking_draws, ranking_draws

BOOTSTRAP = Bootstrap(12, 4)


def test_ranges_give_what_one_task_gives(spark: SparkSession) -> None:
    random = np.random.default_rng(3)
    rows = [
        # Of many ties, of hardly any, and of one outcome alone.
        (model, part, f"u{random.integers(40)}", float(np.round(random.normal(), digits)),
         int(random.random() < rate), float(random.integers(1, 4)))
        for model, digits, rate in (("ties", 0, 0.3), ("fine", 6, 0.3), ("none", 1, 0.0))
        for part in ("p", None)
        for _ in range(150)
    ]  # fmt: skip
    schema = "model STRING, part STRING, user_id STRING, score DOUBLE, label INT, weight DOUBLE"
    scores = spark.createDataFrame(rows, schema)
    keys = ["model", "part"]
    wanted = {
        (row["model"], row["part"], row["metric"]): row["draws"]
        for row in ranking_draws(scores, BOOTSTRAP, keys).collect()
    }
    found = {
        (row["model"], row["part"], row["metric"]): row["draws"]
        for row in ranged_ranking_draws(scores, BOOTSTRAP, keys, parts=7).collect()
    }
    assert found.keys() == wanted.keys() and len(wanted) == 12
    for key, draws in wanted.items():
        assert len(draws) == 13
        if key[0] == "none":
            assert found[key] == draws == [None] * 13
        else:
            assert found[key] == pytest.approx(draws, abs=1e-12)


def test_equal_scores_are_ties_even_if_infinite_or_no_numbers(spark: SparkSession) -> None:
    rows = [
        (model, f"u{number}", score, label, 1.0)
        for model, same in (("infinite", float("inf")), ("none", float("nan")))
        for number, (score, label) in enumerate([(same, 1), (same, 0), (same, 0), (0.5, 0)])
    ]
    schema = "model STRING, user_id STRING, score DOUBLE, label INT, weight DOUBLE"
    draws = ranking_draws(spark.createDataFrame(rows, schema), Bootstrap(0, 0)).collect()
    found = {(row["model"], row["metric"]): row["draws"][0] for row in draws}
    for model in ("infinite", "none"):
        # One win and two ties of three; the first step has one answer in three rows.
        assert found[model, "auc"] == pytest.approx(2 / 3)
        assert found[model, "average_precision"] == pytest.approx(1 / 3)
