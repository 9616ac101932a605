"""Inputs one by one: what they tell, how they drift, and which of them leak."""

from typing import Any

import numpy as np
import pytest
from pyspark.sql import DataFrame, Row, SparkSession
from sklearn.metrics import roc_auc_score

from activityrec.config import Config
from activityrec.evaluation.input_checks import input_checks
from tests.planted import configuration

ROWS = 400
INPUTS = {"steady": "a", "moved": "b", "told": "c", "unknown": "d"}


@pytest.fixture(scope="module")
def sides() -> list[dict[str, np.ndarray]]:
    """Training examples and later exposures: ``b`` has moved by two deviations, ``c`` is the label
    itself but for a little noise."""
    random = np.random.default_rng(6)
    made = []
    for shift in (0, 2):
        label = random.integers(0, 2, ROWS)
        made.append(
            {
                "label": label,
                "a": random.normal(label, 2.0),
                "b": random.normal(shift, 1.0, ROWS),
                "c": label + random.normal(0, 0.1, ROWS),
                "probability": np.clip(random.normal(0.3 + 0.4 * label, 0.01), 0, 1),
            }
        )
    return made


@pytest.fixture(scope="module")
def found(spark: SparkSession, sides: list[dict[str, np.ndarray]]) -> dict[tuple[str, str], Row]:
    raw: dict[str, Any] = configuration()
    raw["ranker"] |= {"inputs": INPUTS, "categorical": ["city"]}
    before, after = (frame(spark, side, city) for side, city in zip(sides, "ns", strict=True))
    scores = {"ranker": "probability", "past_rate": "a", "gone": "e"}
    importance = {"steady": 0.5, "city": 0.1}
    config = Config.model_validate(raw)
    rows = input_checks(before, after.drop("e"), scores, importance, config).collect()
    return {(row["kind"], row["name"]): row for row in rows}


def frame(spark: SparkSession, side: dict[str, np.ndarray], city: str) -> DataFrame:
    """Half of the users are from ``x``, the others from a place of the side's own."""
    rows = [
        (f"u{n}", "x" if n % 2 else city, None, 1.0, *(float(value) for value in values))
        for n, values in enumerate(zip(*side.values(), strict=True))
    ]
    columns = ", ".join(f"{name} DOUBLE" for name in ("d", "e", *side))
    return spark.createDataFrame(rows, f"user_id STRING, city STRING, {columns}")


def test_each_value_alone_has_its_auc_before_and_after(
    sides: list[dict[str, np.ndarray]], found: dict
) -> None:
    row = found["input", "steady"]
    for side, name in zip(sides, ("auc_before", "auc_after"), strict=True):
        assert row[name] == pytest.approx(roc_auc_score(side["label"], side["a"]), abs=1e-9)
    assert (row["importance"], row["rows_before"], row["rows_after"]) == (0.5, ROWS, ROWS)


def test_drift_is_that_of_tenths_of_the_training_examples(
    sides: list[dict[str, np.ndarray]], found: dict
) -> None:
    row = found["input", "moved"]
    limits = np.sort(sides[0]["b"])[[int(ROWS * tenth / 10) - 1 for tenth in range(1, 10)]]
    shares = [
        np.maximum(np.bincount(np.searchsorted(limits, side["b"]), minlength=10) / ROWS, 1e-4)
        for side in sides
    ]
    psi = ((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum()
    assert row["psi"] == pytest.approx(psi, rel=0.05)
    assert found["input", "steady"]["psi"] < 0.1 < 1 < psi
    assert 0.3 < row["js"] < 1
    # All of n became s: shares of 1/2 and the least against each other.
    assert found["input", "city"]["psi"] == pytest.approx(2 * (0.5 - 1e-4) * np.log(0.5 / 1e-4))
    assert found["input", "city"]["js"] == pytest.approx(0.5, abs=0.01)
    assert found["input", "city"]["auc_before"] is None


def test_an_input_that_knows_the_outcome_raises_an_alarm(found: dict) -> None:
    alarms = {key: row["alarm"] for key, row in found.items() if row["alarm"]}
    assert set(alarms) == {("input", "told"), ("score", "ranker")}
    assert "does it know the outcome" in alarms["input", "told"]
    assert "too good to be true" in alarms["score", "ranker"]


def test_what_has_no_value_counts_as_the_ranker_takes_it(found: dict) -> None:
    """As 0, for an input; a score that one side lacks has no drift."""
    assert found["input", "unknown"]["auc_before"] == 0.5
    assert found["input", "unknown"]["psi"] == pytest.approx(0, abs=1e-9)
    assert ("score", "gone") not in found or found["score", "gone"]["psi"] is None
