"""Metrics of exposures agree with scikit-learn, ties and all."""

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from sklearn import metrics as sk

from activityrec.config import RetrievalConfig
from activityrec.evaluation.metrics import MODELS, exposure_metrics, long_scores
from activityrec.retrieval.registry import RETRIEVERS

ROWS = 400
THRESHOLD = 0.5


@pytest.fixture(scope="module")
def exposures() -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    label = random.integers(0, 2, ROWS)
    # Rounded, so that many scores are equal; and both certain and wrong at the ends.
    ranker = np.clip(np.round(random.normal(0.3 + 0.3 * label, 0.3), 1), 0, 1)
    return {
        "user": random.integers(0, 60, ROWS),
        "activity": random.integers(0, 8, ROWS),
        "label": label,
        "ranker": ranker,
    }


@pytest.fixture(scope="module")
def computed(spark: SparkSession, exposures: dict[str, np.ndarray]) -> dict[str, tuple]:
    scored = _scored(spark, exposures)
    rows = exposure_metrics(long_scores(scored), THRESHOLD, min_answers=5).collect()
    return {row["metric"]: row for row in rows if row["model"] == "ranker"}


def _scored(spark: SparkSession, data: dict[str, np.ndarray]) -> DataFrame:
    rows = [
        (f"u{u}", f"a{a}", place, int(label), False, float(score), None, None, None, {})
        for place, (u, a, label, score) in enumerate(zip(*data.values(), strict=True))
    ]
    schema = (
        "user_id STRING, activity_id STRING, exposure_ts INT, label INT, censored BOOLEAN, "
        "ranker DOUBLE, popularity DOUBLE, past_rate DOUBLE, affinity DOUBLE, "
        "scores MAP<STRING, DOUBLE>"
    )
    return spark.createDataFrame(rows, schema)


def test_pooled_metrics(exposures: dict[str, np.ndarray], computed: dict[str, tuple]) -> None:
    label, score = exposures["label"], exposures["ranker"]
    predicted = score >= THRESHOLD
    wanted = {
        "auc": sk.roc_auc_score(label, score),
        "average_precision": sk.average_precision_score(label, score),
        "log_loss": sk.log_loss(label, np.clip(score, 1e-15, 1 - 1e-15)),
        "accuracy": sk.accuracy_score(label, predicted),
        "precision": sk.precision_score(label, predicted),
        "recall": sk.recall_score(label, predicted),
    }
    assert {name: computed[name]["value"] for name in wanted} == pytest.approx(wanted, abs=1e-9)
    assert computed["auc"]["rows"] == ROWS
    assert computed["auc"]["positives"] == label.sum()


@pytest.mark.parametrize(
    ("metric", "group", "min_answers"),
    [("auc_within_activity", "activity", 5), ("auc_within_user", "user", 1)],
)
def test_auc_within_groups_is_the_mean_over_those_with_both_outcomes(
    exposures: dict[str, np.ndarray],
    computed: dict[str, tuple],
    metric: str,
    group: str,
    min_answers: int,
) -> None:
    values = []
    for one in np.unique(exposures[group]):
        mine = exposures[group] == one
        label = exposures["label"][mine]
        if label.sum() >= min_answers and label.sum() < len(label):
            values.append(sk.roc_auc_score(label, exposures["ranker"][mine]))
    assert computed[metric]["value"] == pytest.approx(np.mean(values), abs=1e-9)
    assert computed[metric]["groups"] == len(values)


def test_undefined_metrics_are_null_not_zero(spark: SparkSession) -> None:
    data = {
        "user": np.arange(3),
        "activity": np.zeros(3, int),
        "label": np.zeros(3, int),
        "ranker": np.array([0.1, 0.2, 0.3]),
    }
    rows = exposure_metrics(long_scores(_scored(spark, data)), 0.5, 1).collect()
    found = {row["metric"]: row["value"] for row in rows}
    assert found["auc"] is None and found["average_precision"] is None
    assert found["precision"] is None and found["recall"] is None
    assert found["accuracy"] == 1.0
    assert "auc_within_activity" not in found


def test_models_without_probabilities_have_no_log_loss(spark: SparkSession) -> None:
    rows = [("u1", "a1", 0, 1, False, None, 0.2, None, 40.0, {"als": 1.2})]
    schema = (
        "user_id STRING, activity_id STRING, exposure_ts INT, label INT, censored BOOLEAN, "
        "ranker DOUBLE, popularity DOUBLE, past_rate DOUBLE, affinity DOUBLE, "
        "scores MAP<STRING, DOUBLE>"
    )
    found = exposure_metrics(long_scores(spark.createDataFrame(rows, schema)), 0.5, 1).collect()
    assert {row["model"] for row in found if row["metric"] == "log_loss"} == {"popularity"}
    assert {row["model"] for row in found if row["metric"] == "auc"} == {
        "popularity",
        "affinity",
        "als",
    }


def test_no_retriever_has_the_name_of_another_model() -> None:
    """Both are keys of one map."""
    every = RetrievalConfig(methods=dict.fromkeys(RETRIEVERS, 1.0))
    assert len(every.score_columns) == len(RETRIEVERS)
    assert not set(every.score_columns) & {*MODELS, "retrieval"}
