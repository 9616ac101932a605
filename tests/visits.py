"""A small table of visits to a shop, and a lakehouse to keep it in."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from activityrec.config import Config
from activityrec.lakehouse import Lakehouse
from activityrec.tables import Column, Table
from tests.planted import configuration

SPARK_ERRORS = (PySparkException, Py4JJavaError)

VISITS = Table(
    "clean",
    "visits",
    "Visits to the shop's pages, by day.",
    (
        Column("visit_date", "DATE", "day, UTC", True, stats=True),
        Column("user_id", "STRING", "the user", True, "user_id != ''"),
        Column("pages", "INT", "what it's about: pages seen", check="pages > 0"),
        Column("bought", "INT", "pages that sold"),
    ),
    key=("visit_date", "user_id"),
    cluster_by=("visit_date",),
    checks=(("bought_within_pages", "bought <= pages"),),
)


def lakehouse(spark: SparkSession, name: str = "shop", **place: str) -> Lakehouse:
    """A fresh one, as another process would open it."""
    return Lakehouse(
        spark, Config.model_validate(configuration() | {"name": name, "lakehouse": place})
    )


def visits(spark: SparkSession, *rows: tuple[str, str, int | None, int | None]) -> DataFrame:
    """Rows of (day of May, user, pages, bought), which go into one file."""
    frame = spark.createDataFrame(list(rows), "day STRING, user_id STRING, pages INT, bought INT")
    return frame.coalesce(1).selectExpr(
        "date('2024-05-' || day) AS visit_date", "user_id", "pages", "bought"
    )


def listed(rows: DataFrame) -> list[tuple]:
    return sorted((f"{row[0]:%d}", *row[1:]) for row in rows.collect())


def at(root: Path) -> str:
    return f"delta.`{root}/clean/visits`"


@contextmanager
def catalogued_visits(spark: SparkSession) -> Iterator[Table]:
    """A contract in a schema of its own, which goes away afterwards."""
    yield replace(VISITS, schema="catalogued")
    spark.sql("DROP SCHEMA IF EXISTS spark_catalog.catalogued CASCADE")
