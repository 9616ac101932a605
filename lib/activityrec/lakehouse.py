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
from pyspark.sql.types import DataType

from activityrec.config import Config
from activityrec.errors import ContractError, StateError
from activityrec.tables import Table

_OWNER = "activityrec.configuration"


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
        if where is not None:
            writer = writer.option("replaceWhere", where)
        writer.saveAsTable(self.identifier(table))
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
        detail = self.spark.sql(f"DESCRIBE DETAIL {self.identifier(table)}").first()
        assert detail is not None
        owner = detail["properties"].get(_OWNER)
        if owner != self.owner:
            raise ContractError(
                f"table {table.full_name} at {self.identifier(table)} belongs to configuration "
                f"{owner!r}, not to {self.owner!r}: use another lakehouse root or catalog"
            )
        fields = self.spark.read.table(self.identifier(table)).schema.fields
        found = {field.name: field.dataType.simpleString() for field in fields}
        wanted = {
            column.name: DataType.fromDDL(column.type).simpleString() for column in table.columns
        }
        differences = [
            f"{name} is {found.get(name, 'missing')}, should be {wanted.get(name, 'absent')}"
            for name in [*wanted, *(set(found) - set(wanted))]
            if found.get(name) != wanted.get(name)
        ]
        if differences:
            raise ContractError(
                f"table {table.full_name} at {self.identifier(table)} differs from its contract: "
                f"{'; '.join(differences)}. Alter or drop the table; "
                "features and serving tables are made again by their stage"
            )

    def _conform(self, table: Table, rows: DataFrame) -> DataFrame:
        missing = [name for name in table.column_names if name not in rows.columns]
        extra = [name for name in rows.columns if name not in table.column_names]
        if missing or extra:
            raise ContractError(
                f"rows for {table.full_name} lack columns {missing} and have unknown {extra}"
            )
        return rows.select(*[F.col(column.name).cast(column.type) for column in table.columns])

    def _written(self, table: Table) -> int:
        """Pin the version just written; the number of rows that its commit added."""
        last = self._last_commit(table)
        self.versions[table.full_name] = last["version"]
        return int((last["operationMetrics"] or {}).get("numOutputRows", 0))

    def _current_version(self, table: Table) -> int:
        return int(self._last_commit(table)["version"])

    def _last_commit(self, table: Table) -> dict:
        row = self.spark.sql(f"DESCRIBE HISTORY {self.identifier(table)} LIMIT 1").first()
        assert row is not None
        return row.asDict()


def create_statement(table: Table, identifier: str, owner: str) -> str:
    """The CREATE TABLE that a contract stands for."""
    lines = [
        f"`{column.name}` {column.type}{' NOT NULL' if column.required else ''} "
        f"COMMENT {_quote(column.comment)}"
        for column in table.columns
    ]
    skipping = ",".join(column.name for column in table.columns if column.stats)
    properties = {
        _OWNER: owner,
        **(
            {"delta.dataSkippingStatsColumns": skipping}
            if skipping
            else {"delta.dataSkippingNumIndexedCols": "0"}
        ),
        **{f"delta.constraints.{name}": sql for name, sql in table.conditions()},
    }
    clustering = f"CLUSTER BY ({', '.join(table.cluster_by)})\n" if table.cluster_by else ""
    listed = ",\n  ".join(f"{_quote(key)} = {_quote(value)}" for key, value in properties.items())
    return (
        f"CREATE TABLE {identifier} (\n  " + ",\n  ".join(lines) + "\n) USING delta\n"
        f"COMMENT {_quote(table.comment)}\n{clustering}TBLPROPERTIES (\n  {listed}\n)"
    )


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
