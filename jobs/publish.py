"""Publish: audit the run, then make it the current one for readers by one row."""

import logging
from datetime import datetime, timezone

from activityrec import tables
from activityrec.job import Job, main
from activityrec.serving.attempts import last_in
from activityrec.serving.publication import audit_run, latest_publication, publish, roll_back
from activityrec.serving.views import create_views

log = logging.getLogger("activityrec")


def run(job: Job) -> dict[str, int]:
    if "dry-run" in job.flags:
        return say(job)
    earlier = job.options.get("rollback")
    now = datetime.now(timezone.utc)
    if earlier is not None:
        run_id, published = earlier, roll_back(job.lakehouse, earlier, now)
    else:
        run_id = job.run_id
        published = publish(job.lakehouse, run_id, job.as_of, job.config, now)
    if not published:
        log.info("publish: run %s is the current publication already", run_id)
    elif earlier is not None:
        log.warning("publish: run %s is the current publication again", run_id)
    create_views(job.lakehouse)
    return {"publications": int(published)}


def say(job: Job) -> dict[str, int]:
    """What publish would find and do, in the log; nothing is written."""
    found = audit_run(job.lakehouse, job.run_id, job.as_of, job.config)
    for check in found.checks:
        log.info("%s %s: %s", "passed" if check.passed else "FAILED", check.name, check.reason)
    latest = latest_publication(job.lakehouse)
    place = f"in place of {latest['run_id']}" if latest else "as the first one"
    would = f"would not be published: {len(found.failed)} checks failed"
    if not found.failed:
        would = f"would be published {place}"
    log.info("publish: dry run, nothing is changed: run %s %s", job.run_id, would)
    return {"publications": 0}


if __name__ == "__main__":
    main(
        [("publish", run)],
        __doc__,
        options={"rollback": "a run id: make that run, published before, the current one again"},
        flags={"dry-run": "audit alone: say what would happen, and change nothing"},
        attempt=last_in(tables.RECOMMENDATIONS),
    )
