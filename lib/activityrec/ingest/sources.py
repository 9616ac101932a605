"""Reading one source: its rows as the columns of a clean table, not yet validated."""

from collections.abc import Callable, Sequence
from functools import partial

from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from activityrec.config import SourceConfig
from activityrec.errors import SourceError, first_line
from activityrec.tables import Table


def read_sources(
    spark: SparkSession, table: Table, sources: Sequence[SourceConfig]
) -> list[DataFrame]:
    """:func:`read_source` of each; those of an entity together give its required columns."""
    given = {name for source in sources for name in source.columns}
    missing = [name for name in required_columns(table) if name not in given]
    if sources and table.entity and missing:
        raise SourceError(
            f"table {table.name}: columns {', '.join(missing)} need an expression in "
            f"{' or '.join(source.path for source in sources)}"
        )
    return [read_source(spark, table, source) for source in sources]


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
    except (PySparkException, Py4JJavaError) as error:
        raise SourceError(f"{where}: cannot read it: {first_line(error)}") from None
    if source.where is not None:
        rows = _resolve(rows, f"{where}, where", source.where, partial(rows.where, source.where))
    expressions = []
    for column in table.columns:
        sql = source.columns.get(column.name, "NULL")
        what = f"{where}, column {column.name}"
        _resolve(rows, what, sql, partial(_typed, rows, sql, column.type))
        expressions.append(F.expr(sql).alias(column.name))
    return rows.select(*expressions)


def _check_columns(table: Table, source: SourceConfig) -> None:
    where = f"table {table.name}, source {source.path}"
    unknown = sorted(set(source.columns) - set(table.column_names))
    if unknown:
        raise SourceError(
            f"{where}: no column {', '.join(unknown)}; the columns are "
            f"{', '.join(table.column_names)}"
        )
    required = table.key if table.entity else required_columns(table)
    missing = [name for name in required if name not in source.columns]
    if missing:
        raise SourceError(f"{where}: columns {', '.join(missing)} need an expression")


def required_columns(table: Table) -> list[str]:
    """The columns that sources must give: those without which a row is refused."""
    return [c.name for c in table.columns if c.required and c.default is None]


def _typed(rows: DataFrame, sql: str, kind: str) -> DataFrame:
    """The expression in the contract's type; an aggregate does not resolve beside the columns."""
    return rows.select("*", F.expr(sql).alias("_value")).select(F.col("_value").try_cast(kind))


def _resolve(rows: DataFrame, what: str, sql: str, build: Callable[[], DataFrame]) -> DataFrame:
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
