"""Opening a source: its rows with its own columns, malformed lines marked, files named."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import reduce
from urllib.parse import unquote

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, DataFrameReader, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructType

from activityrec.config import SourceConfig
from activityrec.errors import SourceError, first_line
from activityrec.files import Files
from activityrec.session import settings
from activityrec.tables import Table

FILE_FORMATS = frozenset({"csv", "json", "parquet", "orc", "avro", "xml", "text"})
CORRUPT = "_corrupt_record"
"""Holds a line that is no CSV or JSON of the schema; NULL otherwise."""
_TIME_ZONE = "spark.sql.session.timeZone"


def read_all(spark: SparkSession, table: Table, source: SourceConfig) -> DataFrame:
    """Everything that the source holds now, see :func:`read_files`.

    Raises
    ------
    SourceError
        The source is missing or unreadable.
    """
    with failures_named(table, source), time_zone(spark, source):
        if source.format in FILE_FORMATS:
            return read_files(spark, source, [str(source.path)])
        rows = reader(spark, source).load(*filter(None, [source.path]))
        return rows.withColumn("_file", F.lit(None).cast("string"))


def read_files(spark: SparkSession, source: SourceConfig, paths: Sequence[str]) -> DataFrame:
    """The rows of files or folders of one format.

    Returns
    -------
    DataFrame
        The source's columns and ``_file``, the path; for CSV and JSON also ``_corrupt_record``.
        The columns of CSV files with a header are matched by name, file by file.
    """
    if source.format == "csv" and _option(source, "header", "false").lower() == "true":
        groups = _by_header(spark, source, paths)
    else:
        groups = [list(paths)]
    frames = [_read_group(spark, source, group) for group in groups]
    if not frames:
        return spark.createDataFrame([], "_file STRING")
    return reduce(lambda left, right: left.unionByName(right, allowMissingColumns=True), frames)


def _read_group(spark: SparkSession, source: SourceConfig, paths: list[str]) -> DataFrame:
    base = reader(spark, source)
    if source.format in ("parquet", "orc") and _option(source, "mergeSchema", "") == "":
        base = base.option("mergeSchema", "true")
    folders = [path for path in (source.path,) if path and Files(spark).is_folder(path)]
    if folders and paths != folders:
        # Folders such as day=2024-05-01 are columns, also of a single file in them.
        base = base.option("basePath", folders[0])
    if source.read_schema is not None:
        base = base.schema(source.read_schema)
    if paths != [source.path]:
        # Names of files, which may hold what would be a pattern.
        base = base.option("__globPaths__", "false")
    rows = base.load(list(paths))
    if source.format == "json" and rows.columns == [CORRUPT]:
        # Spark does not read what holds nothing else.
        plain = spark.read.text(list(paths)).withColumnRenamed("value", CORRUPT)
        return plain.select("*", F.col("_metadata.file_path").alias("_file"))
    if source.format in ("csv", "json") and _option(source, "mode", "") == "":
        schema = rows.schema
        if CORRUPT not in schema.names:
            schema = StructType([*schema.fields]).add(CORRUPT, StringType())
        lenient = base.schema(schema).option("mode", "PERMISSIVE")
        rows = lenient.option("columnNameOfCorruptRecord", CORRUPT).load(list(paths))
    return rows.select("*", F.col("_metadata.file_path").alias("_file"))


def _by_header(spark: SparkSession, source: SourceConfig, paths: Sequence[str]) -> list[list[str]]:
    """The files, those with the same header together; files without a line are left out.

    Spark takes the first file's header for all of them, and columns by their place.
    """
    found = reader(spark, source).option("inferSchema", "false")
    found = found.option("__globPaths__", str(list(paths) == [source.path]).lower())
    files = [unquote(path) for path in found.schema("_ STRING").load(list(paths)).inputFiles()]
    encoding = _option(source, "encoding", _option(source, "charset", "UTF-8"))
    by_header: dict[str, list[str]] = {}
    for file in files:
        line = Files(spark).first_line(file, encoding, _option(source, "comment", ""))
        by_header.setdefault(line, []).append(file)
    by_header.pop("", None)
    return list(by_header.values())


def reader(spark: SparkSession, source: SourceConfig) -> DataFrameReader:
    """Spark's reader with the source's format and options."""
    return spark.read.format(source.format).options(**options_of(source))


def options_of(source: SourceConfig) -> dict[str, str]:
    """The options, ``${NAME}`` in their values replaced by the environment variable.

    Raises
    ------
    SourceError
        There is no such variable.
    """

    def variable(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in os.environ:
            raise SourceError(f"source {source.label}: environment variable {name} is not set")
        return os.environ[name]

    return {
        key: re.sub(r"\$\{([A-Za-z_]\w*)\}", variable, value)
        for key, value in source.options.items()
    }


@contextmanager
def failures_named(table: Table, source: SourceConfig) -> Iterator[None]:
    """Spark's failures inside the block as a :class:`SourceError` that names the source."""
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        where = f"table {table.name}, source {source.path or source.label}"
        raise SourceError(f"{where}: cannot read it: {first_line(error)}") from None


@contextmanager
def time_zone(spark: SparkSession, source: SourceConfig) -> Iterator[None]:
    """The source's zone for what is resolved inside: Spark binds casts to the session's zone."""
    with ExitStack() as block:
        try:
            block.enter_context(settings(spark, {_TIME_ZONE: source.time_zone or "UTC"}))
        except PySparkException as error:
            raise SourceError(
                f"source {source.label}: time_zone {source.time_zone}: {first_line(error)}"
            ) from None
        yield


def _option(source: SourceConfig, name: str, default: str) -> str:
    """An option's value; Spark does not mind the case of its name."""
    given = {key.lower(): value for key, value in source.options.items()}
    return given.get(name.lower(), default)
