"""Metrics of exposures agree with scikit-learn, ties and all."""

from datetime import datetime, timezone

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from sklearn import metrics as sk

from activityrec.config import RetrievalConfig
from activityrec.evaluation.bootstrap import counts
from activityrec.evaluation.draws import Bootstrap, differences, summarised
from activityrec.evaluation.metrics import (
    MODELS,
    exposure_draws,
    exposure_metrics,
    long_scores,
)
from activityrec.retrieval.registry import RETRIEVERS

ROWS = 400
AT = datetime(2024, 5, 1, tzinfo=timezone.utc)
BOOTSTRAP = Bootstrap(30, 5)
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
    rows = exposure_metrics(long_scores(scored), THRESHOLD, 5, BOOTSTRAP).collect()
    return {row["metric"]: row for row in rows if row["model"] == "ranker"}


def _scored(
    spark: SparkSession, data: dict[str, np.ndarray], weight: np.ndarray | None = None
) -> DataFrame:
    weights = (np.ones(len(data["user"])) if weight is None else weight).tolist()
    rows = [
        (f"u{u}", f"a{a}", AT, int(label), w, False, float(score), None, None, None, None, {})
        for u, a, label, score, w in zip(*data.values(), weights, strict=True)
    ]
    schema = (
        "user_id STRING, activity_id STRING, exposure_ts TIMESTAMP, label INT, weight DOUBLE, "
        "censored BOOLEAN, "
        "ranker DOUBLE, champion DOUBLE, popularity DOUBLE, past_rate DOUBLE, affinity DOUBLE, "
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
        "f1": sk.f1_score(label, predicted),
        "brier": sk.brier_score_loss(label, score),
        "calibration_error": sum(
            abs((score - label)[np.minimum(score * 10 // 1, 9) == place].sum()) / ROWS
            for place in range(10)
        ),
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


def test_replicates_weigh_users_as_often_as_they_are_drawn(
    spark: SparkSession, exposures: dict[str, np.ndarray]
) -> None:
    scores = long_scores(_scored(spark, exposures)).persist()
    draws = exposure_draws(scores, THRESHOLD, 5, BOOTSTRAP).persist()
    found = {
        (row["metric"], draw): value
        for row in draws.collect()
        if row["model"] == "ranker"
        for draw, value in enumerate(row["draws"])
    }
    names = [f"u{user}" for user in exposures["user"]]
    hashes = spark.createDataFrame([(name,) for name in names], "user_id STRING")
    users = np.array([row[0] for row in hashes.select(F.xxhash64("user_id")).collect()])
    times = counts(users.view(np.uint64), BOOTSTRAP.replicates, BOOTSTRAP.seed)
    label, score = exposures["label"], exposures["ranker"]
    for draw in (0, 1, 17, 30):
        weight = times[:, draw]
        wanted = {
            "auc": sk.roc_auc_score(label, score, sample_weight=weight),
            "average_precision": sk.average_precision_score(label, score, sample_weight=weight),
            "brier": sk.brier_score_loss(label, score, sample_weight=weight),
            "f1": sk.f1_score(label, score >= THRESHOLD, sample_weight=weight),
        }
        assert {name: found[name, draw] for name in wanted} == pytest.approx(wanted, abs=1e-9)
        within = []
        for one in np.unique(exposures["activity"]):
            mine = exposures["activity"] == one
            if label[mine].sum() >= 5:
                part = sk.roc_auc_score(label[mine], score[mine], sample_weight=weight[mine])
                within.append(part)
        assert found["auc_within_activity", draw] == pytest.approx(np.mean(within), abs=1e-9)
    rows = summarised(draws).where("metric = 'auc'").collect()
    replicates = [found["auc", draw] for draw in range(1, 31)]
    assert rows[0]["low"] == pytest.approx(np.percentile(replicates, 2.5), abs=1e-9)
    assert rows[0]["high"] == pytest.approx(np.percentile(replicates, 97.5), abs=1e-9)


def test_sampled_exposures_count_by_their_weight(
    spark: SparkSession, exposures: dict[str, np.ndarray]
) -> None:
    weight = np.random.default_rng(9).integers(1, 5, ROWS).astype(float)
    scored = _scored(spark, exposures, weight)
    rows = exposure_metrics(long_scores(scored), THRESHOLD, 5, Bootstrap(0, 0)).collect()
    found = {row["metric"]: row["value"] for row in rows}
    label, score = exposures["label"], exposures["ranker"]
    bounded = np.clip(score, 1e-15, 1 - 1e-15)
    users = exposures["user"]
    within = [
        sk.roc_auc_score(label[mine], score[mine], sample_weight=weight[mine])
        for mine in (users == one for one in np.unique(users))
        if 0 < label[mine].sum() < mine.sum()
    ]
    wanted = {
        "auc": sk.roc_auc_score(label, score, sample_weight=weight),
        "auc_within_user": np.mean(within),
        "average_precision": sk.average_precision_score(label, score, sample_weight=weight),
        "log_loss": sk.log_loss(label, bounded, sample_weight=weight),
        "recall": sk.recall_score(label, score >= THRESHOLD, sample_weight=weight),
    }
    assert {name: found[name] for name in wanted} == pytest.approx(wanted, abs=1e-9)


def test_models_are_compared_on_the_same_replicates(spark: SparkSession) -> None:
    draws = spark.createDataFrame(
        [("a", "auc", [0.7, 0.9, 0.5]), ("b", "auc", [0.6, 0.8, 0.4]), ("a", "log_loss", [0.1])],
        "model STRING, metric STRING, draws ARRAY<DOUBLE>",
    )
    rows = {
        (row["model"], row["baseline"]): row for row in differences(draws, ["metric"]).collect()
    }
    assert set(rows) == {("a", "b"), ("b", "a")}
    for pair, sign in ((("a", "b"), 1), (("b", "a"), -1)):
        values = [rows[pair][name] for name in ("difference", "low", "high")]
        assert values == pytest.approx([0.1 * sign] * 3)


def test_without_replicates_or_with_undefined_ones_there_is_no_interval(
    spark: SparkSession,
) -> None:
    draws = spark.createDataFrame(
        [("a", "x", [0.7]), ("a", "y", [0.7, None, 0.7])],
        "model STRING, metric STRING, draws ARRAY<DOUBLE>",
    )
    for metric in ("x", "y"):
        row = summarised(draws.where(F.col("metric") == metric)).collect()[0]
        assert (row["value"], row["low"], row["high"]) == (0.7, None, None)


def test_undefined_metrics_are_null_not_zero(spark: SparkSession) -> None:
    data = {
        "user": np.arange(3),
        "activity": np.zeros(3, int),
        "label": np.zeros(3, int),
        "ranker": np.array([0.1, 0.2, 0.3]),
    }
    rows = exposure_metrics(long_scores(_scored(spark, data)), 0.5, 1, BOOTSTRAP).collect()
    found = {row["metric"]: row["value"] for row in rows}
    assert found["auc"] is None and found["average_precision"] is None
    assert found["precision"] is None and found["recall"] is None
    assert found["accuracy"] == 1.0
    assert "auc_within_activity" not in found


def test_models_without_probabilities_have_no_log_loss(spark: SparkSession) -> None:
    rows = [("u1", "a1", AT, 1, 1.0, False, None, None, 0.2, None, 40.0, {"als": 1.2})]
    schema = (
        "user_id STRING, activity_id STRING, exposure_ts TIMESTAMP, label INT, weight DOUBLE, "
        "censored BOOLEAN, "
        "ranker DOUBLE, champion DOUBLE, popularity DOUBLE, past_rate DOUBLE, affinity DOUBLE, "
        "scores MAP<STRING, DOUBLE>"
    )
    scores = long_scores(spark.createDataFrame(rows, schema))
    found = exposure_metrics(scores, 0.5, 1, BOOTSTRAP).collect()
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


def test_comparisons_that_production_would_make(spark: SparkSession) -> None:
    """Of a user only activities that were live together; of an activity only users of one day."""
    days = [datetime(2024, 5, n, tzinfo=timezone.utc) for n in range(1, 9)]
    spans = {"early": (0, 3), "over": (2, 5), "late": (4, 7)}
    rows = [
        # The early activity was over when the late one began: its high score is no mistake.
        ("u", "early", 0, 0.9, 0), ("u", "over", 2, 0.2, 0), ("u", "late", 4, 0.5, 1),
        ("v", "late", 4, 0.4, 0), ("w", "late", 5, 0.6, 0),
    ]  # fmt: skip
    scores = spark.createDataFrame(
        [("m", user, activity, days[at], label, score, *(days[n] for n in spans[activity]))
         for user, activity, at, score, label in rows],
        "model STRING, user_id STRING, activity_id STRING, exposure_ts TIMESTAMP, label INT, "
        "score DOUBLE, start_ts TIMESTAMP, end_ts TIMESTAMP",
    )  # fmt: skip
    found = {row["metric"]: row for row in exposure_metrics(scores, 0.5, 1, BOOTSTRAP).collect()}
    assert found["auc_within_user"]["value"] == 0.5
    assert found["auc_within_user_live"]["value"] == 1.0
    assert (found["auc_within_user_live"]["groups"], found["auc_within_user_live"]["rows"]) == (
        1,
        1,
    )
    # Late was sent to u and v on one day, to w on another.
    assert found["auc_within_activity"]["value"] == 0.5
    assert found["auc_within_activity_day"]["value"] == 1.0
    assert found["auc_within_activity_day"]["groups"] == 1


def test_groups_weighted_by_their_exposures(
    exposures: dict[str, np.ndarray], computed: dict[str, tuple]
) -> None:
    for metric, group, least in (
        ("auc_within_activity_weighted", "activity", 5),
        ("auc_within_user_weighted", "user", 1),
    ):
        values, sizes = [], []
        for one in np.unique(exposures[group]):
            mine = exposures[group] == one
            label = exposures["label"][mine]
            if label.sum() >= least and label.sum() < len(label):
                values.append(sk.roc_auc_score(label, exposures["ranker"][mine]))
                sizes.append(mine.sum())
        wanted = np.average(values, weights=sizes)
        assert computed[metric]["value"] == pytest.approx(wanted, abs=1e-9)
