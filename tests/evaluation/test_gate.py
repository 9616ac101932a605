"""The gate on planted challengers: each gets the right answer with its reason."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from activityrec.config import Config, EvaluateConfig
from activityrec.config_promote import PromoteConfig
from activityrec.evaluation.findings import of_exposures
from activityrec.evaluation.gate import Check, Evidence, decide
from activityrec.evaluation.metrics import long_scores
from tests.planted import configuration

LIMITS = PromoteConfig(population="all")
EVALUATE = EvaluateConfig(replicates=60, min_slice_users=20)
USERS, EACH = 300, 6
ROW = {
    "model": "ranker", "metric": "average_precision", "population": "closed", "k": None,
    "slice": "all", "value": 0.4, "rows": 900, "positives": 400,
}  # fmt: skip
Floats = np.ndarray
Evaluate = Callable[..., list[Check]]


@pytest.fixture(scope="module")
def shop() -> dict[str, Floats]:
    """Exposures with a known probability of an answer, and a champion that knows it roughly."""
    random = np.random.default_rng(8)
    user = np.repeat(np.arange(USERS), EACH)
    truth = 1 / (1 + np.exp(2.0 - random.normal(0, 2, len(user))))
    return {
        "user": user,
        "truth": truth,
        "label": (random.random(len(user)) < truth).astype(int),
        "champion": blurred(truth, 1.5, random),
        "popularity": np.full(len(user), truth.mean()),
        "city": np.where(user % 10 == 0, "small", "large"),
    }


def blurred(truth: Floats, noise: float, random: np.random.Generator) -> Floats:
    """Probabilities whose log-odds are off by this much."""
    odds = np.log(truth / (1 - truth)) + random.normal(0, noise, len(truth))
    return 1 / (1 + np.exp(-odds))


@pytest.fixture(scope="module")
def answer(spark: SparkSession, shop: dict[str, Floats]) -> Evaluate:
    """What the gate says of a challenger's probabilities on the first ``users``."""

    def decided(ranker: Floats, users: int = USERS) -> list[Check]:
        rows = [
            (f"u{shop['user'][n]}", f"a{n % 7}", int(shop["label"][n]), 1.0, float(ranker[n]),
             float(shop["champion"][n]),
             float(shop["popularity"][n]), {"city": str(shop["city"][n])}, {})
            for n in range(users * EACH)
        ]  # fmt: skip
        schema = (
            "user_id STRING, activity_id STRING, label INT, weight DOUBLE, ranker DOUBLE, "
            "champion DOUBLE, popularity DOUBLE, slices MAP<STRING, STRING>, "
            "scores MAP<STRING, DOUBLE>"
        )
        nothing: Any = F.lit(None).cast("double")
        scored = spark.createDataFrame(rows, schema)
        for unused in ("past_rate", "affinity"):
            scored = scored.withColumn(unused, nothing)
        scores = long_scores(scored).persist()
        found = of_exposures(scores, "all", EVALUATE, EVALUATE.min_slice_users)
        return decide(
            Evidence(found.metrics.collect(), found.comparisons.collect(), [], [], [], True),
            LIMITS,
        )

    return decided


def failed(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.reason for check in checks if not check.passed}


def test_an_equal_challenger_passes(answer: Evaluate, shop: dict[str, Floats]) -> None:
    found = answer(shop["champion"])
    assert failed(found) == {}
    reasons = {check.name: check.reason for check in found}
    assert "is +0.0000 [+0.0000, +0.0000] beside champion" in reasons["champion"]
    assert {"size", "baseline popularity", "slices", "calibration", "leakage"} <= set(reasons)


@pytest.mark.slow
def test_a_worse_challenger_fails_beside_the_champion(
    answer: Evaluate, shop: dict[str, Floats]
) -> None:
    worse = blurred(shop["truth"], 4.0, np.random.default_rng(1))
    assert set(failed(answer(worse))) >= {"champion"}


def test_better_on_the_whole_but_broken_in_a_part(
    answer: Evaluate, shop: dict[str, Floats]
) -> None:
    useless = np.random.default_rng(2).random(len(shop["truth"]))
    broken = np.where(shop["city"] == "small", useless / 10, shop["truth"])
    found = failed(answer(broken))
    assert set(found) == {"slices"}
    assert "city = small" in found["slices"]


@pytest.mark.slow
def test_too_little_data(answer: Evaluate, shop: dict[str, Floats]) -> None:
    found = failed(answer(shop["truth"], users=25))
    assert "150 rows with" in found["size"] and "at least 200" in found["size"]


def test_a_leaking_challenger() -> None:
    checks = [
        {"name": "visits", "alarm": "does it know the outcome?"},
        {"name": "clean", "alarm": None},
    ]
    found = failed(decide(Evidence([ROW], [], checks, [], [], False), PromoteConfig()))
    assert found["leakage"] == "visits: does it know the outcome?"


