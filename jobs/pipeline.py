"""All stages in one session: from sources to the published run and its report, and a look at it.

With ``promote.holdout_days`` models are made that many days before as_of, and evaluated on what
happened since; recommendations are always those of as_of.
"""

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
from activityrec.job import Job, Stage, held_out, main
from activityrec.serving.attempts import check_unpublished, last_in, new_run
from activityrec.stage_log import StageLog


def of_models(stage: Stage) -> Stage:
    """The stage at the day at which models are made; it knows nothing of as_of and later."""
    return lambda job: stage(held_out(job))


def recommended(job: Job) -> dict[str, int]:
    """Recommendations of as_of, after its features where models were made on an earlier day."""
    written = features.run(job) if job.config.promote.holdout_days else {}
    return written | recommend.run(job)


MODELS: list[tuple[str, Stage]] = [
    ("features", features.run),
    ("train", train.run),
    ("evaluate", evaluate.run),
    ("promote", promote.run),
]
STAGES: list[tuple[str, Stage]] = [
    ("ingest", ingest.run),
    *((name, of_models(stage)) for name, stage in MODELS),
    ("recommend", recommended),
    ("publish", publish.run),
    ("report", report.run),
]


def attempt(job: Job) -> str:
    """A new run, or with --resume the last one that was begun.

    Raises
    ------
    StateError
        It was published, and a stage up to recommend would have to be done again.
    """
    if "resume" not in job.flags:
        return new_run(job)
    run_id = last_in(tables.STAGES)(job)
    names = [name for name, _ in STAGES]
    done = StageLog(job.lakehouse, job.config, run_id, job.as_of).first_unfinished(names)
    if done <= names.index("recommend"):
        check_unpublished(job.lakehouse, run_id)
    return run_id


if __name__ == "__main__":
    main(
        STAGES,
        __doc__,
        finish=show.show,
        flags={"resume": "go on with the last run of the date after the last stage that it did"},
        attempt=attempt,
    )
