"""The one row that makes a run the current one for readers, and how it comes about."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import date, datetime

from delta.exceptions import (
    ConcurrentAppendException,
    ConcurrentTransactionException,
    ConcurrentWriteException,
    MetadataChangedException,
    ProtocolChangedException,
)
from pyspark.sql import Row
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.clock import later_than
from activityrec.config import Config
from activityrec.errors import StateError
from activityrec.evaluation.gate import Check
from activityrec.ingest.horizon import live_activities
from activityrec.lakehouse import Lakehouse, Once
from activityrec.serving.audit import Audit, Audited, audit

# Delta 4.0 makes Python's exceptions of the JVM's only after this.
with suppress(ImportError):
    import delta.exceptions.captured  # noqa: F401

COUNTS = ("users", "recommendations", "audiences")
_LOST = (
    ConcurrentAppendException,
    ConcurrentTransactionException,
    ConcurrentWriteException,
    MetadataChangedException,
    ProtocolChangedException,
)


def publish(lakehouse: Lakehouse, run_id: str, as_of: date, config: Config, now: datetime) -> bool:
    """Audit the rows of a run, keep what was found, and append to ``serving.publications``.

    Returns
    -------
    bool
        False where the run is the current publication already, as it is: no row is added then.
        Where users were erased from it since, it is published again, with what is left.

    Raises
    ------
    StateError
        The audit failed: the message has every check that did, and ``serving.audits`` has all.
        Or another publication came first. Readers keep the publication that they had.
    """
    latest = latest_publication(lakehouse)
    found = audit_run(lakehouse, run_id, as_of, config)
    record(lakehouse, run_id, as_of, now, found.checks)
    if found.failed:
        reasons = "; ".join(f"{check.name}: {check.reason}" for check in found.failed)
        raise StateError(f"run {run_id} failed its audit and is not published: {reasons}")
    lists = lakehouse.read(tables.RECOMMENDATIONS).where(F.col("run_id") == run_id)
    model = lists.agg(F.max("model")).first()
    assert model is not None
    row = (run_id, as_of, now, model[0], found.users, found.recommendations, found.audiences)
    if latest is not None and latest["run_id"] == run_id:
        same = all(latest[name] == getattr(found, name) for name in COUNTS)
        if same and latest["model"] == model[0]:
            return False
    commit(lakehouse, row, latest)
    return True


def audit_run(lakehouse: Lakehouse, run_id: str, as_of: date, config: Config) -> Audit:
    """What the audit says of a run as it is now; nothing is written."""
    latest, lists = latest_publication(lakehouse), lakehouse.read(tables.RECOMMENDATIONS)
    other = latest is not None and latest["run_id"] != run_id
    planning_days = config.recommend.planning_days
    rows = Audited(
        lists.where(F.col("run_id") == run_id),
        lakehouse.read(tables.AUDIENCES).where(F.col("run_id") == run_id),
        live_activities(lakehouse.read(tables.ACTIVITIES), as_of, planning_days),
        lakehouse.read(tables.USERS),
        lists.where(F.col("run_id") == latest["run_id"]) if latest is not None and other else None,
    )
    return audit(rows, config.publish)


def roll_back(lakehouse: Lakehouse, run_id: str, now: datetime) -> bool:
    """Make a run that was published before the current one again, by one more row.

    Returns
    -------
    bool
        False where it is the current one.

    Raises
    ------
    StateError
        It was never published, its rows have expired, or another publication came first.
    """
    latest = latest_publication(lakehouse)
    if latest is None:
        raise StateError("table serving.publications is empty: there is nothing to roll back")
    if latest["run_id"] == run_id:
        return False
    published = lakehouse.read(tables.PUBLICATIONS)
    before = published.where(F.col("run_id") == run_id).orderBy(F.desc("published_ts")).first()
    if before is None:
        known = [row["run_id"] for row in published.orderBy(F.desc("published_ts")).take(10)]
        shown = ", ".join(dict.fromkeys(known))
        raise StateError(f"run {run_id} was never published; the latest that were: {shown}")
    for table in (tables.RECOMMENDATIONS, tables.AUDIENCES):
        if lakehouse.read(table).where(F.col("run_id") == run_id).isEmpty():
            raise StateError(
                f"run {run_id} has no rows in {table.full_name} any more, they have expired (see "
                "publish.keep_runs): run recommend and publish for its date instead"
            )
    check = Check("rollback", True, f"rolled back from {latest['run_id']} by request")
    record(lakehouse, run_id, before["as_of"], now, [check])
    row = tuple(now if name == "published_ts" else before[name] for name in before.asDict())
    commit(lakehouse, row, latest)
    return True


def commit(lakehouse: Lakehouse, row: tuple, seen: Row | None) -> None:
    """Append a row of ``serving.publications`` if the latest is still the one that was ``seen``.

    The row is the first with the number of the table's version: of two publishers that saw the
    same version, Delta takes one. It is later than all before it, whatever the clock says.

    Raises
    ------
    StateError
        Another publication came first; this one left nothing.
    """
    table = tables.PUBLICATIONS
    place = table.column_names.index("published_ts")
    when = later_than(seen["published_ts"] if seen else None, row[place])
    row = (*row[:place], when, *row[place + 1 :])
    lakehouse.create(table)
    number = lakehouse.versions.get(table.full_name, 0)
    frame = lakehouse.spark.createDataFrame([row], table.row_type).coalesce(1)
    try:
        lakehouse.append(table, frame, Once("publish", number))
    except _LOST:
        lakehouse.versions.pop(table.full_name, None)
    mine = (F.col("run_id") == row[0]) & (F.col("published_ts") == F.lit(when))
    if lakehouse.read(table).where(mine).isEmpty():
        winner = latest_publication(lakehouse)
        name = winner["run_id"] if winner else "another"
        raise StateError(
            f"run {row[0]} is not published: another publisher made {name} the current one "
            "meanwhile; look at it, then publish again"
        )


def record(
    lakehouse: Lakehouse, run_id: str, as_of: date, now: datetime, checks: Sequence[Check]
) -> None:
    """A row of ``serving.audits`` for each check; they stay, whatever becomes of the stage."""
    rows = [
        (run_id, as_of, now, check.name,
         *(None if figure is None else float(figure) for figure in (check.value, check.bound)),
         check.passed, check.reason)
        for check in checks
    ]  # fmt: skip
    frame = lakehouse.spark.createDataFrame(rows, tables.AUDITS.row_type).coalesce(1)
    lakehouse.append(tables.AUDITS, frame)
    lakehouse.keep()


def latest_publication(lakehouse: Lakehouse) -> Row | None:
    """The row of ``serving.publications`` that readers see; None before the first."""
    if not lakehouse.exists(tables.PUBLICATIONS):
        return None
    return lakehouse.read(tables.PUBLICATIONS).orderBy(F.desc("published_ts")).first()


def current_publication(lakehouse: Lakehouse) -> Row:
    """The row of ``serving.publications`` that readers see.

    Raises
    ------
    StateError
        Nothing has been published.
    """
    row = latest_publication(lakehouse)
    if row is None:
        raise StateError("table serving.publications is empty: run publish first")
    return row
