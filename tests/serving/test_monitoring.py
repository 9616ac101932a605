"""What the monitor finds, what it leaves alone, and what it cannot say."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from activityrec.config import Config, MonitorConfig
from activityrec.evaluation.draws import Bootstrap
from activityrec.serving.attribution import Published
from activityrec.serving.monitored_rates import calibration_finding, rate_findings
from activityrec.serving.monitoring import Finding, input_findings, score_findings
from tests.planted import configuration

DAY = date(2024, 5, 31)
NOON = datetime(2024, 5, 31)
DRAWS = Bootstrap(60, 1)
FEW = MonitorConfig(min_rows=50, min_responses=5)
TYPES = {  # (rows, answers) of windows that closed before, and lately
    "fell": ((100, 20), (100, 5)),
    "stopped": ((100, 20), (100, 0)),
    "steady": ((100, 20), (100, 24)),
    "luck": ((50, 5), (50, 2)),
    "new": ((10, 2), (100, 20)),
    "rare": ((100, 4), (100, 4)),
}


def days_ago(days: int) -> datetime:
    return NOON - timedelta(days=days)


def outcome(findings: Sequence[Finding]) -> dict[str, bool | None]:
    return {finding.name: finding.passed for finding in findings}


@pytest.fixture(scope="module")
def feedback(spark: SparkSession) -> DataFrame:
    """Windows that closed at the first and at the last instant of each side, and others."""
    rows: list[tuple] = []

    def plant(kind: str, closes: datetime, count: int, answers: int) -> None:
        for number in range(count):
            label = int(number < answers)
            rows.append((f"{kind}{number}", kind, closes, closes <= NOON, label, 0.2))

    for kind, (before, after) in TYPES.items():
        plant(kind, days_ago(7), *before)
        plant(kind, days_ago(0), *after)
    plant("steady", days_ago(35), 500, 500)
    plant("steady", NOON + timedelta(microseconds=1), 500, 0)
    return spark.createDataFrame(
        rows,
        "user_id STRING, activity_type STRING, closes_ts TIMESTAMP, closed BOOLEAN, label INT, "
        "probability DOUBLE",
    ).coalesce(1)


@pytest.fixture(scope="module")
def rates(feedback: DataFrame) -> dict[str, Finding]:
    return {f.name: f for f in rate_findings(feedback, DAY, FEW, DRAWS, 1)}


def test_a_rate_that_fell_is_found_and_chance_is_not(rates: dict[str, Finding]) -> None:
    assert outcome(list(rates.values())) == {
        "all": False, "fell": False, "stopped": False, "steady": True, "luck": True,
        "new": None, "rare": None,
    }  # fmt: skip
    values = {name: finding.value for name, finding in rates.items()}
    assert values["fell"] == pytest.approx(0.25)
    assert (values["stopped"], values["new"]) == (0, None)
    assert values["steady"] == pytest.approx(1.2)
    assert values["all"] == pytest.approx((55 / 550) / (71 / 460))
    assert (rates["all"].rows_before, rates["all"].rows_after) == (460, 550)
    assert rates["luck"].reason.endswith("chance may explain it")
    assert "10 closed exposures, needs 50" in rates["new"].reason
    assert "4 responses before, needs 5" in rates["rare"].reason


def test_nothing_is_told_of_few_answers(feedback: DataFrame) -> None:
    some = feedback.where("activity_type IN ('fell', 'stopped')")
    limits = FEW.model_copy(update={"max_rate_change": 0.9})
    told = rate_findings(some, DAY, limits, Bootstrap(0, 0), 6)
    assert outcome(told) == {"all": None, "fell": None, "stopped": False}
    nothing = rate_findings(some.limit(0), DAY, limits, DRAWS, 6)
    assert outcome(nothing) == {"all": None}


def test_no_figure_is_told_of_few_persons_whatever_else_is_lacking(feedback: DataFrame) -> None:
    """10 rows are too few, and so are 4 answers; neither may be said."""
    some = feedback.where("activity_type IN ('new', 'rare')")
    limits = FEW.model_copy(update={"min_rows": 500})
    told = rate_findings(some, DAY, limits, Bootstrap(0, 0), 21)
    told.append(calibration_finding(some, DAY, limits, Bootstrap(0, 0), 101))
    assert [finding.name for finding in told] == ["all", "new", "rare", "all"]
    for finding, least in zip(told, (21, 21, 21, 101), strict=True):
        why = f"not checked: fewer than {least} users or answers (privacy.k_anonymity)"
        figures = (finding.value, finding.rows_before, finding.rows_after)
        assert (finding.reason, figures) == (why, (None, None, None))


def test_an_activity_type_that_is_called_all_counts_once(feedback: DataFrame) -> None:
    named = feedback.where("activity_type = 'steady'").withColumn("activity_type", F.lit("all"))
    (found,) = rate_findings(named, DAY, FEW, Bootstrap(0, 0), 1)
    assert (found.name, found.rows_before, found.rows_after) == ("all", 100, 100)


@pytest.mark.parametrize(
    "kind, passed, value, words",
    [
        ("steady", True, 20 / 24, "24 came"),
        ("fell", False, 4.0, "5 came: ratio 4.00, limits 0.67 and 1.5"),
        ("stopped", False, None, "20.0 responses promised to 100 exposures, none came"),
        ("nothing", None, None, "0 closed exposures, needs 50"),
    ],
)
def test_what_was_promised_beside_what_came(
    feedback: DataFrame, kind: str, passed: bool | None, value: float | None, words: str
) -> None:
    rows = feedback.where(f"activity_type = '{kind}'")
    found = calibration_finding(rows, DAY, FEW, DRAWS, 1)
    assert (found.passed, found.value) == (passed, value and pytest.approx(value))
    assert words in found.reason


def examples(spark: SparkSession, shift: float, city: str, activities: int) -> DataFrame:
    """Exposures whose users answered ``shift`` more, half of them in a city of their own."""
    draw = np.random.default_rng(4)
    rows = [
        (f"u{n}", f"a{n % activities}", 0, float(draw.normal(0, 1)), float(draw.normal(shift, 1)),
         "x" if n % 2 else city, float(n % activities))
        for n in range(300)
    ]  # fmt: skip
    return spark.createDataFrame(
        rows,
        "user_id STRING, activity_id STRING, label INT, shown DOUBLE, answered DOUBLE, "
        "attribute_city STRING, offers DOUBLE",
    )


def test_drift_of_inputs_is_found_where_there_is_enough_to_look_at(spark: SparkSession) -> None:
    raw: dict[str, Any] = configuration()
    inputs = {"same": "shown", "moved": "answered", "few_activities": "offers + shown"}
    raw["ranker"] |= {"inputs": inputs, "categorical": ["attribute_city"]}
    config = Config.model_validate(raw)
    before, after = examples(spark, 0, "n", 60), examples(spark, 1, "s", 3)
    found = input_findings(before, after, config)
    by_check = {check: {f.name: f for f in found if f.check == check} for check in
                ("input_psi", "input_js")}  # fmt: skip
    wanted = {"same": True, "moved": False, "attribute_city": False, "few_activities": None}
    assert {check: outcome(list(rows.values())) for check, rows in by_check.items()} == {
        "input_psi": wanted, "input_js": wanted,
    }  # fmt: skip
    psi = by_check["input_psi"]
    # All of n became s: shares of 1/2 and the least against each other.
    assert psi["attribute_city"].value == pytest.approx(2 * (0.5 - 1e-4) * np.log(0.5 / 1e-4))
    assert psi["same"].value == pytest.approx(0, abs=1e-9)
    assert (psi["moved"].rows_before, psi["moved"].rows_after) == (300, 300)
    assert "3 were shown, and 60 in training, needs 50" in psi["few_activities"].reason
    short = input_findings(before, after.limit(100), config)
    assert {finding.passed for finding in short} == {None}
    assert "100 exposures, 300 training examples, needs 200" in short[0].reason


def test_drift_of_scores_is_that_from_the_run_published_a_week_before(spark: SparkSession) -> None:
    runs = [  # run, as_of, published (day of May), scores
        ("old", 17, 17, (0.0, 1.0)),
        ("same", 24, 24, (0.0, 1.0)),
        ("moved", 31, 31, (2.0, 1.0)),
        ("later", 32, 32, (9.0, 1.0)),
    ]
    first = date(2024, 4, 30)
    publications = spark.createDataFrame(
        [(run, first + timedelta(as_of), datetime(2024, 4, 30, 12) + timedelta(published))
         for run, as_of, published, _ in runs],
        "run_id STRING, as_of DATE, published_ts TIMESTAMP",
    )  # fmt: skip
    draw = np.random.default_rng(5)
    scores = [(run, float(s)) for run, _, _, of in runs for s in draw.normal(*of, 300)]
    lists = spark.createDataFrame(scores, "run_id STRING, score DOUBLE")

    def drift(day: date, rows: DataFrame = lists, made: DataFrame = publications) -> list[Finding]:
        return score_findings(Published(made, rows, lists), day, MonitorConfig())

    psi, js = drift(DAY)
    assert "from run same to moved" in psi.reason
    assert (psi.passed, js.passed, psi.rows_before) == (False, False, 300)
    assert psi.value is not None and psi.value > 1
    # The day before, the run of 24 May was the last one.
    held = drift(date(2024, 5, 30))
    assert {finding.passed for finding in held} == {True}
    assert "from run old to same" in held[0].reason
    # A run that was taken back an hour later was not current when that day ended.
    noon = datetime(2024, 5, 24, 12)
    taken_back = spark.createDataFrame(
        [("later", date(2024, 5, 24), noon + timedelta(hours=1)),
         ("old", date(2024, 5, 17), noon + timedelta(hours=2))],
        publications.schema,
    )  # fmt: skip
    assert "from run old to moved" in drift(DAY, made=publications.union(taken_back))[0].reason
    # Lists that have expired cannot be compared; then it is the run before.
    gone = drift(DAY, lists.where("run_id != 'same'"))
    assert "from run old to moved" in gone[0].reason
    first_days = drift(date(2024, 5, 23))
    assert {finding.passed for finding in first_days} == {None}
    assert "on 2024-05-10 or before" in first_days[0].reason
    nothing = drift(DAY, made=publications.limit(0))[0]
    assert (nothing.passed, nothing.reason) == (None, "not checked: no run is published")
