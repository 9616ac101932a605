"""What the monitor says of response rates, and of what was promised."""

from datetime import date, timedelta
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec.config import MonitorConfig
from activityrec.evaluation.distributions import AFTER, BEFORE
from activityrec.evaluation.draws import Bootstrap, differences, ratio_draws, summarised
from activityrec.serving.monitoring import EVERY, Finding, not_made
from activityrec.serving.performance import field_ratios

RATE = "response_rate"
CALIBRATION = "calibration"
SIDES = (BEFORE, AFTER)


def rate_findings(
    feedback: DataFrame, as_of: date, limits: MonitorConfig, bootstrap: Bootstrap, least: int
) -> list[Finding]:
    """The response rate of windows that closed lately beside those that closed before, of all
    exposures and of each activity type.

    A rate fails where it has changed by more than the limit and, by the interval of the
    difference over users, by more than chance may explain.

    Parameters
    ----------
    feedback
        As :func:`activityrec.serving.attribution.known_feedback` gives it.
    least
        Nothing is told of fewer users or answers than this.
    """
    side = _side(as_of, limits)
    # A type of that name is not told apart; it must not count twice.
    parts_of = F.array_distinct(F.array_compact(F.array(F.lit(EVERY), "activity_type")))
    parts = (
        feedback.where("closed")
        .select("user_id", "label", side.alias("model"), F.explode(parts_of).alias("name"))
        .where("model IS NOT NULL")
        .persist()
    )
    counts = _counted(parts)
    draws = ratio_draws(parts, {RATE: field_ratios()[RATE]}, bootstrap, ("name", "model"))
    gaps = differences(draws, ["name", "metric"])
    later = gaps.where((F.col("model") == AFTER) & (F.col("baseline") == BEFORE))
    gap = {row["name"]: row for row in later.collect()}
    parts.unpersist()
    found = []
    for name in sorted({EVERY, *(name for name, _ in counts)}, key=lambda n: (n != EVERY, n)):
        both = [counts.get((name, side), _NOBODY) for side in SIDES]
        found.append(_rate(name, both, gap.get(name), limits, least))
    return found


_NOBODY = {"rows": 0, "users": 0, "responses": 0}


def _side(as_of: date, limits: MonitorConfig) -> Column:
    """Which days the window of an exposure closed in; NULL: in neither."""
    late = as_of - timedelta(days=limits.days)
    early = late - timedelta(days=limits.reference_days)
    first, middle, last = (F.lit(day).cast("timestamp") for day in (early, late, as_of))
    closes = F.col("closes_ts")
    # closes_ts is the first instant after the window.
    return F.when((closes > middle) & (closes <= last), AFTER).when(
        (closes > first) & (closes <= middle), BEFORE
    )


def _counted(parts: DataFrame) -> dict[tuple[str, str], Any]:
    rows = parts.groupBy("name", "model").agg(
        F.count("*").alias("rows"),
        F.count_distinct("user_id").alias("users"),
        F.sum("label").alias("responses"),
    )
    return {(row["name"], row["model"]): row for row in rows.collect()}


def _rate(name: str, both: list[Any], gap: Any, limits: MonitorConfig, least: int) -> Finding:
    before, after = both
    sizes = (before["rows"], after["rows"])
    bound = limits.max_rate_change
    if why := _too_personal(both, least):
        return not_made({RATE: bound}, why, name)[0]
    if why := _too_few(both, limits, before["responses"], "responses before"):
        return not_made({RATE: bound}, why, name, sizes)[0]
    rates = [side["responses"] / side["rows"] for side in both]
    value = rates[1] / rates[0]
    chance = _holds(gap, 0.0)
    passed = abs(value - 1) <= bound or chance
    reason = (
        f"response rate {rates[1]:.4f} of {sizes[1]:,} exposures that closed lately, "
        f"{rates[0]:.4f} before: {value:.2f} times, limits {1 - bound:g} and {1 + bound:g}"
    )
    if chance and abs(value - 1) > bound:
        reason += "; chance may explain it"
    return Finding(RATE, name, value, bound, passed, reason, *sizes)


def calibration_finding(
    rows: DataFrame, as_of: date, limits: MonitorConfig, bootstrap: Bootstrap, least: int
) -> Finding:
    """What was promised to exposures whose window closed lately, beside what came.

    Parameters
    ----------
    rows
        As :func:`activityrec.serving.attribution.attributed` gives them, of
        :func:`activityrec.serving.attribution.known_feedback`.
    """
    lately = F.coalesce(_side(as_of, limits) == AFTER, F.lit(False))
    promised = rows.where("closed AND probability IS NOT NULL").where(lately)
    parts = promised.select("user_id", "label", "probability", F.lit(EVERY).alias("model"))
    parts = parts.persist()
    count = parts.agg(
        F.count("*").alias("rows"),
        F.count_distinct("user_id").alias("users"),
        F.coalesce(F.sum("label"), F.lit(0)).alias("responses"),
        F.coalesce(F.sum("probability"), F.lit(0.0)).alias("promised"),
    ).first()
    assert count is not None
    ratio = {CALIBRATION: field_ratios()["calibration_ratio"]}
    found = summarised(ratio_draws(parts, ratio, bootstrap)).first()
    parts.unpersist()
    bound, size = limits.max_calibration, count["rows"]
    why = _too_personal([count], least)
    if why or (why := _too_few([count], limits, count["promised"], "promised responses")):
        return not_made({CALIBRATION: bound}, why)[0]
    said = f"{count['promised']:.1f} responses promised to {size:,} exposures"
    if found is None or found["value"] is None:
        reason = f"{said}, none came"
        return Finding(CALIBRATION, EVERY, None, bound, False, reason, None, size)
    value, chance = found["value"], _holds(found, 1.0)
    inside = 1 / bound <= value <= bound
    reason = (
        f"{said}, {count['responses']:,} came: ratio {value:.2f}, limits {1 / bound:.2f} and "
        f"{bound:g}"
    )
    if chance and not inside:
        reason += "; chance may explain it"
    return Finding(CALIBRATION, EVERY, value, bound, inside or chance, reason, None, size)


def _too_personal(sides: list[Any], least: int) -> str | None:
    """Why no figure of these may be told, without any; None: they may be."""
    figures = [side[name] for side in sides for name in ("users", "responses")]
    if any(0 < figure < least for figure in figures):
        return f"fewer than {least:,} users or answers (privacy.k_anonymity)"
    return None


def _too_few(sides: list[Any], limits: MonitorConfig, expected: float, words: str) -> str | None:
    """Why nothing can be said of so few, with their figures; None: there are enough."""
    fewest = min(side["rows"] for side in sides)
    if fewest < limits.min_rows:
        return f"{fewest:,} closed exposures, needs {limits.min_rows:,}"
    if expected < limits.min_responses:
        return f"{expected:g} {words}, needs {limits.min_responses:,}"
    return None


def _holds(interval: Any, value: float) -> bool:
    """Whether the value is inside an interval; there may be none."""
    if interval is None or interval["low"] is None or interval["high"] is None:
        return False
    return bool(interval["low"] <= value <= interval["high"])
