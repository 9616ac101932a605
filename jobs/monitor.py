"""Monitor: what came of what was published, and whether inputs, scores and rates have drifted.

Exit status 0: every check that could be made held; 3: one failed, see serving.monitoring;
1: the job itself could not do its work.
"""

import logging
from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.errors import AlarmError, StateError
from activityrec.evaluation.draws import Bootstrap
from activityrec.features.history import History, read_history
from activityrec.ingest import check_as_of
from activityrec.job import Job, main
from activityrec.serving.anonymity import group_size
from activityrec.serving.attribution import Published, attributed, known_feedback
from activityrec.serving.monitored_rates import calibration_finding, rate_findings
from activityrec.serving.monitoring import (
    Finding,
    input_bounds,
    input_findings,
    not_made,
    rows_of,
    score_findings,
)
from activityrec.serving.performance import performance
from activityrec.serving.shown_inputs import shown_inputs
from activityrec.serving.views import create_views

log = logging.getLogger("activityrec")

NAMED = 10
"""Failed checks that the error names."""


def run(job: Job) -> dict[str, int]:
    lakehouse, config, as_of = job.lakehouse, job.config, job.as_of
    history = read_history(lakehouse, as_of)
    check_as_of(
        lakehouse.read(tables.EVENTS), history.activities, as_of, config.recommend.planning_days
    )
    published = Published.read(lakehouse)
    feedback = known_feedback(history, config.response, config.monitor.exposure_days)
    rows = attributed(feedback, published, as_of).persist()
    bootstrap = Bootstrap(config.evaluate.replicates, config.evaluate.seed)
    least = group_size(config)
    came = performance(rows, bootstrap, least).withColumn("as_of", F.lit(as_of))
    findings = [
        *checked_inputs(job, history),
        *score_findings(published, as_of, config.monitor),
        *rate_findings(rows, as_of, config.monitor, bootstrap, least),
        calibration_finding(rows, as_of, config.monitor, bootstrap, least),
    ]
    mine = f"as_of = '{as_of}'"
    written: dict[tables.Table, DataFrame] = {
        tables.PERFORMANCE: came,
        tables.MONITORING: rows_of(findings, as_of, came),
    }
    counts = {t.name: lakehouse.replace(t, frame, mine) for t, frame in written.items()}
    create_views(lakehouse)
    # An alarm is no failure: what was found stays.
    lakehouse.keep()
    alarm(findings)
    return counts


def checked_inputs(job: Job, history: History) -> list[Finding]:
    """Drift of the inputs; where there is no ranker, or nothing to compare with, that is said."""
    try:
        learnt, recent = shown_inputs(job, history, job.config.monitor.days)
    except StateError as error:
        return not_made(input_bounds(job.config.monitor), str(error))
    return input_findings(learnt, recent, job.config)


def alarm(findings: Sequence[Finding]) -> None:
    """Raise an alarm if a check failed.

    Raises
    ------
    AlarmError
        It has the checks that failed, the first of them where they are many.
    """
    failed = sorted((f for f in findings if f.alarms), key=lambda f: (f.check, f.name))
    unmade = sum(f.passed is None for f in findings)
    log.info(
        "monitor: of %d checks %d held, %d failed, %d could not be made",
        len(findings), len(findings) - len(failed) - unmade, len(failed), unmade,
    )  # fmt: skip
    if failed:
        said = [f"{f.check} {f.name}: {f.reason}" for f in failed[:NAMED]]
        more = ["and others, see serving.monitoring"] * (len(failed) > NAMED)
        raise AlarmError(f"monitor: {len(failed)} checks failed: {'; '.join(said + more)}")


if __name__ == "__main__":
    main([("monitor", run)], __doc__)
