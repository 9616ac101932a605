"""What every job shares: arguments, log, errors as one line, and the objects of a run."""

import argparse
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, timezone

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.logger import PySparkLogger
from pyspark.sql import SparkSession

from activityrec.config import Config
from activityrec.config_file import load_config, parse_as_of
from activityrec.errors import ActivityRecError, AlarmError, first_line
from activityrec.lakehouse import Lakehouse
from activityrec.session import get_spark, release
from activityrec.stage_log import StageLog
from activityrec.tracking import MlflowException, Tracking

log = logging.getLogger("activityrec")


@dataclass(frozen=True)
class Job:
    """One run at one ``as_of``: what a stage works with.

    ``now`` is when it began, UTC. Data are cut at ``as_of``, never there; it is what rows are
    stamped with, and after which nothing can have happened yet. ``until`` is the first day that
    an evaluation may not look at; None: it looks at all that the data know.
    """

    spark: SparkSession
    config: Config
    lakehouse: Lakehouse
    tracking: Tracking
    as_of: date
    run_id: str
    now: datetime
    options: Mapping[str, str | None] = field(default_factory=dict)
    flags: frozenset[str] = frozenset()
    until: date | None = None

    @property
    def variant(self) -> str:
        """The script's own options that were given, as `` --force``; their values are left out."""
        common = {"config", "as_of", "run_id", "resume", "held_out", "catalog"}
        given = sorted(name for name, value in self.options.items() if value)
        return "".join(f" --{name.replace('_', '-')}" for name in given if name not in common)


HELD_OUT = {
    "held-out": "stand promote.holdout_days before --as-of and know nothing later, as the pipeline"
    " does where models are made"
}
"""The flag of the stages that make and judge models."""

Stage = Callable[[Job], Mapping[str, int]]
"""A stage does its work and returns the rows written, by table."""

Attempt = Callable[[Job], str]
"""From a job with the name of its date to the run that is meant (see ``serving/attempts.py``)."""


def open_job(spark: SparkSession, config: Config, as_of: date, run_id: str | None = None) -> Job:
    """The objects of a run; its id is by default the name of the configuration and the date."""
    return Job(
        spark=spark,
        config=config,
        lakehouse=Lakehouse(spark, config),
        tracking=Tracking(config),
        as_of=as_of,
        run_id=run_id or f"{config.name}-{as_of:%Y%m%d}",
        now=datetime.now(timezone.utc),
    )


def held_out(job: Job) -> Job:
    """The job at the day at which models are made: ``promote.holdout_days`` before ``as_of``."""
    days = job.config.promote.holdout_days
    if not days:
        return job
    return replace(job, as_of=job.as_of - timedelta(days=days), until=job.as_of)


def run_stages(job: Job, stages: Sequence[tuple[str, Stage]], resume: bool = False) -> None:
    """Run stages in order under the lakehouse's lock, logging a line for each.

    Parameters
    ----------
    resume
        Leave out those at the beginning that this run has done already.
    """
    with job.lakehouse.lock():
        stage_log = StageLog(job.lakehouse, job.config, job.run_id, job.as_of)
        done = stage_log.first_unfinished([name for name, _ in stages]) if resume else 0
        if resume:
            finished = ", ".join(name for name, _ in stages[:done]) or "nothing"
            log.info("run %s goes on: %s was done before", job.run_id, finished)
        if len(stages) > 1 and done == 0:
            stage_log.begun(stages[0][0])
        for number, (name, stage) in enumerate(stages[done:], start=done + 1):
            started = time.monotonic()
            job.lakehouse.reads.clear()
            try:
                with job.lakehouse.all_or_nothing():
                    rows = stage(job)
            except Exception as error:
                status = "alarm" if isinstance(error, AlarmError) else "failed"
                seconds = time.monotonic() - started
                stage_log.failed(name + job.variant, seconds, one_line(error), status)
                raise
            written = ", ".join(f"{table} {count:,}" for table, count in rows.items())
            seconds = time.monotonic() - started
            if "dry-run" not in job.flags:
                stage_log.done(name + job.variant, seconds, rows)
            log.info("[%d/%d] %s: %s (%.1f s)", number, len(stages), name, written, seconds)
            # What a stage keeps in memory is of no use to the next one.
            release(job.spark)


