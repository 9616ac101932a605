"""What the monitor says of the inputs of the ranker, and of the scores that were published."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import date, timedelta

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.config import Config, MonitorConfig
from activityrec.evaluation.distributions import (
    AFTER,
    BEFORE,
    array_values,
    by_key,
    drift,
    number_columns,
    number_counts,
    sizes_of,
    word_columns,
    word_counts,
)
from activityrec.evaluation.stability import divergence, stability_index
from activityrec.ranking.groups import activity_inputs
from activityrec.ranking.pipeline import weighted
from activityrec.serving.attribution import Published
from activityrec.serving.drift import score_shares

EVERY = "all"
"""The name of a check that is about no part."""


@dataclass(frozen=True)
class Finding:
    """A row of ``serving.monitoring`` without as_of; ``passed`` is None where the check could not
    be made."""

    check: str
    name: str
    value: float | None
    bound: float
    passed: bool | None
    reason: str
    rows_before: int | None = None
    rows_after: int | None = None

    @property
    def alarms(self) -> bool:
        return self.passed is False


def rows_of(findings: Sequence[Finding], as_of: date, like: DataFrame) -> DataFrame:
    """``serving.monitoring``, in the session of another frame."""
    rows = [(as_of, *astuple(finding)) for finding in findings]
    return like.sparkSession.createDataFrame(rows, tables.MONITORING.row_type).coalesce(1)


def not_made(
    checks: dict[str, float], why: str, name: str = EVERY, sizes: tuple[int, int] | None = None
) -> list[Finding]:
    """Checks by their bounds that could not be made."""
    before, after = sizes or (None, None)
    reason = f"not checked: {why}"
    return [
        Finding(check, name, None, bound, None, reason, before, after)
        for check, bound in checks.items()
    ]


def drifted(
    what: str, name: str, psi: float, js: float, sizes: tuple[int, int], bounds: dict[str, float]
) -> list[Finding]:
    """The two checks of one distribution; ``bounds`` are that of the index and that of the
    divergence."""
    measures = ("population stability index", "Jensen-Shannon divergence in bits")
    found = []
    for (check, bound), value, measure in zip(bounds.items(), (psi, js), measures, strict=True):
        held = value <= bound
        reason = f"{measure} of {what}: {value:.3f}, limit {bound:g}"
        found.append(Finding(check, name, value, bound, held, reason, *sizes))
    return found


def input_bounds(limits: MonitorConfig) -> dict[str, float]:
    return {"input_psi": limits.max_input_psi, "input_js": limits.max_input_js}


def input_findings(learnt: DataFrame, recent: DataFrame, config: Config) -> list[Finding]:
    """Drift of each input from what the champion learnt from to what it is shown now.

    Parameters
    ----------
    learnt, recent
        Rows like ``features.training_examples``.
    """
    limits, sides = config.monitor, {BEFORE: weighted(learnt), AFTER: weighted(recent)}
    numbers = number_columns(config)
    counts = number_counts(array_values(sides, numbers), list(numbers))
    counts += word_counts(sides, word_columns(config))
    shown = {side: rows.select("activity_id").distinct().count() for side, rows in sides.items()}
    fewest = min(shown.values())
    of_activity, bounds = activity_inputs(config), input_bounds(limits)
    found = []
    for (_, name), bins in by_key(counts).items():
        sizes = sizes_of(bins)
        psi, js = drift(bins)
        if min(sizes) < limits.min_rows or psi is None or js is None:
            why = (
                f"{sizes[1]:,} exposures, {sizes[0]:,} training examples, needs {limits.min_rows:,}"
            )
            found += not_made(bounds, why, name, sizes)
        elif name in of_activity and fewest < limits.min_activities:
            why = (
                f"it depends on the activity, of which {shown[AFTER]:,} were shown, and "
                f"{shown[BEFORE]:,} in training, needs {limits.min_activities:,}"
            )
            found += not_made(bounds, why, name, sizes)
        else:
            found += drifted(f"input {name}", name, psi, js, sizes, bounds)
    return found


def score_bounds(limits: MonitorConfig) -> dict[str, float]:
    return {"score_psi": limits.max_score_psi, "score_js": limits.max_score_js}


def score_findings(published: Published, as_of: date, limits: MonitorConfig) -> list[Finding]:
    """Drift of the scores of lists, from an earlier published run to the one published last.

    Of runs of ``as_of`` and before; the earlier one is that which was current at the end of the
    day ``limits.days`` before, or else the last before it whose lists are still there.
    """
    bounds = score_bounds(limits)
    known = published.publications.where(F.col("as_of") <= F.lit(as_of))
    kept = published.lists.select("run_id").distinct()
    there = known.join(F.broadcast(kept), on="run_id", how="left_semi")
    current = there.orderBy(F.desc("published_ts")).first()
    if current is None:
        return not_made(bounds, "no run is published")
    day = current["as_of"] - timedelta(days=limits.days)
    end = F.lit(day + timedelta(days=1)).cast("timestamp")
    earlier = there.where(F.col("published_ts") < end)
    other = earlier.orderBy(F.desc("published_ts")).first()
    if other is None:
        return not_made(
            bounds,
            f"of no run published on {day} or before the lists are there (publish.keep_runs)",
        )
    new, old = (_lists_of(published, run) for run in (current, other))
    sizes = (old.count(), new.count())
    if min(sizes) < limits.min_rows:
        why = f"lists of {sizes[1]:,} rows, before {sizes[0]:,}, needs {limits.min_rows:,}"
        return not_made(bounds, why, sizes=sizes)
    shares = score_shares(new, old)
    what = f"scores from run {other['run_id']} to {current['run_id']}"
    psi, js = stability_index(*shares), divergence(*shares)
    return drifted(what, EVERY, psi, js, sizes, bounds)


def _lists_of(published: Published, run: Row) -> DataFrame:
    return published.lists.where(F.col("run_id") == run["run_id"]).select("score")
