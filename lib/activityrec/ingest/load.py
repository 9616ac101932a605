"""Loading the clean tables from their sources."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.config import SourceConfig
from activityrec.days import within
from activityrec.errors import ContractError
from activityrec.ingest.batch import FULL, Batch, held, next_batch
from activityrec.ingest.increments import load_new
from activityrec.ingest.judge import (
    Ingestion,
    judge_rows,
    judge_together,
    paths_of,
    union,
    with_reasons,
)
from activityrec.ingest.keyed import check_key
from activityrec.ingest.keys import identified
from activityrec.ingest.reading import FILE_FORMATS, read_all
from activityrec.ingest.sources import check_sources, map_rows, name_failure
from activityrec.ingest.write import write_batch
from activityrec.session import settings
from activityrec.tables import Table

log = logging.getLogger("activityrec")

PLAIN_CACHE = {"spark.sql.inMemoryColumnarStorage.compressed": "false"}
"""Rows are read from the cache a few times: to compress them would take longer than that."""


def load_tables(ingestion: Ingestion) -> dict[str, int]:
    """Load every clean table; return its rows that were added, changed or removed.

    Each load is done or not by one Delta commit. Those done stay if a later one fails, and the
    next run goes on from there. All full sources are opened before anything is written.

    Raises
    ------
    SourceError
        A source cannot be read, or an expression does not resolve on it.
    ContractError
        Too large a share of a load was refused, or a table that nothing works without is empty.
    """
    check_key(ingestion.lakehouse, ingestion.protection)
    snapshots = {}
    for table in tables.CLEAN:
        check_sources(table, ingestion.sources(table))
        snapshots[table] = open_snapshots(ingestion, table)
    return {table.name: load_table(ingestion, table, snapshots[table]) for table in tables.CLEAN}


def load_table(ingestion: Ingestion, table: Table, snapshots: Sequence["Snapshot"]) -> int:
    """Load one table from its full sources, opened, and from what is new in the others."""
    counts = _load_snapshots(ingestion, table, snapshots)
    for source in ingestion.sources(table):
        if source.load != "full":
            counts += _load_increment(ingestion, table, source)
    needed = table in (tables.ACTIVITIES, tables.EVENTS)
    filled = counts["added"] + counts["changed"] > 0
    if needed and not filled and held(ingestion.lakehouse, table).isEmpty():
        raise ContractError(f"table {table.name}: its sources have no rows")
    if not ingestion.lakehouse.exists(table):
        ingestion.lakehouse.create(table)
    return written(counts)


@dataclass(frozen=True)
class Snapshot:
    """A full source, opened: its own rows, and those mapped to the table's columns."""

    source: SourceConfig
    raw: DataFrame
    mapped: DataFrame


def open_snapshots(ingestion: Ingestion, table: Table) -> list[Snapshot]:
    """The full sources of a table; nothing is computed beyond their schemas."""
    opened = []
    for source in ingestion.sources(table):
        if source.load == "full":
            raw = read_all(ingestion.spark, table, source)
            opened.append(Snapshot(source, raw, map_rows(table, source, raw)))
    return opened


def written(counts: Counter[str]) -> int:
    """The rows that a load added, changed and removed."""
    return counts["added"] + counts["changed"] + counts["removed"]


def _load_snapshots(ingestion: Ingestion, table: Table, opened: Sequence[Snapshot]) -> Counter[str]:
    """Load all full sources of a table as one."""
    if not opened:
        return Counter()
    names = tuple(snapshot.source.label for snapshot in opened)
    writer = f"{'+'.join(names)}{FULL}{ingestion.lakehouse.create(table)}"
    once, dead = next_batch(ingestion.lakehouse, table, writer)
    again = dead["batch_id"] if dead else None
    read = [s.raw.inputFiles() for s in opened if s.source.format in FILE_FORMATS]
    files = tuple(chain(*read)) if read else None
    batch = Batch(table, once, "full", names, files, again=again)
    places = ingestion.sources(table)
    rows = union([judge_rows(ingestion, table, s.mapped, places.index(s.source)) for s in opened])
    try:
        return load_batch(ingestion, batch, rows)
    except (PySparkException, Py4JJavaError) as error:
        for s in opened:
            name_failure(table, s.source, s.raw, error, ingestion.protection is not None)
        raise


def _load_increment(ingestion: Ingestion, table: Table, source: SourceConfig) -> Counter[str]:
    """Load what is new in one source."""
    place = ingestion.sources(table).index(source)
    counts: list[Counter[str]] = []

    def handle(batch: Batch, raw: DataFrame) -> None:
        mapped = map_rows(table, source, raw)
        rows = judge_rows(ingestion, table, mapped, place)
        try:
            counts.append(load_batch(ingestion, batch, rows))
        except (PySparkException, Py4JJavaError) as error:
            name_failure(table, source, raw, error, ingestion.protection is not None)
            raise

    load_new(ingestion, table, source, handle)
    if not counts:
        log.info("%s from %s: nothing new", table.name, source.label)
    return sum(counts, Counter())


def load_batch(ingestion: Ingestion, batch: Batch, rows: DataFrame) -> Counter[str]:
    """Judge and write one load; its rows by what became of them."""
    kept: list[DataFrame] = []

    def keep(frame: DataFrame) -> DataFrame:
        kept.append(frame.persist())
        return kept[-1]

    try:
        # Everything from here on looks at the rows more than once; the source is read once.
        with settings(ingestion.spark, PLAIN_CACHE):
            rows = keep(identified(batch.table, rows))
        rows = with_reasons(ingestion, batch.table, rows, keep)
        # Those of an entity's several sources are put together from here on.
        together = batch.table.entity and len(batch.sources) > 1
        read = rows.count() if together else None
        days = None if batch.load == "full" else ingestion.config.ingest.key_search_days
        where = search(batch.table, rows, days)
        paths = paths_of(ingestion.spark, batch.files or ())
        judged = judge_together(ingestion, batch.table, rows, paths, keep)
        return Counter(write_batch(ingestion, batch, judged, read, paths, where, keep))
    finally:
        for frame in kept:
            frame.unpersist()


def search(table: Table, rows: DataFrame, days: int | None) -> str:
    """SQL condition on ``t``: the days on which a key of the rows is looked for."""
    occurred = next((column.name for column in table.given if column.occurred), None)
    if days is None or occurred is None:
        return "true"
    found = rows.where("_reasons IS NULL").select(F.to_date(occurred).alias("day")).distinct()
    return within(f"t.{occurred}", [row["day"] for row in found.collect()], days)
