"""Rows of the serving tables, written by hand, for a report of a run that never was."""

from dataclasses import replace
from datetime import date, datetime, timezone
from typing import Any

from activityrec.evaluation.report.data import ReportData, Row

AS_OF = date(2017, 10, 1)
MARKS: Row = {"run_id": "shop-20171001", "as_of": AS_OF}
HOSTILE = '<script>alert("1")</script> $x^2$ &amp; id="axes_1" url(#p1) \x00#010203'
"""A value that would be markup, mathematics, an entity, an id, a reference or a colour."""


def metric(model: str, name: str, value: float | None, **other: Any) -> Row:
    """A row of serving.metrics whose interval is 0.02 wide on either side."""
    ends = (None, None) if value is None else (value - 0.02, value + 0.02)
    row = {
        "population": "closed",
        "k": None,
        "slice": "all",
        "slice_value": None,
        "low": ends[0],
        "high": ends[1],
        "differs": None,
        "rows": 1200,
        "positives": 150,
        "groups": None,
    }
    return {**MARKS, "model": model, "metric": name, "value": value, **row, **other}


def comparison(name: str, difference: float | None, low: float | None, high: float | None) -> Row:
    """The ranker less past_rate."""
    pair = {"model": "ranker", "baseline": "past_rate", "metric": name, "population": "closed"}
    whole = {"k": None, "slice": "all", "slice_value": None}
    return {**MARKS, **pair, **whole, "difference": difference, "low": low, "high": high}


def point(curve: str, number: int, rate: float | None, captured: float | None) -> Row:
    known = rate is not None
    return {
        **MARKS,
        "model": "ranker",
        "population": "closed",
        "curve": curve,
        "bin": number,
        "mean_score": number / 10,
        "rate": rate,
        "low": rate - 0.05 if rate is not None else None,
        "high": rate + 0.05 if rate is not None else None,
        "lift": 1.5 if known else None,
        "captured": captured,
        "rows": 100,
        "positives": 20,
        "users": 90,
    }


def check(kind: str, name: str, psi: float | None, alarm: str | None = None) -> Row:
    figures = {"auc_before": 0.7, "auc_after": None, "psi": psi, "js": 0.01}
    importance = 0.4 if kind == "input" else None
    rows = {"rows_before": 3000, "rows_after": 1200, "alarm": alarm}
    return {**MARKS, "kind": kind, "name": name, "importance": importance, **figures, **rows}


def policy(name: str, estimator: str, value: float | None, refusal: str | None = None) -> Row:
    known = value is not None
    return {
        **MARKS,
        "policy": name,
        "estimator": estimator,
        "value": value,
        "low": value - 0.001 if value is not None else None,
        "high": value + 0.001 if value is not None else None,
        "rows": 10_000,
        "effective_sample_size": 812.4 if known else None,
        "mean_weight": 1.01 if known else None,
        "largest_weight": 43.2 if known else None,
        "clipped": 0.001 if known else None,
        "unsupported": 0.0 if known else 0.83,
        "propensities": "logged",
        "refusal": refusal,
    }


def gate(name: str, passed: bool, reason: str, decision: str = "kept") -> Row:
    return {
        **MARKS,
        "decided_ts": datetime(2017, 10, 2, tzinfo=timezone.utc),
        "challenger": "shop-ranker/3",
        "champion": "shop-ranker/2",
        "decision": decision,
        "check_name": name,
        "passed": passed,
        "value": 0.844,
        "bound": 0.8,
        "reason": reason,
    }


SPRING = {"slice": "activity_id", "slice_value": "spring"}
"""The audience of one activity."""
METRICS = [
    metric("ranker", "auc", 0.84),
    metric("past_rate", "auc", 0.77),
    metric("popularity", "auc", 0.61),
    metric("ranker", "average_precision", 0.5),
    metric("past_rate", "average_precision", 0.52),
    metric("ranker", "log_loss", 0.31),
    metric("past_rate", "log_loss", 0.37),
    metric("ranker", "calibration_ratio", 0.98),
    metric("past_rate", "precision", None),
    metric("ranker", "auc", 0.82, population="all", rows=2400),
    *[
        metric("ranker", f"{name}@{k}", 0.1 * k, population="lists", k=k, groups=90)
        for name in ("ndcg", "recall")
        for k in (1, 3)
    ],
    metric("ranker", "auc", 0.83, slice="channel", slice_value="mail", differs=False, groups=40),
    metric("ranker", "auc", 0.71, slice="channel", slice_value=HOSTILE, differs=True, groups=40),
    metric("ranker", "auc", 0.81, slice="week", slice_value="2017-10-02", differs=False),
    metric("past_rate", "auc", 0.75, slice="week", slice_value="2017-10-02", differs=False),
    metric("ranker", "response_rate", 0.1, groups=300, **SPRING),
    metric("past_rate", "response_rate@100", 0.15, k=100, **SPRING),
    metric("ranker", "response_rate@100", 0.25, k=100, **SPRING),
]

FULL = ReportData(
    "shop-20171001",
    AS_OF,
    {"serving.metrics": 7},
    metrics=METRICS,
    comparisons=[
        comparison("auc", 0.07, 0.05, 0.09),
        comparison("average_precision", -0.02, -0.05, 0.01),
        comparison("log_loss", -0.06, -0.08, -0.04),
    ],
    curves=[
        point("gain", 1, 0.5, 0.6),
        point("gain", 2, 0.1, 1.0),
        point("calibration", 1, 0.12, None),
        point("calibration", 9, 0.8, None),
        point("calibration", 10, None, None),
    ],
    input_checks=[
        check("input", "user_rate", 0.31),
        check("input", "offers", None, f"its AUC alone is 0.97 {HOSTILE}"),
        check("score", "ranker", 0.02),
    ],
    policy_values=[
        policy("logging", "on_policy", 0.0038),
        policy("recommended", "dr", 0.0046),
        policy("popularity", "all", None, "83 % of it is on activities never shown"),
    ],
    promotions=[
        gate("auc", True, "its AUC is above 0.800"),
        gate("no_worse", False, "its average precision is too low"),
    ],
    earlier=[
        {**metric("ranker", name, 0.8), "as_of": date(2017, 9, 1), "run_id": "shop-20170901"}
        for name in ("auc", "average_precision")
    ],
)
PLOTS = (
    ["gain", "calibration", "lists-ndcg", "lists-recall", "parts", "weeks", "trend-auc"]
    + ["trend-average_precision", "importance", "drift-input", "drift-score", "policies"]
)  # fmt: skip
"""The names of the plots of FULL, in the order of the page."""

EMPTY = ReportData("shop-20171001", AS_OF)
NO_LABELS = replace(EMPTY, metrics=[metric("ranker", "auc", None, positives=0)])
