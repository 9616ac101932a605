"""Feeding quarantined rows again, after a rule or an expression was corrected."""

import logging
from typing import cast

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructType

from activityrec import tables
from activityrec.config import SourceConfig
from activityrec.ingest.batch import ERASED, Batch, next_batch
from activityrec.ingest.judge import Ingestion, judge_rows, union
from activityrec.ingest.keyed import check_key
from activityrec.ingest.keys import SUPERSEDED
from activityrec.ingest.load import load_batch, written
from activityrec.ingest.reading import CORRUPT, read_all
from activityrec.ingest.rules import JSON_OPTIONS, comparable, content_hash
from activityrec.ingest.sources import MARKS, check_sources, map_rows, with_types
from activityrec.tables import Table

log = logging.getLogger("activityrec")


def replay_quarantine(ingestion: Ingestion) -> dict[str, int]:
    """Judge the rows of ``clean.quarantine`` once more; those that pass move to their tables.

    Rows that pass leave quarantine, those that do not stay as they are. Rows that lost against
    another one with their key, and those of erased users, are not fed again; nor are those of
    full sources, which each ingestion reads as a whole. A run that is killed can be run again.

    Returns
    -------
    dict
        By table, the rows that were added or changed.
    """
    lakehouse = ingestion.lakehouse
    moved = dict.fromkeys((table.name for table in tables.CLEAN), 0)
    if not lakehouse.exists(tables.QUARANTINE):
        return moved
    check_key(ingestion.lakehouse, ingestion.protection)
    lost = F.exists("reasons", lambda reason: reason.startswith(SUPERSEDED))
    held = lakehouse.read(tables.QUARANTINE).where(
        ~lost & ~F.array_contains("reasons", ERASED) & F.col("row").isNotNull()
    )
    for table in tables.CLEAN:
        check_sources(table, ingestion.sources(table))
        for place, source in enumerate(ingestion.sources(table)):
            mine = (F.col("table_name") == table.name) & (F.col("source") == source.label)
            rows = held.where(mine)
            if source.load != "full" and not rows.isEmpty():
                moved[table.name] += _replay(ingestion, table, source, rows, place)
    return moved


def _replay(
    ingestion: Ingestion, table: Table, source: SourceConfig, rows: DataFrame, place: int
) -> int:
    origin = F.struct(*tables.QUARANTINE.key).alias("_origin")
    rows = rows.withColumn("_origin", origin).withColumn("_file", F.col("file"))
    judged = []
    as_sourced = rows.where("NOT mapped")
    if not as_sourced.isEmpty():
        mapped = map_rows(table, source, _sourced(ingestion, table, source, as_sourced))
        judged.append(judge_rows(ingestion, table, mapped, place))
    as_mapped = _mapped(table, rows.where("mapped"))
    judged.append(judge_rows(ingestion, table, as_mapped, place, protected=True))
    writer = f"{source.label}/replay-{ingestion.lakehouse.create(table)}"
    once, dead = next_batch(ingestion.lakehouse, table, writer)
    again = dead["batch_id"] if dead else None
    batch = Batch(table, once, source.load, (source.label,), again=again, replay=True)
    return written(load_batch(ingestion, batch, _with_origins(table, union(judged))))


def _with_origins(table: Table, rows: DataFrame) -> DataFrame:
    """``_origins``: the key in quarantine of a row, and of all that equal it if it is good, since
    only one of them is kept."""
    good = F.col("_bad").isNull()
    # Malformed lines are all equal, and there may be many.
    same = F.when(good, content_hash(comparable(table))).otherwise(F.xxhash64("_origin"))
    window = Window.partitionBy(good, same).rowsBetween(
        Window.unboundedPreceding, Window.unboundedFollowing
    )
    return rows.withColumn("_origins", F.collect_set("_origin").over(window)).drop("_origin")


def _sourced(
    ingestion: Ingestion, table: Table, source: SourceConfig, rows: DataFrame
) -> DataFrame:
    """The source's own columns back from JSON."""
    if source.read_schema is not None:
        schema = cast(StructType, StructType.fromDDL(source.read_schema))
    else:
        known = read_all(ingestion.spark, table, source).schema
        schema = StructType([field for field in known if field.name not in MARKS])
    if CORRUPT not in schema.names:
        schema = schema.add(CORRUPT, StringType())
    parsed = F.from_json("row", schema, JSON_OPTIONS).alias("_parsed")
    return rows.select(parsed, "_file", "_origin").select("_parsed.*", "_file", "_origin")


def _mapped(table: Table, rows: DataFrame) -> DataFrame:
    """Rows that were mapped already: their values as text, to be judged as text is."""
    fields = ", ".join(
        f"`{c.name}` {c.type if c.type.startswith('MAP') else 'STRING'}" for c in table.given
    )
    given = F.from_json("row", fields).alias("_given")
    return with_types(
        table,
        rows.select(
            given,
            given.alias("_sourced"),
            F.col("source_order").alias("_order"),
            "_file",
            F.lit(False).alias("_malformed"),
            F.lit(None).cast("array<string>").alias("_flags"),
            "_origin",
        ),
    )
