"""Probabilities that are off are found, and corrected where that helps later."""

from pathlib import Path

import numpy as np
import pytest
from pyspark.ml import PipelineModel
from pyspark.ml.regression import IsotonicRegressionModel
from pyspark.sql import DataFrame, SparkSession
from scipy.stats import rankdata

from activityrec.config import Config
from activityrec.errors import StateError
from activityrec.ranking.calibration import Later, calibrated, calibration_error
from activityrec.ranking.pipeline import fit_ranker, probabilities
from tests.ranking.shop import SCHEMA, example_rows, ranker_config

TWICE = {f"bought{n}": "ln(1 + bought)" for n in range(6)}
"""Inputs that are one and the same: naive Bayes counts the evidence six times."""


@pytest.fixture(scope="module")
def examples(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(example_rows(2500, 21), SCHEMA).persist()


def _scores(model: PipelineModel, rows: DataFrame) -> list[float]:
    return [row["probability"] for row in probabilities(model, rows).orderBy("user_id").collect()]


def test_the_error_is_the_mean_distance_of_bins_from_what_happened(spark: SparkSession) -> None:
    # .2 is answered 1 of 4 times: off by .05; .9 half of the times: off by .4.
    rows = [(0.2, n == 0) for n in range(4)] * 3 + [(0.9, n == 0) for n in range(2)] * 2
    frame = spark.createDataFrame(
        [(p, int(label)) for p, label in rows], "probability DOUBLE, label INT"
    )
    assert calibration_error(frame) == pytest.approx((12 * 0.05 + 4 * 0.4) / 16)
    # The answered ones of .2 count three times: half of its weight is answered.
    heavy = frame.selectExpr("*", "if(probability < .5 AND label = 1, 3D, 1D) AS weight")
    assert calibration_error(heavy) == pytest.approx((18 * 0.3 + 4 * 0.4) / 22)


def test_what_is_off_is_corrected_and_saved_and_no_order_changes(
    examples: DataFrame, planted_config: Config, tmp_path: Path
) -> None:
    config = ranker_config(planted_config, "naive_bayes", inputs=TWICE, categorical=[])
    model = fit_ranker(examples, config)
    corrected, found = calibrated(model, Later(examples, config))
    assert found.decision == "isotonic"
    assert found.figures["calibration_error"] > 0.12
    assert found.figures["calibration_error_after"] < found.figures["calibration_error_before"] / 2
    assert isinstance(corrected.stages[-1], IsotonicRegressionModel)
    before, after = _scores(model, examples), _scores(corrected, examples)
    np.testing.assert_array_equal(rankdata(before), rankdata(after))
    corrected.save(str(tmp_path / "ranker"))
    assert _scores(PipelineModel.load(str(tmp_path / "ranker")), examples) == after


def test_what_is_right_stays_as_it_is(examples: DataFrame, planted_config: Config) -> None:
    config = ranker_config(planted_config, "logistic", calibration_limit=0.1)
    model = fit_ranker(examples, config)
    same, found = calibrated(model, Later(examples, config))
    assert same is model
    assert (found.decision, found.reason) == ("none", "the error is within the limit")
    assert found.figures["calibration_error"] < 0.1


def test_a_correction_that_does_not_help_later_is_left_out_unless_wanted(
    spark: SparkSession, planted_config: Config
) -> None:
    """In the second part by time nobody answers what they did; in the third all is as before."""
    rows = [
        (*row[:3], int(row[3] and n % 5 == 0) if 480 <= n < 640 else row[3], *row[4:])
        for n, row in enumerate(example_rows(800, 22))
    ]
    examples = spark.createDataFrame(rows, SCHEMA)
    config = ranker_config(planted_config, "logistic")
    model = fit_ranker(examples, config)
    same, found = calibrated(model, Later(examples, config))
    assert same is model
    assert (found.decision, found.reason) == ("none", "a correction does not help later")
    wanted = ranker_config(planted_config, "logistic", calibration="isotonic")
    assert calibrated(model, Later(examples, wanted))[1].decision == "isotonic"


def test_examples_of_one_instant_cannot_be_cut_by_time(
    spark: SparkSession, planted_config: Config
) -> None:
    first = example_rows(1, 1)[0][2]
    rows = [(*row[:2], first, *row[3:]) for row in example_rows(60, 23)]
    examples = spark.createDataFrame(rows, SCHEMA)
    config = ranker_config(planted_config, "logistic")
    model = fit_ranker(examples, config)
    assert calibrated(model, Later(examples, config))[1].decision == "none"
    wanted = ranker_config(planted_config, "logistic", calibration="isotonic")
    with pytest.raises(StateError, match=r"ranker\.calibration: isotonic cannot be learnt"):
        calibrated(model, Later(examples, wanted))
    unwanted = ranker_config(planted_config, "logistic", calibration="none")
    assert calibrated(model, Later(examples, unwanted))[1].figures == {}