def main(
    stages: Sequence[tuple[str, Stage]],
    description: str | None,
    finish: Callable[[Job], None] | None = None,
    options: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
    dated: bool = True,
    attempt: Attempt | None = None,
) -> None:
    """Entry point of a script in ``jobs``: exit status 0, or after one line of error 1, or 3 where
    the job did its work and raises an alarm (2 is argparse's, for wrong arguments).

    Parameters
    ----------
    stages
        What to run, in order.
    description
        For ``--help``.
    finish
        Called after the stages, with the lock released.
    options
        Further options of the script and their help; their values are in ``Job.options``.
    flags
        Options without a value, likewise; those given are in ``Job.flags``.
    dated
        Whether the stages depend on ``--as-of``; where not, it may be left out.
    attempt
        Which of the runs of the date is meant where ``--run-id`` is left out; None: the first.
    """
    parser = argument_parser(description, options, flags, dated)
    arguments = parser.parse_args()
    set_up_logging()
    try:
        config = load_config(arguments.config, arguments.catalog)
        job = _asked_for(arguments, config, flags or {}, attempt)
        if stages:  # without any it only reads, and a pipeline may be at work meanwhile
            run_stages(job, stages, resume="resume" in job.flags)
        if finish is not None:
            finish(job)
    except ActivityRecError as error:
        log.error("%s: %s", arguments.config, one_line(error))
        sys.exit(error.status)
    except (PySparkException, Py4JError, MlflowException, OSError) as error:
        log.debug("Its own words:", exc_info=True)
        log.error("%s: %s", arguments.config, one_line(error))
        sys.exit(1)


def _asked_for(
    arguments: argparse.Namespace, config: Config, flags: Mapping[str, str], attempt: Attempt | None
) -> Job:
    """The job that a command line means."""
    given, as_of = vars(arguments), parse_as_of(arguments.as_of)
    job = open_job(get_spark(config.name), config, as_of, arguments.run_id)
    set_flags = frozenset(flag for flag in flags if given[flag.replace("-", "_")])
    job = replace(job, options=given, flags=set_flags)
    if attempt is not None and arguments.run_id is None:
        # Its own look at the lakehouse: what the job reads is pinned under the lock.
        look = replace(job, lakehouse=Lakehouse(job.spark, config))
        job = replace(job, run_id=attempt(look))
    return held_out(job) if set_flags & HELD_OUT.keys() else job


def argument_parser(
    description: str | None,
    options: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
    dated: bool = True,
) -> argparse.ArgumentParser:
    """What a script takes on its command line; the parameters are those of :func:`main`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--config", required=True, help="the YAML of the deployment")
    today = None if dated else f"{datetime.now(timezone.utc):%Y-%m-%d}"
    help_as_of = "YYYY-MM-DD: nothing later is known" if dated else "of no effect here"
    parser.add_argument("--as-of", required=dated, default=today, help=help_as_of)
    parser.add_argument("--run-id", help="default: name of the configuration and date")
    parser.add_argument("--catalog", help="where the tables are, in the place of lakehouse")
    for option, text in (options or {}).items():
        parser.add_argument(f"--{option}", help=text)
    for flag, text in (flags or {}).items():
        parser.add_argument(f"--{flag}", action="store_true", help=text)
    return parser


def set_up_logging() -> None:
    """One line an event, on standard error, without Spark's own bridge."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    log.handlers = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False
    # Spark repeats each failed query as 10 kB of JSON on standard output.
    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
        PySparkLogger.getLogger(name).setLevel(logging.CRITICAL + 1)
    # What fails inside a stream's batch is raised again, and told, outside of it.
    logging.getLogger("py4j.clientserver").setLevel(logging.CRITICAL + 1)


def one_line(error: Exception) -> str:
    """What went wrong; of Spark's errors the deepest cause, without plans and stacks."""
    if isinstance(error, ActivityRecError):
        text = str(error)
    elif isinstance(error, PySparkException | Py4JError):
        lines = [line.strip() for line in str(error).splitlines()]
        causes = [line for line in lines if line.startswith("Caused by:")]
        text = f"Spark failed: {causes[-1] if causes else first_line(error)}"
    elif isinstance(error, MlflowException):
        text = f"MLflow failed: {error}"
    else:
        text = f"{type(error).__name__}: {error}"
    return " ".join(text.split())
