"""What stands in for a lakehouse and its models in tests that write no tables."""

from datetime import date
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from activityrec import tables
from activityrec.config import Config
from activityrec.errors import StateError
from activityrec.features.daily import user_daily
from activityrec.features.history import History, all_users, first_day, with_everyone
from activityrec.features.outcomes import outcomes
from activityrec.features.snapshots import Snapshots
from activityrec.serving.candidates import Serving
from activityrec.tables import Table


def unmarked(table: Table) -> str:
    """The row type of a table of fits, without the mark of their settings."""
    columns = [column for column in table.columns if column.name != "settings"]
    return ", ".join(f"{column.name} {column.type}" for column in columns)


class Shelf:
    """Gives the tables that it was made with.

    ``rows`` are columns by name; a column that a row does not give is NULL.
    """

    def __init__(self, spark: SparkSession, rows: dict[Table, list[dict[str, Any]]]) -> None:
        self.spark = spark
        self.rows = {table.full_name: listed for table, listed in rows.items()}

    def exists(self, table: Table) -> bool:
        return table.full_name in self.rows

    def is_blank(self, table: Table) -> bool:
        return not self.exists(table)

    def read(self, table: Table) -> DataFrame:
        if not self.exists(table):
            raise StateError(f"table {table.full_name} does not exist")
        schema = ", ".join(f"{column.name} {column.type}" for column in table.columns)
        empty = dict.fromkeys(table.column_names)
        rows = [tuple((empty | row).values()) for row in self.rows[table.full_name]]
        return self.spark.createDataFrame(rows, schema)


def serving_of(
    history: History,
    config: Config,
    user_vectors: dict[str, list[float]],
    activity_vectors: dict[str, list[float]],
) -> Serving:
    """Serving at the end of a history, with these factors and without a ranker."""
    day, spark = history.until, history.events.sparkSession
    nobody = spark.createDataFrame([], "snapshot_date DATE, user_id STRING")
    snapshots = Snapshots(
        with_everyone(nobody, all_users(history), day).persist(),
        history,
        user_daily(history.events).persist(),
        outcomes(history.exposures, history.activities, history.events, config.response),
        first_day(history.events),
        config,
    )
    return Serving(
        as_of=day,
        fitted=day,
        config=config,
        history=history,
        snapshots=snapshots,
        users=snapshots.users().persist(),
        activities=snapshots.activities().persist(),
        user_vectors=_vectors(spark, day, "user_id", user_vectors),
        item_vectors=spark.createDataFrame([], unmarked(tables.ITEM_VECTORS)),
        activity_vectors=_vectors(spark, day, "activity_id", activity_vectors),
        ranker=None,
    )


def _vectors(
    spark: SparkSession, day: date, key: str, vectors: dict[str, list[float]]
) -> DataFrame:
    rows = [(day, "als", name, None, vector) for name, vector in vectors.items()]
    schema = f"fitted_date DATE, retriever STRING, {key} STRING, indices ARRAY<INT>, "
    return spark.createDataFrame(rows, f"{schema} vector ARRAY<FLOAT>")
