"""The small shop of ``docs/analyst``, and what its questions are answered by."""

import json
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from activityrec.analyst import SAMPLED, sample_path
from activityrec.lakehouse import Lakehouse
from activityrec.tables import Table
from tests.serving.published import write


def sample_rows(spark: SparkSession, table: Table) -> DataFrame:
    """The rows of a table of the shop; columns that its file leaves out are NULL."""
    lines = sample_path(table).read_text(encoding="utf-8").splitlines()
    rows = []
    for line in lines:
        given = json.loads(line)
        assert set(given) <= set(table.column_names), f"{table.full_name}: {line}"
        rows.append(tuple(_typed(given.get(c.name), c.type) for c in table.columns))
    return spark.createDataFrame(rows, table.row_type)


def _typed(value: Any, kind: str) -> Any:
    if value is None or kind not in ("DATE", "TIMESTAMP", "DOUBLE"):
        return value
    if kind == "DOUBLE":
        return float(value)
    instant = datetime.fromisoformat(value.replace("Z", "+00:00"))
    return instant.date() if kind == "DATE" else instant


def write_samples(lakehouse: Lakehouse) -> None:
    """All tables of the shop, by their contracts."""
    for table in SAMPLED:
        rows = sample_rows(lakehouse.spark, table)
        given = [name for name in rows.columns if name not in ("batch_id", "source")]
        write(lakehouse, table, rows.select(*given))


def plain(rows: Iterable[Iterable[Any]]) -> list[list[Any]]:
    """Rows of an answer as JSON has them, whichever client gave them."""
    return [[_plain(value) for value in row] for row in rows]


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return str(value) if isinstance(value, date) else value