def test_without_anything_evaluated_there_is_one_reason() -> None:
    found = decide(Evidence([], [], [], [], [], False), PromoteConfig())
    assert [(check.name, check.passed) for check in found] == [("size", False)]


def test_without_exposures_the_lists_decide() -> None:
    row = {
        "model": "retrieval", "metric": "ndcg@10", "population": "lists", "k": 10,
        "slice": "all", "value": 0.4, "rows": 900, "positives": 400,
    }  # fmt: skip
    pair = {**row, "baseline": "popularity", "difference": 0.1, "low": 0.05, "high": 0.2}
    smaller = row | {"metric": "ndcg@3", "k": 3}
    coverage = row | {"metric": "activity_coverage@10", "value": 0.02}
    found = decide(Evidence([smaller, row, coverage], [pair], [], [], [], False), PromoteConfig())
    assert failed(found) == {
        "coverage": "2.0% of the candidate activities are in a list of 10; at least 10.0%"
    }
    assert "ndcg@10 of lists is +0.1000" in {c.name: c.reason for c in found}["baseline popularity"]


@pytest.mark.parametrize(
    ("size", "propensities", "passed"), [(12.0, "logged", False), (300.0, "logged", True)]
)
def test_an_estimate_from_a_log_that_is_worth_little_does_not_pass(
    size: float, propensities: str, passed: bool
) -> None:
    value = {
        "policy": "recommended", "propensities": propensities, "effective_sample_size": size,
    }  # fmt: skip
    found = decide(Evidence([ROW], [], [], [value], [], False), PromoteConfig())
    assert [c.passed for c in found if c.name == "effective_sample"] == [passed]


def test_a_load_that_refused_much_does_not_pass() -> None:
    loads = [
        {"table_name": "events", "rows": 100, "refused": 40},
        {"table_name": "users", "rows": 0, "refused": 0},
    ]
    found = failed(decide(Evidence([ROW], [], [], [], loads, False), PromoteConfig()))
    assert found["data"] == "at most 40.0% of a load were refused (events); limit 20.0%"


def test_with_a_ranker_the_retrieval_beside_it_is_not_what_is_asked_for() -> None:
    coverage = {**ROW, "metric": "activity_coverage@10", "population": "lists", "k": 10}
    rows = [ROW, coverage | {"value": 0.02}, coverage | {"model": "retrieval", "value": 0.9}]
    for metrics in (rows, rows[::-1]):
        found = failed(decide(Evidence(metrics, [], [], [], [], False), PromoteConfig()))
        assert found["coverage"].startswith("2.0% of the candidate activities")


def test_a_refused_estimate_of_a_logged_policy_does_not_pass_unless_it_is_not_asked_for() -> None:
    value = {
        "policy": "recommended", "propensities": "logged", "effective_sample_size": None,
        "refusal": "the log never shows it",
    }  # fmt: skip
    evidence = Evidence([ROW], [], [], [value], [], False)
    assert failed(decide(evidence, PromoteConfig()))["effective_sample"] == "the log never shows it"
    assert "effective_sample" not in failed(decide(evidence, PromoteConfig(min_effective_rows=0)))


def test_a_champion_without_a_ranker_is_compared_by_its_lists() -> None:
    lists = {**ROW, "metric": "ndcg@3", "population": "lists", "k": 3}
    pair = {**lists, "baseline": "champion", "difference": -0.3, "low": -0.4, "high": -0.2}
    found = failed(decide(Evidence([ROW, lists], [pair], [], [], [], True), PromoteConfig()))
    assert "ndcg@3 of lists is -0.3000" in found["champion"]
    found = failed(decide(Evidence([ROW], [], [], [], [], True), PromoteConfig()))
    assert found["champion"].startswith("the champion has no average_precision of closed")


def test_parts_without_intervals_say_nothing_good() -> None:
    pair = {
        **ROW, "baseline": "champion", "slice": "week", "slice_value": "w", "difference": -0.5,
        "low": None, "high": None,
    }  # fmt: skip
    found = failed(decide(Evidence([ROW], [pair], [], [], [], True), PromoteConfig()))
    assert found["slices"] == "no part's difference from the champion has an interval"


@pytest.mark.parametrize(
    "wrong", [{"metric": "log_loss"}, {"metric": "average_precison"}, {"list_metric": "gini"}]
)
def test_a_metric_that_is_none_or_grows_as_models_get_worse_is_refused(wrong: dict) -> None:
    with pytest.raises(ValidationError, match="Input should be"):
        PromoteConfig.model_validate(wrong)


def test_a_baseline_that_nobody_evaluates_is_refused() -> None:
    raw = configuration()
    raw["promote"]["baselines"] = ["popularity", "pastrate"]
    with pytest.raises(ValidationError, match=r"promote.baselines names \['pastrate'\]; there are"):
        Config.model_validate(raw)
