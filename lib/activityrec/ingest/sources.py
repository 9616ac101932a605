"""Reading one source: its rows as the columns of a clean table, not yet validated."""

from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from activityrec.config import SourceConfig
from activityrec.errors import SourceError
from activityrec.tables import Table


def read_source(spark: SparkSession, table: Table, source: SourceConfig) -> DataFrame:
    """The contract's columns by the source's expressions, in the types that these give.

    A column without an expression is NULL. Nothing is computed yet beyond the source's schema.

    Raises
    ------
    SourceError
        The source is missing or unreadable, an expression names a column that the contract
        does not have, a required column has no expression, or one does not resolve.
    """
    _check_columns(table, source)
    where = f"table {table.name}, source {source.path}"
    try:
        rows = spark.read.format(source.format).options(**source.options).load(source.path)
    except PySparkException as error:
        raise SourceError(f"{where}: cannot read it: {first_line(error)}") from None
    if source.where is not None:
        rows = _resolve(rows, f"{where}, where", source.where, lambda: rows.where(source.where))
    expressions = []
    for column in table.columns:
        sql = source.columns.get(column.name, "NULL")
        what = f"{where}, column {column.name}"
        _resolve(rows, what, sql, lambda sql=sql: rows.select(F.expr(sql)))
        expressions.append(F.expr(sql).alias(column.name))
    return rows.select(*expressions)


def first_line(error: Exception) -> str:
    """The first line of a Spark error: its class and message, without plan and stack."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _check_columns(table: Table, source: SourceConfig) -> None:
    where = f"table {table.name}, source {source.path}"
    unknown = sorted(set(source.columns) - set(table.column_names))
    if unknown:
        raise SourceError(
            f"{where}: no column {', '.join(unknown)}; the columns are "
            f"{', '.join(table.column_names)}"
        )
    missing = [
        c.name
        for c in table.columns
        if c.required and c.default is None and c.name not in source.columns
    ]
    if missing and not table.entity or set(table.key) & set(missing):
        raise SourceError(f"{where}: columns {', '.join(missing)} need an expression")


def _resolve(rows: DataFrame, what: str, sql: str, build):  # type: ignore[no-untyped-def]
    """``build()``, its schema resolved; an expression that does not resolve is named."""
    try:
        built = build()
        built.schema  # noqa: B018 - resolves the expression
        return built
    except AnalysisException as error:
        raise SourceError(
            f"{what}: expression {sql!r} does not resolve: {first_line(error)} "
            f"(columns of the source: {', '.join(rows.columns)})"
        ) from None
    except PySparkException as error:
        raise SourceError(f"{what}: expression {sql!r}: {first_line(error)}") from None
