"""The one place that reads and writes tables.

A table is created from its contract before its first write. Reads are pinned: all reads of a
table through one :class:`Lakehouse` see the version that the first of them saw, until this
object writes the table itself.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec.errors import StateError
from activityrec.files import on_disk
from activityrec.locks import Lease, disk_lock
from activityrec.session import settings
from activityrec.tables import Table
from activityrec.upkeep import Upkeep

log = logging.getLogger("activityrec")
NOT_BACK = "table %s is not as before (%s): run the stage again"
_TXN = "spark.databricks.delta.write"


@dataclass(frozen=True)
class Once:
    """Names a commit that must happen once: its writer, and its number among the writer's.

    The same content always has the same number: Delta skips a number that it has seen.
    """

    writer: str
    number: int

    def __str__(self) -> str:
        return f"{self.writer}/{self.number:06d}"


class Lakehouse(Upkeep):
    """Reads and writes of the tables of one deployment, see :class:`DeltaTables`."""

    def read(self, table: Table) -> DataFrame:
        """The table's rows, pinned.

        Raises
        ------
        StateError
            The table does not exist: the stage that writes it has not run.
        ContractError
            It belongs to another configuration, or its columns differ from the contract.
        """
        if table.full_name not in self.versions:
            if not self.exists(table):
                raise StateError(
                    f"table {table.full_name} does not exist at {self.identifier(table)}: "
                    "run the stage that writes it first"
                )
            self._verify(table)
            self.versions[table.full_name] = self._current_version(table)
        version = self.reads[table.full_name] = self.versions[table.full_name]
        return self.spark.read.option("versionAsOf", version).table(self.identifier(table))

    def replace(self, table: Table, rows: DataFrame, where: str | None = None) -> int:
        """Replace the whole table, or the slice that ``where`` describes; return its rows.

        One Delta commit: readers see the old rows or the new ones. The same rows written
        again leave the same table.

        Raises
        ------
        ContractError
            ``rows`` lack columns of the contract or have others, or the existing table differs.
        """
        self._prepare(table)
        writer = self._conform(table, rows).write.format("delta").mode("overwrite")
        # An overwrite without a condition would make the table anew, without its clustering.
        writer.option("replaceWhere", where or "true").saveAsTable(self.identifier(table))
        return self._written(table)

    def append(self, table: Table, rows: DataFrame, once: Once | None = None) -> int:
        """Append rows in one Delta commit; return their number.

        With ``once``, a commit of that number or a later one of the same writer makes this one
        do nothing, and :meth:`all_or_nothing` leaves it: it could not be made again.
        """
        self._prepare(table, undo=once is None)
        writer = self._conform(table, rows).write.format("delta").mode("append")
        if once is not None:
            writer = writer.option("txnAppId", once.writer).option("txnVersion", once.number)
            writer = writer.option("userMetadata", str(once))
        writer.saveAsTable(self.identifier(table))
        return self._written(table)

    def merge(self, table: Table, changes: DataFrame, once: Once, where: str = "true") -> None:
        """Add, change and remove rows by key in one Delta commit, see :meth:`append`.

        Parameters
        ----------
        changes
            The table's columns and ``_change``: ``added``, ``changed`` or ``removed``. Keys are
            unique.
        where
            Condition on ``t``, the table, that every row to be changed or removed meets.
        """
        self._prepare(table, undo=False)
        columns: dict[str, str | Column] = {name: f"s.{name}" for name in table.column_names}
        merge = (
            self._delta_table(table)
            .alias("t")
            .merge(changes.alias("s"), f"{table.same_key} AND {where}")
            .whenMatchedDelete("s._change = 'removed'")
            .whenMatchedUpdate("s._change = 'changed'", columns)
            .whenNotMatchedInsert("s._change = 'added'", columns)
        )
        named = {
            f"{_TXN}.txnAppId": once.writer,
            f"{_TXN}.txnVersion": str(once.number),
            "spark.databricks.delta.commitInfo.userMetadata": str(once),
        }
        with settings(self.spark, named):
            merge.execute()
        self._written(table)

    def committed(self, table: Table, once: str) -> bool:
        """Whether the commit of that name is in the table's history."""
        if not self.exists(table):
            return False
        # Mostly it is the last one, and to read all of them takes long.
        if self._last_commit(table)["userMetadata"] == once:
            return True
        history = self.spark.sql(f"DESCRIBE HISTORY {self.identifier(table)}")
        return not history.where(F.col("userMetadata") == once).isEmpty()

    def changes_since(self, table: Table, version: int) -> DataFrame:
        """The rows that were added, changed or removed after a version: the change data feed.

        Of a changed row both states are there; ``_change_type`` says which.
        """
        reader = self.spark.read.option("readChangeFeed", "true")
        reader = reader.option("startingVersion", version + 1)
        reader = reader.option("endingVersion", self.versions[table.full_name])
        return reader.table(self.identifier(table))

    def keep(self) -> None:
        """What was written so far stays, even if an exception leaves :meth:`all_or_nothing`."""
        self._before.clear()

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Put the tables written inside back as they were if an exception leaves the block.

        A table that did not exist before is left empty. A process that is killed cannot clean
        up, nor one whose storage takes nothing any more, which warns of each table: then some
        tables are new and some old, and the same stage must be run again.
        """
        self._before.clear()
        try:
            yield
        except BaseException:
            if self._may_write():
                self._put_back()
            raise

    def _may_write(self) -> bool:
        """Not where the lease is lost: what came since is another's."""
        try:
            self.before_write()
        except StateError:
            return False
        return True

    def _put_back(self) -> None:
        for table, version in self._before.items():
            try:
                if self._current_version(table) != version:
                    name = self.identifier(table)
                    self.spark.sql(f"RESTORE TABLE {name} TO VERSION AS OF {version}")
            except Exception as error:
                log.warning(NOT_BACK, table.full_name, type(error).__name__)
            self.versions.pop(table.full_name, None)

    @contextmanager
    def checkpoints(self) -> Iterator[None]:
        """Let Spark cut long lineages by files under the root, gone when the block ends.

        In a catalog ``spark.checkpoint.dir`` says where; it is Spark that clears it.
        """
        if self.root is None:
            yield
            return
        path = f"{self.root}/.checkpoints"
        self.spark.sparkContext.setCheckpointDir(path)
        try:
            yield
        finally:
            self.files.delete(path)

    def create_views(self, schema: str, views: dict[str, str]) -> None:
        """Create or replace views by name and query.

        A catalog keeps them. Paths have no place for views: there they are temporary views of
        the session, and ``<root>/views.sql`` makes them in any other one.
        """
        if self.catalog is not None:
            for name, query in views.items():
                self.spark.sql(f"CREATE OR REPLACE VIEW {self.catalog}.{schema}.{name} AS {query}")
            return
        statements = [
            f"CREATE OR REPLACE TEMPORARY VIEW {name} AS {query}" for name, query in views.items()
        ]
        for statement in statements:
            self.spark.sql(statement)
        script = ";\n".join(statements) + ";\n"
        self.files.replace_text(f"{self.root}/views.sql", script)

    def register(self, tables: list[Table]) -> None:
        """Give the tables their short names in this session, as temporary views."""
        for table in tables:
            if self.exists(table):
                self.read(table).createOrReplaceTempView(table.name)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep a second pipeline away: on this machine's disk by a lock of the system, on other
        storage by a lease (see ``locks``). In a catalog the scheduler must allow one run at a time.

        Raises
        ------
        StateError
            Another process holds it.
        """
        if self.root is None:
            yield
        elif (folder := on_disk(self.root)) is not None:
            with disk_lock(folder):
                yield
        else:
            with Lease(self.files, self.root) as lease:
                outside, self.before_write = self.before_write, lease.check
                try:
                    yield
                finally:
                    self.before_write = outside
