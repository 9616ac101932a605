"""Calibration and gain curves follow from the scores."""

import numpy as np
import pytest
from pyspark.sql import Row, SparkSession

from activityrec.evaluation.curves import curves
from activityrec.evaluation.draws import Bootstrap

ROWS = 500


@pytest.fixture(scope="module")
def data() -> dict[str, np.ndarray]:
    random = np.random.default_rng(2)
    score = np.round(random.random(ROWS), 3)
    return {"score": score, "label": (random.random(ROWS) < score**2).astype(int)}


@pytest.fixture(scope="module")
def points(spark: SparkSession, data: dict[str, np.ndarray]) -> dict[tuple[str, str, int], Row]:
    rows = [
        (model, f"u{n % 50}", float(s if model == "ranker" else 1000 * s), int(y), 1.0)
        for model in ("ranker", "affinity")
        for n, (s, y) in enumerate(zip(data["score"], data["label"], strict=True))
    ]
    rows += [("popularity", f"u{n}", 0.2, n % 2, 1.0) for n in range(10)]
    schema = "model STRING, user_id STRING, score DOUBLE, label INT, weight DOUBLE"
    found = curves(spark.createDataFrame(rows, schema), Bootstrap(50, 3)).collect()
    return {(row["model"], row["curve"], row["bin"]): row for row in found}


def test_calibration_compares_probabilities_with_what_happened(
    data: dict[str, np.ndarray], points: dict
) -> None:
    place = np.minimum(np.floor(data["score"] * 10), 9)
    for number in range(10):
        mine = place == number
        row = points["ranker", "calibration", number + 1]
        assert row["mean_score"] == pytest.approx(data["score"][mine].mean())
        assert row["rate"] == pytest.approx(data["label"][mine].mean())
        assert row["low"] <= row["rate"] <= row["high"]
        assert (row["rows"], row["positives"]) == (mine.sum(), data["label"][mine].sum())
        assert row["users"] == len({n % 50 for n in np.flatnonzero(mine)})
    assert not [key for key in points if key[:2] == ("affinity", "calibration")], "no probability"


def test_gain_counts_from_the_highest_scores(data: dict[str, np.ndarray], points: dict) -> None:
    order = np.sort(data["score"])[::-1]
    answered = data["label"].sum()
    for tenth in range(1, 11):
        first = order[(tenth - 1) * ROWS // 10]
        last = order[tenth * ROWS // 10 - 1]
        row = points["ranker", "gain", tenth]
        assert last - 0.01 <= row["mean_score"] <= first + 0.01
        assert row["rows"] == pytest.approx(ROWS / 10, abs=5), "but for ties"
        above = data["label"][data["score"] >= last].sum()
        assert row["captured"] == pytest.approx(above / answered, abs=0.03)
        assert row["lift"] == pytest.approx(row["rate"] / (answered / ROWS))
        assert points["affinity", "gain", tenth]["rate"] == row["rate"], "only the order counts"
    assert points["ranker", "gain", 10]["captured"] == 1


def test_equal_scores_share_a_bin(points: dict) -> None:
    mine = [row for key, row in points.items() if key[:2] == ("popularity", "gain")]
    assert [(row["bin"], row["rows"], row["lift"], row["captured"]) for row in mine] == [
        (1, 10, 1.0, 1.0)
    ]
