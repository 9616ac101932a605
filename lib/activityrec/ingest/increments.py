"""What is new in a source since the last load, each row handed on exactly once.

Files and Delta tables are followed by Structured Streaming, whose checkpoint says what has been
loaded; a JDBC source by its watermark column and ``clean.batches``.
"""

import json
from collections.abc import Callable
from dataclasses import replace

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec.config import SourceConfig
from activityrec.errors import ActivityRecError, SourceError, first_line
from activityrec.ingest.batch import Batch, is_done, last_batch, next_batch
from activityrec.ingest.judge import Ingestion
from activityrec.ingest.reading import (
    FILE_FORMATS,
    failures_named,
    options_of,
    read_files,
    reader,
    time_zone,
)
from activityrec.lakehouse import Once
from activityrec.tables import Table

Handle = Callable[[Batch, DataFrame], None]

_FILE_SCHEMA = "path STRING, modificationTime TIMESTAMP, length BIGINT, content BINARY"
_FOR_EVER = "36500d"
"""Spark leaves out files that are 7 days older than the newest one it has seen."""


def load_new(ingestion: Ingestion, table: Table, source: SourceConfig, handle: Handle) -> None:
    """Call ``handle`` with each batch of new rows, in order; a batch that did not end comes again
    with the same rows.

    Raises
    ------
    SourceError
        The source cannot be read or followed.
    """
    if source.format == "jdbc":
        _by_watermark(ingestion, table, source, handle)
    elif source.format == "delta":
        _follow(ingestion, table, source, _delta_stream(ingestion, table, source), handle)
    elif source.format in FILE_FORMATS:
        _follow(ingestion, table, source, _file_stream(ingestion, table, source), handle)
    else:
        raise SourceError(
            f"table {table.name}, source {source.label}: load {source.load} works with "
            f"{', '.join(sorted(FILE_FORMATS))}, delta and jdbc; give {source.format} load full"
        )


def _file_stream(ingestion: Ingestion, table: Table, source: SourceConfig) -> DataFrame:
    """The paths of files, never their content: a stream says which are new, a batch reads them,
    so that each format has all of its options, and its schema comes from the new files."""
    path = str(source.path)
    with failures_named(table, source):
        if not ingestion.lakehouse.files.is_folder(path):
            # A stream takes folders and patterns: make the file's name a pattern of itself.
            folder, _, name = path.rpartition("/")
            if not set("*?[{") & set(path):
                if not ingestion.lakehouse.files.exists(path):
                    raise SourceError(
                        f"table {table.name}, source {path}: cannot read it: it does not exist"
                    )
                path = f"{folder}/{{{name}}}"
        options = {
            key: value
            for key, value in source.options.items()
            if key.lower() in ("pathglobfilter", "maxfilespertrigger", "maxbytespertrigger")
        }
        stream = ingestion.spark.readStream.format("binaryFile").schema(_FILE_SCHEMA)
        stream = stream.options(**options, maxFileAge=_FOR_EVER, recursiveFileLookup="true")
        return stream.load(path).where("length > 0").select("path")


def _delta_stream(ingestion: Ingestion, table: Table, source: SourceConfig) -> DataFrame:
    with failures_named(table, source):
        stream = ingestion.spark.readStream.format("delta").options(**options_of(source))
        rows = stream.load(source.path)
    if "_change_type" in rows.columns:
        rows = rows.where("_change_type IN ('insert', 'update_postimage')")
    return rows


def _follow(
    ingestion: Ingestion, table: Table, source: SourceConfig, stream: DataFrame, handle: Handle
) -> None:
    checkpoint = _checkpoint(ingestion, table, source)
    failures: list[Exception] = []

    def each(rows: DataFrame, number: int) -> None:
        try:
            _one_batch(ingestion, table, source, checkpoint, rows, number, handle)
        except Exception as error:  # what the stream would make of it names no source
            failures.append(error)
            raise

    try:
        query = (
            stream.writeStream.foreachBatch(each)
            .option("checkpointLocation", checkpoint)
            .trigger(availableNow=True)
            .start()
        )
        query.awaitTermination()
    except PySparkException as error:
        if failures and isinstance(failures[0], ActivityRecError):
            raise failures[0] from None
        if failures:
            raise failures[0] from error
        where = f"table {table.name}, source {source.path}"
        if "DELTA_SOURCE_TABLE_IGNORE_CHANGES" in str(error):
            raise SourceError(
                f"{where}: rows of it were changed or deleted, which load {source.load} sees only "
                "in a change data feed: set delta.enableChangeDataFeed on the source and "
                "readChangeFeed among the options, or give it load full"
            ) from None
        raise SourceError(f"{where}: cannot follow it: {first_line(error)}") from None


