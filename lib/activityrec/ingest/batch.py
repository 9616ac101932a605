"""Loads of clean tables, as ``clean.batches`` knows them."""

from dataclasses import dataclass

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.lakehouse import Lakehouse, Once
from activityrec.tables import Table

ERASED = "user_id: erased"
FULL = "/full-"
"""In the ``batch_id`` of full loads; a table has one group of full sources."""


@dataclass(frozen=True)
class Batch:
    """One load of one table.

    Attributes
    ----------
    once
        Its writer, such as ``purchases/full-1a2b3c4d``, and its number.
    load
        ``full``, ``append`` or ``upsert``.
    sources
        The names of the sources that it comes from.
    files
        The paths that were read; None where the source has none.
    watermark
        See ``clean.batches``.
    again
        The ``batch_id`` of an attempt that did not end: its rows in ``clean.batches`` and
        ``clean.quarantine`` are replaced.
    replay
        Whether the rows come from quarantine; those refused again are still there.
    """

    table: Table
    once: Once
    load: str
    sources: tuple[str, ...]
    files: tuple[str, ...] | None = None
    watermark: str | None = None
    again: str | None = None
    replay: bool = False

    @property
    def batch_id(self) -> str:
        return str(self.once)

    @property
    def mine(self) -> str:
        """SQL condition on the rows of ``clean.batches`` and ``clean.quarantine`` of this load
        and of an attempt at it."""
        ids = f"'{self.batch_id}', '{self.again or self.batch_id}'"
        return f"table_name = '{self.table.name}' AND batch_id IN ({ids})"


def last_batch(lakehouse: Lakehouse, table: Table, writer: str, but: str = "") -> Row | None:
    """The last row of ``clean.batches`` of a writer, leaving out the ``batch_id`` ``but``; None if
    there is none."""
    if lakehouse.is_blank(tables.BATCHES):
        return None
    mine = F.col("batch_id").startswith(f"{writer}/") & (F.col("table_name") == table.name)
    mine = mine & (F.col("batch_id") != but)
    return lakehouse.read(tables.BATCHES).where(mine).orderBy(F.desc("batch_id")).first()


def is_done(lakehouse: Lakehouse, table: Table, batch: Row) -> bool:
    """Whether the load that a row of ``clean.batches`` tells of is in the clean table.

    A load that had nothing to write there is done; doing it again does no harm.
    """
    if batch["added"] + batch["changed"] + batch["removed"] == 0:
        return True
    return lakehouse.committed(table, batch["batch_id"])


def held(lakehouse: Lakehouse, table: Table) -> DataFrame:
    """The table's rows; none where it is not there yet."""
    if lakehouse.is_blank(table):
        # Of LIMIT 0 Spark knows that it is empty, without a job.
        return lakehouse.spark.createDataFrame([], table.row_type).limit(0)
    return lakehouse.read(table)


def next_batch(lakehouse: Lakehouse, table: Table, writer: str) -> tuple[Once, Row | None]:
    """The commit of a writer's next load, and the row of its last one if that did not end.

    A number is never given again: what comes now may not be what came then.
    """
    last = last_batch(lakehouse, table, writer)
    if last is None:
        return Once(writer, 0), None
    number = int(last["batch_id"].rsplit("/", 1)[1])
    dead = None if is_done(lakehouse, table, last) else last
    return Once(writer, number + 1), dead
