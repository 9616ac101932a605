"""What the first users of an activity answered, by definition."""

import numpy as np
import pytest
from pyspark.sql import SparkSession

from activityrec.evaluation.audience_metrics import audience_metrics
from activityrec.evaluation.draws import Bootstrap


def test_the_first_users_beside_all_who_were_sent_the_activity(spark: SparkSession) -> None:
    random = np.random.default_rng(5)
    rows = []
    for activity, users in (("large", 60), ("small", 10), ("unanswered", 30)):
        score = np.round(random.random(users), 1)
        label = (random.random(users) < score).astype(int) * (activity != "unanswered")
        rows += [
            ("ranker", f"u{n:02}", activity, float(s), int(y), 1.0)
            for n, (s, y) in enumerate(zip(score, label, strict=True))
        ]
    schema = "model STRING, user_id STRING, activity_id STRING, score DOUBLE, label INT, "
    scores = spark.createDataFrame(rows, schema + "weight DOUBLE")
    found = {
        (row["slice_value"], row["metric"]): row
        for row in audience_metrics(scores, [10, 20], Bootstrap(40, 1)).collect()
    }
    for activity in ("large", "small", "unanswered"):
        mine = sorted((row for row in rows if row[2] == activity), key=lambda r: (-r[3], r[1]))
        rate = np.mean([row[4] for row in mine])
        whole = found[activity, "response_rate"]
        assert whole["value"] == pytest.approx(rate)
        assert (whole["rows"], whole["groups"], whole["k"]) == (len(mine), len(mine), None)
        for n in (10, 20):
            if len(mine) <= n:
                assert (activity, f"response_rate@{n}") not in found, "they are all"
                continue
            first = found[activity, f"response_rate@{n}"]
            best = [row[4] for row in mine[:n]]
            assert first["value"] == pytest.approx(np.mean(best))
            assert first["low"] <= first["value"] <= first["high"]
            assert (first["rows"], first["positives"], first["k"]) == (n, sum(best), n)
            if rate:
                assert found[activity, f"lift@{n}"]["value"] == pytest.approx(np.mean(best) / rate)
            else:
                assert (activity, f"lift@{n}") not in found, "nothing to divide by"


def test_a_user_who_was_sent_an_activity_often_is_one_user(spark: SparkSession) -> None:
    schema = "model STRING, user_id STRING, activity_id STRING, score DOUBLE, label INT"
    often = [("ranker", "u0", "a", 0.9, int(n == 0)) for n in range(5)]
    others = [("ranker", f"u{n}", "a", 0.5 - n / 100, 0) for n in range(1, 8)]
    scores = spark.createDataFrame(often + others, schema)
    rows = audience_metrics(scores, [5], Bootstrap(20, 1)).collect()
    found = {row["metric"]: row for row in rows}
    assert found["response_rate@5"]["value"] == pytest.approx(1 / 5)
    assert (found["response_rate@5"]["rows"], found["response_rate@5"]["groups"]) == (5, 5)
    assert found["response_rate"]["value"] == pytest.approx(1 / 8)


def test_the_lift_of_nearly_all_is_nearly_certain(spark: SparkSession) -> None:
    """Its interval is that of the ratio, not of the rate alone."""
    rows = [("ranker", f"u{n:03}", "a", 1 - n / 1000, n % 2) for n in range(101)]
    schema = "model STRING, user_id STRING, activity_id STRING, score DOUBLE, label INT"
    found = audience_metrics(spark.createDataFrame(rows, schema), [100], Bootstrap(50, 1))
    (lift,) = found.where("metric = 'lift@100'").collect()
    assert lift["high"] - lift["low"] < 0.05
