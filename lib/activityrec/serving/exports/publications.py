"""What is exported: the rows of the current publication, and the record that they went."""

from dataclasses import dataclass
from datetime import datetime, timezone

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.lakehouse import Lakehouse
from activityrec.serving.publication import current_publication
from activityrec.tables import Table

TABLES = {table.name: table for table in (tables.RECOMMENDATIONS, tables.AUDIENCES)}
"""What can be exported, by name."""


@dataclass(frozen=True)
class Publication:
    """A publication on its way out."""

    run_id: str
    published_ts: datetime

    def __str__(self) -> str:
        return f"run {self.run_id}, published {self.published_ts:%Y-%m-%d %H:%M:%S.%f} UTC"


def current(lakehouse: Lakehouse) -> Publication:
    """The publication that readers see.

    Raises
    ------
    StateError
        Nothing has been published.
    """
    row = current_publication(lakehouse)
    return Publication(row["run_id"], row["published_ts"].astimezone(timezone.utc))


def rows_of(lakehouse: Lakehouse, table: Table, publication: Publication) -> DataFrame:
    """Its rows, with lists, maps and structs as JSON."""
    rows = lakehouse.read(table).where(F.col("run_id") == publication.run_id)
    return rows.select(
        *[
            F.to_json(column.name).alias(column.name) if is_nested(column) else column.name
            for column in table.columns
        ]
    )


def is_nested(column: tables.Column) -> bool:
    """Whether it holds a list, a map or a struct."""
    return "<" in column.type


def own_key(table: Table) -> tuple[str, ...]:
    """What identifies a row among those of one run."""
    return tuple(name for name in table.key if name != "run_id")


def record(
    lakehouse: Lakehouse, target: str, table: Table, publication: Publication, rows: int,
    now: datetime,
) -> None:  # fmt: skip
    """Write down that it went to a target; once for each time that it did."""
    made = (target, table.name, publication.run_id, publication.published_ts, rows, now)
    frame = lakehouse.spark.createDataFrame([made], tables.EXPORTS.row_type).coalesce(1)
    lakehouse.append(tables.EXPORTS, frame)
    lakehouse.keep()
