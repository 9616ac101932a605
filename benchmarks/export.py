"""A million rows of audiences into PostgreSQL, beside psql's \\copy of the same rows.

Starts a server of its own, as the tests do; needs Debian's package postgresql, and the driver that
`make setup` fetches.

    ./spark-submit.sh --jars .jars/test/postgresql-42.7.8.jar benchmarks/export.py --rows 1000000
"""

import argparse
import shutil
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pyspark.sql import DataFrame, SparkSession

sys.path.insert(0, str(Path(__file__).parents[1]))
from activityrec import tables
from activityrec.config_export import DatabaseConfig
from activityrec.serving.exports import postgresql
from activityrec.serving.exports.publications import Publication
from activityrec.session import get_spark
from tests.postgres import Sql, postgres_server

PARTS = 4


def audiences(spark: SparkSession, rows: int) -> DataFrame:
    """Rows as ``recommend`` makes them: 1,000 activities, ids of usual length."""
    return spark.range(0, rows, 1, PARTS).selectExpr(
        "'shop-20240501' AS run_id", "DATE'2024-05-01' AS as_of",
        "concat('activity-', id % 1000) AS activity_id", "int(id / 1000) + 1 AS rank",
        "sha1(string(id)) AS user_id", "rand(17) AS score", "rand(18) AS probability",
        "'shop-ranker/12' AS model",
    ).select(tables.AUDIENCES.column_names)  # fmt: skip


def seconds(work: Callable[[], Any]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def copy(sql: Sql, files: list[Path], folder: Path) -> float:
    """Into a table without a key, as fast as PostgreSQL's own client can."""
    columns = postgresql.POSTGRESQL.columns(tables.AUDIENCES)
    sql(f"DROP TABLE IF EXISTS copied; CREATE TABLE copied ({columns})")
    whole = folder / "rows.csv"
    with open(whole, "wb") as target:
        for file in files:
            with open(file, "rb") as part:
                shutil.copyfileobj(part, target)
    whole.chmod(0o644)
    return seconds(lambda: sql(f"\\copy copied FROM '{whole}' WITH (FORMAT csv)"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    count = parser.parse_args().rows
    spark = get_spark("benchmark")
    with TemporaryDirectory() as name, postgres_server() as (address, sql):
        folder = Path(name)
        folder.chmod(0o755)
        audiences(spark, count).write.parquet(f"{folder}/rows")
        rows = spark.read.parquet(f"{folder}/rows")
        rows.write.csv(f"{folder}/csv")
        files = sorted((folder / "csv").glob("part-*"))
        # The first connection of a session takes long: it is not of the rows.
        for mode in ("swap", "upsert"):
            config = DatabaseConfig(options={"url": address}, mode=mode)
            place = postgresql.Place("benchmark", tables.AUDIENCES, config)
            published = datetime(2024, 5, 1, tzinfo=timezone.utc)
            postgresql.export(place, rows.limit(10), Publication("first", published))
            publication = Publication("second", published.replace(hour=1))
            took = seconds(lambda p=place, run=publication: postgresql.export(p, rows, run))
            plain = copy(sql, files, folder)
            rate = f"{count / took:,.0f} rows a second"
            print(f"{mode}: {took:.1f} s, {rate}; \\copy: {plain:.1f} s; ratio {took / plain:.2f}")


if __name__ == "__main__":
    main()
