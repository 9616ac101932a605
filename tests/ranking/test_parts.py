"""The lists are ordered by the ranker, unless one of its parts is better."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from sklearn.metrics import average_precision_score

from activityrec.config import Config, RetrievalConfig
from activityrec.ranking.calibration import Later
from activityrec.ranking.parts import average_precisions, best_order
from tests.ranking.shop import ranker_config


def examples(spark: SparkSession, misled: bool) -> DataFrame:
    """Who buys more answers; if ``misled`` only who bought less, until the last third of time."""
    random = np.random.default_rng(3)
    rows = []
    for place in range(240):
        bought = float(random.random())
        likely = 1 - bought if misled and place < 150 else bought
        label = int(random.random() < likely**2)
        at = datetime(2024, 1, 1) + timedelta(hours=place)
        rows.append((f"u{place}", "a", at, label, bought, 0.5, 0.5, bought))
    return spark.createDataFrame(
        rows,
        "user_id STRING, activity_id STRING, exposure_ts TIMESTAMP, label INT, bought DOUBLE, "
        "response_rate DOUBLE, type_response_rate DOUBLE, als_score DOUBLE",
    )


@pytest.mark.parametrize("misled, column", [(False, "probability"), (True, "als_score")])
def test_a_part_that_orders_later_examples_better_takes_the_rankers_place(
    spark: SparkSession, planted_config: Config, misled: bool, column: str
) -> None:
    config = ranker_config(planted_config, "logistic", inputs={"bought": "bought"}, categorical=[])
    config = config.model_copy(update={"retrieval": RetrievalConfig()})
    order = best_order(Later(examples(spark, misled), config))
    assert order.column == column
    assert set(order.figures) == {
        "later_ap_ranker", "later_ap_als", "later_ap_past_rate", "later_ap_popularity"
    }  # fmt: skip
    trusted = config.ranker.model_copy(update={"beat_parts": False})
    assert (
        best_order(
            Later(examples(spark, misled), config.model_copy(update={"ranker": trusted}))
        ).column
        == "probability"
    )


def test_average_precision_is_that_of_scikit_learn(spark: SparkSession) -> None:
    random = np.random.default_rng(4)
    label = (random.random(200) < 0.3).astype(int)
    score = np.round(label * 0.4 + random.random(200), 1)
    weight = random.integers(1, 4, 200).astype(float)
    rows = spark.createDataFrame(
        [tuple(map(float, row)) for row in zip(label, weight, score, strict=True)],
        "label DOUBLE, weight DOUBLE, s DOUBLE",
    )
    found = average_precisions(rows, {"it": "s"})["it"]
    assert found == pytest.approx(average_precision_score(label, score, sample_weight=weight))
