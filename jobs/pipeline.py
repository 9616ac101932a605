"""All stages in one session: from sources to the published run and its report, and a look at it.

With ``promote.holdout_days`` models are made that many days before as_of, and evaluated on what
happened since; recommendations are always those of as_of.
"""

from dataclasses import replace
from datetime import timedelta

import evaluate
import features
import ingest
import promote
import publish
import recommend
import report
import show
import train
from activityrec import tables
from activityrec.job import Job, Stage, main
from activityrec.serving.attempts import last_in, new_run


def held_out(stage: Stage) -> Stage:
    """The stage at the day at which models are made; it knows nothing of as_of and later."""

    def run(job: Job) -> dict[str, int]:
        days = job.config.promote.holdout_days
        if days:
            job = replace(job, as_of=job.as_of - timedelta(days=days), until=job.as_of)
        return dict(stage(job))

    return run


def recommended(job: Job) -> dict[str, int]:
    """Recommendations of as_of, after its features where models were made on an earlier day."""
    written = features.run(job) if job.config.promote.holdout_days else {}
    return written | recommend.run(job)


STAGES: list[tuple[str, Stage]] = [
    ("ingest", ingest.run),
    ("features", held_out(features.run)),
    ("train", held_out(train.run)),
    ("evaluate", held_out(evaluate.run)),
    ("promote", held_out(promote.run)),
    ("recommend", recommended),
    ("publish", publish.run),
    ("report", report.run),
]


def attempt(job: Job) -> str:
    """A new run, or with --resume the last one that was begun."""
    return last_in(tables.STAGES)(job) if "resume" in job.flags else new_run(job)


if __name__ == "__main__":
    main(
        STAGES,
        __doc__,
        finish=show.show,
        flags={"resume": "go on with the last run of the date after the last stage that it did"},
        attempt=attempt,
    )
