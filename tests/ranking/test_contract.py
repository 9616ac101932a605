"""What holds for every method of ranking: one suite, run for each."""

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, SparkSession
from sklearn.metrics import roc_auc_score

from activityrec.config import Config
from activityrec.errors import ConfigError, StateError
from activityrec.ranking.pipeline import fit_ranker, probabilities
from tests.ranking.shop import SCHEMA, SMALL, example_rows, ranker_config

Fit = tuple[PipelineModel, Config]


def _scores(model: PipelineModel, rows: DataFrame) -> list[float]:
    scored = probabilities(model, rows).orderBy("user_id").collect()
    return [row["probability"] for row in scored]


@pytest.fixture(scope="module")
def learnt(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(example_rows(400, 3), SCHEMA).persist()


@pytest.fixture(scope="module")
def later(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(example_rows(300, 4), SCHEMA).persist()


FAST = ("logistic", "random_forest")
"""A linear method and one of trees for every run of the tests; make slow tries the others."""


@pytest.fixture(
    scope="module",
    params=[pytest.param(m, marks=() if m in FAST else pytest.mark.slow) for m in SMALL],
)
def fit(request: pytest.FixtureRequest, learnt: DataFrame, planted_config: Config) -> Fit:
    if request.param == "xgboost" and find_spec("xgboost") is None:
        pytest.skip("an extra that is not installed")
    config = ranker_config(planted_config, request.param)
    return fit_ranker(learnt, config), config


def test_it_learns_the_planted_truth(fit: Fit, later: DataFrame) -> None:
    rows = later.orderBy("user_id").collect()
    labels = [row["label"] for row in rows]
    auc = roc_auc_score(labels, _scores(fit[0], later))
    assert auc > roc_auc_score(labels, [row["rate"] for row in rows]) + 0.15
    assert auc > 0.75


def test_the_same_examples_in_another_order_give_the_same_scores(
    fit: Fit, learnt: DataFrame, later: DataFrame
) -> None:
    model, config = fit
    again = fit_ranker(learnt.orderBy("bought").coalesce(1), config)
    assert _scores(again, later) == pytest.approx(_scores(model, later), abs=1e-9)


def test_a_loaded_ranker_gives_the_same_scores(fit: Fit, later: DataFrame, tmp_path: Path) -> None:
    fit[0].save(str(tmp_path / "ranker"))
    loaded = PipelineModel.load(str(tmp_path / "ranker"))
    assert _scores(loaded, later) == _scores(fit[0], later)


def test_what_is_missing_unknown_or_extreme_has_a_probability_too(
    fit: Fit, spark: SparkSession
) -> None:
    strange = [(None, 0.1, "a"), (1.0, None, "new"), (None, None, None), (1e12, -5.0, "b")]
    rows = [(f"u{n}", "a", None, 0, *row) for n, row in enumerate(strange)]
    scores = _scores(fit[0], spark.createDataFrame(rows, SCHEMA))
    assert len(scores) == len(strange)
    assert all(0 <= score <= 1 for score in scores)


def test_one_user_and_one_activity_are_enough(fit: Fit, spark: SparkSession) -> None:
    rows = [("u", "a", *row[2:]) for row in example_rows(60, 5)]
    frame = spark.createDataFrame(rows, SCHEMA)
    model = fit_ranker(frame, fit[1])
    assert all(0 <= row["probability"] <= 1 for row in probabilities(model, frame).collect())


@pytest.mark.parametrize("label, words", [(0, "0 answered and 20"), (1, "20 answered and 0")])
def test_examples_with_one_outcome_are_refused(
    fit: Fit, spark: SparkSession, label: int, words: str
) -> None:
    rows = [(*row[:3], label, *row[4:]) for row in example_rows(20, 6)]
    with pytest.raises(StateError, match=words):
        fit_ranker(spark.createDataFrame(rows, SCHEMA), fit[1])


def test_sampled_negatives_are_corrected_for(fit: Fit, spark: SparkSession) -> None:
    """With every fourth negative kept and counting four times the mean probability stays."""
    rows = example_rows(800, 8)
    kept = [
        (*row, 1.0 if row[3] else 4.0) for n, row in enumerate(rows) if row[3] or n // 2 % 4 == 0
    ]
    model = fit_ranker(spark.createDataFrame(kept, f"{SCHEMA}, weight DOUBLE"), fit[1])
    scores = _scores(model, spark.createDataFrame(rows, SCHEMA))
    share = np.mean([row[3] for row in rows])
    allowed = 0.12 if fit[1].ranker.method == "naive_bayes" else 0.05
    assert np.mean(scores) == pytest.approx(share, abs=allowed)


def test_a_method_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, learnt: DataFrame, planted_config: Config
) -> None:
    monkeypatch.setitem(sys.modules, "xgboost.spark", None)
    with pytest.raises(ConfigError, match=r"ranker\.method: xgboost.*activityrec\[xgboost\]"):
        fit_ranker(learnt, ranker_config(planted_config, "xgboost"))
