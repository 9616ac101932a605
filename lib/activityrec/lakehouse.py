"""The one place that reads and writes tables.

A table is created from its contract before its first write. Reads are pinned: all reads of a
table through one :class:`Lakehouse` see the version that the first of them saw, until this
object writes the table itself.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from activityrec.config import Config
from activityrec.ddl import OWNER, create_statement, differences
from activityrec.errors import ContractError, StateError
from activityrec.tables import Table


class Lakehouse:
    """Delta tables of one deployment, under a root path or in a catalog.

    Parameters
    ----------
    spark
        The session; Delta's extensions must be on.
    config
        Gives the place, and the name that marks the tables as this configuration's.

    Attributes
    ----------
    versions
        The Delta version that each table is pinned at, by full name.
    reads
        Those of the tables that were read since :func:`activityrec.job.run_stages` began the
        stage.
    """

    def __init__(self, spark: SparkSession, config: Config) -> None:
        self.spark = spark
        self.root = config.lakehouse.root
        self.catalog = config.lakehouse.catalog
        self.owner = config.name
        self.versions: dict[str, int] = {}
        self.reads: dict[str, int] = {}
        self._before: dict[Table, int] = {}
        self._verified: set[Table] = set()

    def identifier(self, table: Table) -> str:
        """The name by which Spark SQL knows the table."""
        if self.root is not None:
            return f"delta.`{self.root}/{table.schema}/{table.name}`"
        return f"{self.catalog}.{table.schema}.{table.name}"

    def exists(self, table: Table) -> bool:
        if self.root is not None:
            return DeltaTable.isDeltaTable(self.spark, f"{self.root}/{table.schema}/{table.name}")
        return self.spark.catalog.tableExists(self.identifier(table))

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

    def append(self, table: Table, rows: DataFrame) -> int:
        """Append rows in one Delta commit; return their number."""
        self._prepare(table)
        conformed = self._conform(table, rows)
        conformed.write.format("delta").mode("append").saveAsTable(self.identifier(table))
        return self._written(table)

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Put the tables written inside back as they were if an exception leaves the block.

        A table that did not exist before is left empty. A process that is killed cannot clean
        up: then some tables are new and some old, and the same stage must be run again.
        """
        self._before.clear()
        try:
            yield
        except BaseException:
            for table, version in self._before.items():
                if self._current_version(table) != version:
                    name = self.identifier(table)
                    self.spark.sql(f"RESTORE TABLE {name} TO VERSION AS OF {version}")
                self.versions.pop(table.full_name, None)
            raise

    def check(self, tables: list[Table]) -> None:
        """Verify every table that exists already, before anything is written.

        Raises
        ------
        ContractError
            One belongs to another configuration, or differs from its contract.
        """
        for table in tables:
            if self.exists(table):
                self._verify(table)

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
            folder, files = self._hadoop_path(path)
            files.delete(folder, True)

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
        self._write_text(f"{self.root}/views.sql", script)

    def register(self, tables: list[Table]) -> None:
        """Give the tables their short names in this session, as temporary views."""
        for table in tables:
            if self.exists(table):
                self.read(table).createOrReplaceTempView(table.name)

    def _write_text(self, path: str, text: str) -> None:
        target, files = self._hadoop_path(path)
        stream = files.create(target, True)
        try:
            stream.write(bytearray(text, "utf-8"))
        finally:
            stream.close()

    def _hadoop_path(self, path: str) -> tuple[Any, Any]:
        """A path and the file system that it is on, as Hadoop knows them."""
        jvm = self.spark._jvm
        assert jvm is not None
        conf = self.spark._jsparkSession.sessionState().newHadoopConf()
        target = jvm.org.apache.hadoop.fs.Path(path)
        return target, target.getFileSystem(conf)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep a second pipeline away from a lakehouse on this machine's disk.

        The operating system frees the lock when the process ends, however it ends. A catalog
        or an object store has no such lock: there the scheduler must allow one run at a time.

        Raises
        ------
        StateError
            Another process holds it.
        """
        if self.root is None or ":" in self.root.split("/")[0]:
            yield
            return
        Path(self.root).mkdir(parents=True, exist_ok=True)
        with open(Path(self.root) / ".lock", "a+", encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EAGAIN):
                    raise
                file.seek(0)
                raise StateError(
                    f"lakehouse {self.root}: process {file.read().strip()} is working on it; "
                    "wait until it has ended"
                ) from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    def _prepare(self, table: Table) -> None:
        """Create the table from its contract, or verify the one that exists, before a write."""
        if self.exists(table):
            self._verify(table)
        else:
            if self.catalog is not None:
                self.spark.sql(f"CREATE SCHEMA IF NOT EXISTS {self.catalog}.{table.schema}")
            self.spark.sql(create_statement(table, self.identifier(table), self.owner))
        self._before.setdefault(table, self._current_version(table))

    def _verify(self, table: Table) -> None:
        if table in self._verified:
            return
        # DESCRIBE DETAIL says the same, and more, by a job of some seconds.
        rows = self.spark.sql(f"SHOW TBLPROPERTIES {self.identifier(table)}").collect()
        properties = {row["key"]: row["value"] for row in rows}
        where = f"table {table.full_name} at {self.identifier(table)}"
        owner = properties.get(OWNER)
        if owner != self.owner:
            whose = "no configuration of this project" if owner is None else repr(owner)
            raise ContractError(
                f"{where} belongs to {whose}, not to configuration {self.owner!r}: "
                "use another lakehouse root or catalog"
            )
        schema = self.spark.read.table(self.identifier(table)).schema
        if differs := differences(table, schema, properties):
            raise ContractError(
                f"{where} differs from its contract: {'; '.join(differs)}. Alter or drop the "
                "table; features and serving tables are made again by their stage"
            )
        self._verified.add(table)

    def _conform(self, table: Table, rows: DataFrame) -> DataFrame:
        missing = [name for name in table.column_names if name not in rows.columns]
        extra = [name for name in rows.columns if name not in table.column_names]
        if missing or extra:
            raise ContractError(
                f"rows for {table.full_name} lack columns {missing} and have unknown {extra}"
            )
        return rows.select(*[F.col(column.name).cast(column.type) for column in table.columns])

    def _written(self, table: Table) -> int:
        """Pin the version just written; the number of rows that its commit added.

        A replaced slice may share files with rows that stay: these are copied to new files.
        """
        last = self._last_commit(table)
        self.versions[table.full_name] = last["version"]
        metrics = last["operationMetrics"] or {}
        return int(metrics.get("numOutputRows", 0)) - int(metrics.get("numCopiedRows", 0))

    def _current_version(self, table: Table) -> int:
        return int(self._last_commit(table)["version"])

    def _last_commit(self, table: Table) -> dict:
        row = self.spark.sql(f"DESCRIBE HISTORY {self.identifier(table)} LIMIT 1").first()
        assert row is not None
        return row.asDict()