def _checkpoint(ingestion: Ingestion, table: Table, source: SourceConfig) -> str:
    """A folder for this making of the table: one made anew is filled from the beginning."""
    lakehouse = ingestion.lakehouse
    folder = ingestion.config.ingest.checkpoints
    if folder is None and lakehouse.root is None:
        raise SourceError(
            f"table {table.name}, source {source.label}: tables are in a catalog, so "
            "ingest.checkpoints must name a folder"
        )
    generation = lakehouse.create(table)
    return f"{folder or f'{lakehouse.root}/.ingest'}/{table.name}-{generation}/{source.label}"


def _one_batch(
    ingestion: Ingestion,
    table: Table,
    source: SourceConfig,
    checkpoint: str,
    rows: DataFrame,
    number: int,
    handle: Handle,
) -> None:
    # A checkpoint made anew counts from 0 again: its own id keeps its batches apart.
    query = json.loads(ingestion.lakehouse.files.read_text(f"{checkpoint}/metadata"))["id"]
    once = Once(f"{source.label}/{query[:8]}", number)
    raw = rows.withColumn("_file", F.lit(None).cast("string"))
    if source.format in FILE_FORMATS:
        paths = [row["path"] for row in rows.collect()]
        if not paths:
            return
    batch = Batch(table, once, source.load, (source.label,))
    last = last_batch(ingestion.lakehouse, table, once.writer)
    if last is not None and last["batch_id"] == batch.batch_id:
        wrote = last["added"] + last["changed"] > 0
        if wrote and is_done(ingestion.lakehouse, table, last):
            # Killed between the table's commit and the checkpoint's.
            return
        batch = replace(batch, again=batch.batch_id)
    if source.format in FILE_FORMATS:
        with failures_named(table, source), time_zone(ingestion.spark, source):
            raw = read_files(ingestion.spark, source, paths)
            batch = replace(batch, files=tuple(raw.inputFiles()))
    handle(batch, raw)


def _by_watermark(ingestion: Ingestion, table: Table, source: SourceConfig, handle: Handle) -> None:
    """The rows from the last load's watermark on, up to the highest one of this moment.

    The boundary is read again: rows with the same value may have come since. Those that are in
    the table already are copies. Rows without a watermark are read each time.
    """
    lakehouse = ingestion.lakehouse
    writer = f"{source.label}/watermark-{lakehouse.create(table)}"
    once, dead = next_batch(lakehouse, table, writer)
    again = dead["batch_id"] if dead else None
    loaded = last_batch(lakehouse, table, writer, but=again or "")
    low = loaded["watermark"] if loaded else None
    with failures_named(table, source):
        high = _highest(ingestion, source)
        raw = reader(ingestion.spark, source).load()
        column = F.col(str(source.watermark))
        kind = raw.select(column).schema.fields[0].dataType
        new = F.lit(True) if high is None else column <= F.lit(high).cast(kind)
        if low is not None:
            new = new & (column >= F.lit(low).cast(kind))
        raw = raw.where(new | column.isNull()).withColumn("_file", F.lit(None).cast("string"))
    handle(
        Batch(table, once, source.load, (source.label,), watermark=high or low, again=again), raw
    )


def _highest(ingestion: Ingestion, source: SourceConfig) -> str | None:
    """The highest watermark, found by the database.

    Oracle knows no AS before the name of a sub-query, and the others do without.
    """
    options = options_of(source)
    query = options.pop("query", None)
    table = f"({query}) of_source" if query else options.pop("dbtable")
    for key in ("partitionColumn", "lowerBound", "upperBound", "numPartitions"):
        options.pop(key, None)
    asked = f"(SELECT max({source.watermark}) AS high FROM {table}) highest"
    rows = ingestion.spark.read.format("jdbc").options(**options, dbtable=asked).load()
    row = rows.select(F.col("high").cast("string")).first()
    return None if row is None else row["high"]
