"""Delta tables by contract: where they are, whose they are, whether they are as declared."""

import json
import re
import uuid
from collections.abc import Callable

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from activityrec import creation, ddl
from activityrec.config import Config
from activityrec.ddl import GENERATION, OWNER
from activityrec.errors import ContractError, StateError
from activityrec.files import Files
from activityrec.tables import Table

_COMMIT = re.compile(r"\d{20}\.json")


class DeltaTables:
    """The tables of one deployment, under a root path or in a catalog; base of ``Lakehouse``.

    Parameters
    ----------
    spark
        The session; Delta's extensions must be on.
    config
        Gives the place, and the name that marks the tables as this configuration's.

    Attributes
    ----------
    marks
        Properties of tables that are created from now on.
    versions
        The Delta version that each table is pinned at, by full name.
    before_write
        Called before each write; raises where this process may not write any more.
    reads
        Those of the tables that were read since :func:`activityrec.job.run_stages` began the
        stage.
    """

    def __init__(self, spark: SparkSession, config: Config) -> None:
        self.spark = spark
        self.files = Files(spark)
        self.root = config.lakehouse.root
        self.catalog = config.lakehouse.catalog
        self.owner = config.name
        self.versions: dict[str, int] = {}
        self.reads: dict[str, int] = {}
        self.marks = {OWNER: config.name}
        self.before_write: Callable[[], None] = lambda: None
        self._before: dict[Table, int] = {}
        self._new: set[Table] = set()
        self._properties: dict[Table, dict[str, str]] = {}

    def identifier(self, table: Table) -> str:
        """The name by which Spark SQL knows the table."""
        if self.root is not None:
            return f"delta.`{self.root}/{table.schema}/{table.name}`"
        return f"{self.catalog}.{table.schema}.{table.name}"

    def exists(self, table: Table) -> bool:
        if self.root is not None:
            return DeltaTable.isDeltaTable(self.spark, f"{self.root}/{table.schema}/{table.name}")
        return self.spark.catalog.tableExists(self.identifier(table))

    def is_blank(self, table: Table) -> bool:
        """Whether the table is not there, or this object made it and has not written it yet."""
        return table in self._new or not self.exists(table)

    def create(self, table: Table) -> str:
        """Create the table if it is not there; return its :meth:`generation`."""
        self._prepare(table, undo=False)
        return self.generation(table)

    def generation(self, table: Table) -> str:
        """What tells this making of a table from one made anew after it was dropped."""
        return self.properties(table)[GENERATION]

    def properties(self, table: Table) -> dict[str, str]:
        """The properties of a table that exists."""
        self._verify(table)
        return self._properties[table]

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

    def _prepare(self, table: Table, undo: bool = True) -> None:
        """Create the table from its contract, or verify the one that exists, before a write."""
        self.before_write()
        if self.exists(table):
            self._verify(table)
        else:
            self._make(table)
        if undo and table not in self._before:
            pinned = self.versions.get(table.full_name)
            self._before[table] = self._current_version(table) if pinned is None else pinned

    def _make(self, table: Table) -> None:
        """Create the table, or verify the one that another writer made at the same moment."""
        if self.catalog is not None:
            schema = f"{self.catalog}.{table.schema}"
            # A metastore logs an error for one that exists, IF NOT EXISTS or not.
            if not self.spark.catalog.databaseExists(schema):
                self.spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        marks = {**self.marks, GENERATION: uuid.uuid4().hex[:8]}
        statement = ddl.create_statement(table, self.identifier(table), marks)
        in_catalog = None if self.catalog is None else lambda: self.exists(table)
        ours = creation.create(self.spark, statement, lambda: self._folder(table), in_catalog)
        if not ours:
            self._verify(table)
            return
        self._properties[table] = ddl.properties_of(table, marks)
        self.versions[table.full_name] = 0
        self._new.add(table)

    def _folder(self, table: Table) -> str | None:
        """Where the table's files are or will be; None where the catalog keeps that to itself."""
        if self.root is not None:
            return f"{self.root}/{table.schema}/{table.name}"
        schema = self.spark.catalog.getDatabase(f"{self.catalog}.{table.schema}").locationUri
        return f"{schema}/{table.name}" if schema else None

    def _verify(self, table: Table) -> None:
        if table in self._properties:
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
        if differs := ddl.differences(table, schema, properties):
            raise ContractError(
                f"{where} differs from its contract: {'; '.join(differs)}. Alter or drop the "
                "table; features and serving tables are made again by their stage"
            )
        self._properties[table] = properties

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
        self._new.discard(table)
        self.versions[table.full_name] = last["version"]
        metrics = last["operationMetrics"] or {}
        return int(metrics.get("numOutputRows", 0)) - int(metrics.get("numCopiedRows", 0))

    def _change(self, table: Table, write: Callable[[], object], metric: str) -> int:
        """Make a commit and pin it; its figure for ``metric``, 0 where nothing was to be done."""
        self.before_write()
        before = self._current_version(table)
        write()
        last = self._last_commit(table)
        self._new.discard(table)
        self.versions[table.full_name] = last["version"]
        return int(last["operationMetrics"][metric]) if last["version"] > before else 0

    def _current_version(self, table: Table) -> int:
        return int(self._last_commit(table)["version"])

    def _last_commit(self, table: Table) -> dict:
        """``version``, ``operationMetrics`` and ``userMetadata`` of the last commit."""
        if self.root is not None:
            # DESCRIBE HISTORY says the same by a Spark job, some times a load.
            log = f"{self.root}/{table.schema}/{table.name}/_delta_log"
            name = max(filter(_COMMIT.fullmatch, self.files.names(log)), default="")
            try:
                first = json.loads(self.files.first_line(f"{log}/{name}")) if name else {}
            except json.JSONDecodeError:
                raise StateError(
                    f"table {table.full_name}: {log}/{name} is cut short or no log of Delta; put "
                    "it back from a copy, or move all files of that number away: the table is then "
                    "that of the commit before, and the stage that wrote it can be run again"
                ) from None
            if "commitInfo" in first:
                info = {"operationMetrics": None, "userMetadata": None} | first["commitInfo"]
                return info | {"version": int(name.split(".")[0])}
        (row,) = self.spark.sql(f"DESCRIBE HISTORY {self.identifier(table)} LIMIT 1").collect()
        return row.asDict()

    def _delta_table(self, table: Table) -> DeltaTable:
        if self.root is not None:
            return DeltaTable.forPath(self.spark, f"{self.root}/{table.schema}/{table.name}")
        return DeltaTable.forName(self.spark, self.identifier(table))
