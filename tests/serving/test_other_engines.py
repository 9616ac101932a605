"""The serving tables as delta-rs and DuckDB read them where they lie, right to the last row."""

import glob
import os
import shutil
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import deltalake
import duckdb
import duckdb_extension_delta
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.job import Job
from activityrec.lakehouse import Lakehouse
from activityrec.tables import Table

pytestmark = pytest.mark.slow
Rows = list[str]


def plain(value: Any) -> Any:
    """The same for the same value, whichever engine gave it."""
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
        return aware.astimezone(timezone.utc).isoformat()
    if isinstance(value, dict):
        return sorted((key, plain(part)) for key, part in value.items())
    if isinstance(value, list):
        parts = [plain(part) for part in value]
        # Arrow gives maps as lists of pairs.
        return sorted(map(tuple, parts)) if value and isinstance(value[0], tuple) else parts
    if isinstance(value, tuple):
        return tuple(plain(part) for part in value)
    return value


def lines(rows: list[dict[str, Any]]) -> Rows:
    return sorted(repr([(name, plain(value)) for name, value in row.items()]) for row in rows)


def by_spark(spark: SparkSession, path: Path) -> Rows:
    rows = spark.read.format("delta").load(str(path)).collect()
    return lines([row.asDict(recursive=True) for row in rows])


def by_delta_rs(path: Path) -> Rows:
    reader = deltalake.QueryBuilder().register("t", deltalake.DeltaTable(path))
    return lines(pa.table(reader.execute("SELECT * FROM t").read_all()).to_pylist())


def by_duckdb(path: Path) -> Rows:
    database = duckdb.connect()
    folders = duckdb_extension_delta.__path__[0]
    pattern = os.path.join(folders, "extensions", "v*", "delta.duckdb_extension")
    database.execute(f"LOAD '{glob.glob(pattern)[0]}'")
    database.execute("SET TimeZone = 'UTC'")
    found = database.execute(f"SELECT * FROM delta_scan('{path}')").to_arrow_table()
    return lines(found.to_pylist())


@pytest.fixture(scope="module")
def changed(planted_run: Job, tmp_path_factory: pytest.TempPathFactory) -> Lakehouse:
    """A copy of a run's tables, with rows deleted and changed, and files put together since."""
    root = tmp_path_factory.mktemp("copy")
    shutil.copytree(Path(str(planted_run.lakehouse.root)) / "serving", root / "serving")
    place = planted_run.config.lakehouse.model_copy(update={"root": str(root)})
    config = planted_run.config.model_copy(update={"lakehouse": place})
    lakehouse = Lakehouse(planted_run.spark, config)
    for table in filter(lakehouse.exists, tables.SERVING):
        name = lakehouse.identifier(table)
        rows = lakehouse.read(table)
        lakehouse.append(table, rows.limit(3).withColumn("run_id", F.concat("run_id", F.lit("x"))))
        doubles = [c.name for c in table.columns if c.type == "DOUBLE" and not c.check]
        first = table.key[-1]
        lakehouse.spark.sql(f"DELETE FROM {name} WHERE abs(hash(`{first}`, run_id)) % 5 = 0")
        for column in doubles[:1]:
            lakehouse.spark.sql(f"UPDATE {name} SET {column} = {column} / 3 WHERE run_id LIKE '%x'")
        lakehouse.optimize(table)
        lakehouse.append(table, rows.limit(1).withColumn("run_id", F.concat("run_id", F.lit("y"))))
    return lakehouse


@pytest.mark.parametrize("engine", [by_delta_rs, by_duckdb])
@pytest.mark.parametrize("table", tables.SERVING, ids=lambda table: table.name)
def test_every_row_is_read(changed: Lakehouse, table: Table, engine: Callable) -> None:
    if not changed.exists(table):
        aside = (tables.EXPORTS, tables.PERFORMANCE, tables.MONITORING)
        assert table in aside, "the pipeline neither exports nor monitors"
        changed.create(table)
    path = Path(str(changed.root)) / "serving" / table.name
    expected = by_spark(changed.spark, path)
    assert engine(path) == expected
