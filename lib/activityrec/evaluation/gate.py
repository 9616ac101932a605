"""The gate: may the challenger become champion? Decided by what evaluation found of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from activityrec.config_promote import PromoteConfig

Rows = Sequence[Any]
"""Rows of a serving table, on the driver: of one run there are some thousands at most."""

LISTS = "lists"
RANKER, RETRIEVAL = "ranker", "retrieval"
"""What the model under test is called; the latter where no ranker was trained."""


@dataclass(frozen=True)
class Check:
    """One check: whether it held, in words, and the figures that it looked at."""

    name: str
    passed: bool
    reason: str
    value: float | None = None
    bound: float | None = None


@dataclass(frozen=True)
class Evidence:
    """What is known of a challenger, as collected rows.

    Attributes
    ----------
    metrics, comparisons, input_checks, policy_values
        Of the run that evaluated it.
    loads
        The latest load of each clean table: table_name, ``rows`` and ``refused``.
    champion
        Whether there is one.
    newer
        Whether it was trained as of a later day than the challenger.
    incomparable
        Why it was not evaluated beside the challenger; None: it was.
    """

    metrics: Rows
    comparisons: Rows
    input_checks: Rows
    policy_values: Rows
    loads: Rows
    champion: bool
    newer: bool = False
    incomparable: str | None = None


def decide(evidence: Evidence, limits: PromoteConfig) -> list[Check]:
    """Every check, in the order in which a reader asks for them; all must hold."""
    found = _Primary.of(evidence, limits)
    if found is None:
        reason = "there is nothing to evaluate: no exposure and no answer after as_of"
        return [Check("size", False, reason)]
    return [
        _size(found.row, limits),
        *_baselines(found, limits),
        _champion(found, evidence, limits),
        _worst_slice(found, evidence, limits),
        *_calibration(found, limits),
        *_coverage(found, limits),
        *_effective_rows(evidence, limits),
        _leakage(evidence),
        _audit(evidence, limits),
    ]


@dataclass(frozen=True)
class _Primary:
    """The primary metric of the challenger, and what belongs to it."""

    row: Any
    metrics: list[Any]
    comparisons: list[Any]

    @property
    def name(self) -> str:
        return f"{self.row['metric']} of {self.row['population']}"

    @staticmethod
    def of(evidence: Evidence, limits: PromoteConfig) -> "_Primary | None":
        names = {row["model"] for row in evidence.metrics}
        tested = RANKER if RANKER in names else RETRIEVAL
        mine = [row for row in evidence.metrics if row["model"] == tested]
        whole = [row for row in mine if row["slice"] == "all" and row["value"] is not None]
        rows = [
            row
            for row in whole
            if (row["metric"], row["population"]) == (limits.metric, limits.population)
        ]
        rows = rows or _of_lists(whole, limits)
        return _Primary.about(rows[0], whole, evidence) if rows else None

    @staticmethod
    def about(row: Any, whole: list[Any], evidence: Evidence) -> "_Primary":
        """This row as the primary one."""
        same = [
            pair
            for pair in evidence.comparisons
            if pair["model"] == row["model"]
            and (pair["metric"], pair["population"]) == (row["metric"], row["population"])
        ]
        return _Primary(row, whole, same)

    def beside(self, model: str, part: bool = False) -> list[Any]:
        """The differences from a model: of the whole, or of the parts of slices."""
        return [
            pair
            for pair in self.comparisons
            if pair["baseline"] == model and (pair["slice"] != "all") == part
        ]


def _of_lists(whole: list[Any], limits: PromoteConfig) -> list[Any]:
    """The metric of the longest lists, if there are any."""
    lists = [row for row in whole if row["population"] == LISTS and row["k"] is not None]
    rows = [row for row in lists if row["metric"] == f"{limits.list_metric}@{row['k']}"]
    return sorted(rows, key=lambda row: row["k"])[-1:]


def _size(row: Any, limits: PromoteConfig) -> Check:
    enough = row["rows"] >= limits.min_rows and row["positives"] >= limits.min_positives
    reason = (
        f"{row['rows']:,} rows with {row['positives']:,} answers; at least {limits.min_rows:,} "
        f"and {limits.min_positives:,} are needed"
    )
    return Check("size", enough, reason, float(row["positives"]), float(limits.min_positives))


def _baselines(found: _Primary, limits: PromoteConfig) -> Iterable[Check]:
    known = [name for name in limits.baselines if found.beside(name)]
    if not known:
        wanted = ", ".join(limits.baselines) or "none"
        reason = f"no baseline was evaluated beside it (asked for: {wanted})"
        yield Check("baselines", False, reason)
    for name in known:
        yield _beside(found, name, f"baseline {name}", limits.baseline_tolerance, strictly=True)


def _champion(found: _Primary, evidence: Evidence, limits: PromoteConfig) -> Check:
    if not evidence.champion:
        return Check("champion", True, "there is no champion yet")
    if evidence.newer:
        reason = "the champion was trained as of a later day: it is not replaced by an older model"
        return Check("champion", False, reason)
    if evidence.incomparable is not None:
        reason = f"not compared with the champion: {evidence.incomparable}"
        return Check("champion", True, reason)
    if not found.beside("champion"):
        # One without a ranker says nothing of exposures, but it has lists.
        rows = _of_lists(found.metrics, limits)
        found = _Primary.about(rows[0], found.metrics, evidence) if rows else found
    if not found.beside("champion"):
        return Check("champion", False, f"the champion has no {found.name} to be compared with")
    return _beside(found, "champion", "champion", limits.tolerance, strictly=False)


def _beside(found: _Primary, model: str, name: str, tolerance: float, strictly: bool) -> Check:
    (pair,) = found.beside(model)
    difference, low, high = (pair[key] for key in ("difference", "low", "high"))
    if difference is None or low is None:
        return Check(name, False, f"the difference from {model} in {found.name} has no interval")
    passed = low > -tolerance if strictly else low >= -tolerance
    reason = (
        f"{found.name} is {difference:+.4f} [{low:+.4f}, {high:+.4f}] beside {model}; the interval "
        f"must begin {'above' if strictly else 'at or above'} {0 - tolerance:g}"
    )
    return Check(name, passed, reason, low, 0 - tolerance)


def _worst_slice(found: _Primary, evidence: Evidence, limits: PromoteConfig) -> Check:
    parts = found.beside("champion", part=True)
    if not parts:
        return Check("slices", True, "no part was compared with a champion")
    if any(pair["high"] is None for pair in parts):
        parts = [pair for pair in parts if pair["high"] is not None]
        if not parts:
            return Check("slices", False, "no part's difference from the champion has an interval")
    worst = min(parts, key=lambda pair: pair["high"])
    reason = (
        f"the worst of {len(parts)} parts is {worst['slice']} = {worst['slice_value']}: "
        f"{worst['difference']:+.4f} [{worst['low']:+.4f}, {worst['high']:+.4f}] beside the "
        f"champion; no interval may end below {0 - limits.slice_tolerance:g}"
    )
    passed = worst["high"] >= -limits.slice_tolerance
    return Check("slices", passed, reason, worst["high"], 0 - limits.slice_tolerance)


def _calibration(found: _Primary, limits: PromoteConfig) -> Iterable[Check]:
    limit = limits.max_calibration_error
    for row in _named(found, "calibration_error", limits.population):
        passed = row["value"] <= limit
        reason = f"expected calibration error {row['value']:.4f}; at most {limit:g}"
        yield Check("calibration", passed, reason, row["value"], limit)


def _coverage(found: _Primary, limits: PromoteConfig) -> Iterable[Check]:
    rows = [r for r in found.metrics if r["metric"].startswith("activity_coverage@")]
    for row in sorted(rows, key=lambda row: row["k"])[-1:]:
        passed = row["value"] >= limits.min_coverage
        reason = (
            f"{row['value']:.1%} of the candidate activities are in a list of {row['k']}; at least "
            f"{limits.min_coverage:.1%}"
        )
        yield Check("coverage", passed, reason, row["value"], limits.min_coverage)


def _effective_rows(evidence: Evidence, limits: PromoteConfig) -> Iterable[Check]:
    limit = limits.min_effective_rows
    rows = [
        row
        for row in evidence.policy_values
        if row["policy"] == "recommended" and row["propensities"] == "logged" and limit
    ]
    for row in rows[:1]:
        size = row["effective_sample_size"]
        if size is None:
            yield Check("effective_sample", False, str(row["refusal"]), None, limit)
            return
        reason = f"off-policy: the log is worth {size:,.1f} exposures; at least {limit:g}"
        yield Check("effective_sample", size >= limit, reason, size, limit)


def _leakage(evidence: Evidence) -> Check:
    alarms = [f"{row['name']}: {row['alarm']}" for row in evidence.input_checks if row["alarm"]]
    reason = "; ".join(alarms) or "no input and no score is too good to be true"
    return Check("leakage", not alarms, reason, float(len(alarms)), 0.0)


def _audit(evidence: Evidence, limits: PromoteConfig) -> Check:
    shares = {
        row["table_name"]: row["refused"] / row["rows"] for row in evidence.loads if row["rows"]
    }
    worst = max(shares, key=lambda name: shares[name], default=None)
    if worst is None:
        return Check("data", True, "the latest loads brought no rows")
    reason = f"at most {shares[worst]:.1%} of a load were refused ({worst})"
    passed = shares[worst] <= limits.max_refused
    return Check(
        "data",
        passed,
        f"{reason}; limit {limits.max_refused:.1%}",
        shares[worst],
        limits.max_refused,
    )


def _named(found: _Primary, metric: str, population: str) -> list[Any]:
    return [
        row for row in found.metrics
        if (row["metric"], row["population"]) == (metric, population)
    ]  # fmt: skip
