"""Publish: audit the run, then make it the current one for readers by one row."""

import logging
from datetime import datetime, timezone

from activityrec.job import Job, main
from activityrec.serving.publication import publish
from activityrec.serving.views import create_views

log = logging.getLogger("activityrec")


def run(job: Job) -> dict[str, int]:
    planning_days = job.config.recommend.planning_days
    now = datetime.now(timezone.utc)
    published = publish(job.lakehouse, job.run_id, job.as_of, planning_days, now)
    if not published:
        log.info("publish: run %s is the current publication already", job.run_id)
    create_views(job.lakehouse)
    return {"publications": int(published)}


if __name__ == "__main__":
    main([("publish", run)], __doc__)
