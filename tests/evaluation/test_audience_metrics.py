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
