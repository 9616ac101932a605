"""Names of runs that are made again: rows that readers may see are never written over."""

import re
from collections.abc import Callable

from pyspark.sql import functions as F

from activityrec import tables
from activityrec.errors import StateError
from activityrec.job import Job
from activityrec.lakehouse import Lakehouse


def next_attempt(lakehouse: Lakehouse, name: str) -> str:
    """The name under which a run is made: ``name``, or the first of ``name-2``, ``name-3``, …
    that was never published. A run that was not published is made again under its old name."""
    published = _numbers(lakehouse, tables.PUBLICATIONS, name)
    return _named(name, max(published, default=0) + 1)


def last_attempt(lakehouse: Lakehouse, table: tables.Table, name: str) -> str:
    """The last of ``name``, ``name-2``, … that has rows in ``table``; ``name`` where none has."""
    return _named(name, max(_numbers(lakehouse, table, name), default=1))


def new_run(job: Job) -> str:
    """The run that a job makes: the next attempt of its date."""
    return next_attempt(job.lakehouse, job.run_id)


def last_in(table: tables.Table) -> Callable[[Job], str]:
    """The run that a job goes on with: the last attempt of its date that is in the table."""
    return lambda job: last_attempt(job.lakehouse, table, job.run_id)


def check_unpublished(lakehouse: Lakehouse, run_id: str) -> None:
    """Refuse to make a run whose rows readers see, or would see after a rollback.

    Raises
    ------
    StateError
        It was published.
    """
    if not lakehouse.exists(tables.PUBLICATIONS):
        return
    published = lakehouse.read(tables.PUBLICATIONS).where(F.col("run_id") == run_id)
    if not published.isEmpty():
        raise StateError(
            f"run {run_id} was published, and its rows are not written over: run without --run-id "
            "and --resume, or give a new --run-id"
        )


def _numbers(lakehouse: Lakehouse, table: tables.Table, name: str) -> list[int]:
    """The numbers of the attempts that a table knows; the first has 1."""
    if not lakehouse.exists(table):
        return []
    runs = lakehouse.read(table).where(F.col("run_id").startswith(name))
    found = [row["run_id"] for row in runs.select("run_id").distinct().collect()]
    pattern = re.compile(re.escape(name) + r"(?:-(\d{1,6}))?")
    return [int(match[1] or 1) for match in map(pattern.fullmatch, found) if match]


def _named(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"
