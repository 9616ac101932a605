"""From a source's own columns to those of a clean table, in their types, not yet judged."""

import re
from collections.abc import Callable, Sequence
from functools import partial

from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructType

from activityrec.config import SourceConfig
from activityrec.errors import SourceError, first_line
from activityrec.ingest.reading import CORRUPT, time_zone
from activityrec.ingest.rules import listed
from activityrec.tables import Column as ContractColumn
from activityrec.tables import Table

MARKS = ("_file", "_origin", CORRUPT)


def check_sources(table: Table, sources: Sequence[SourceConfig]) -> None:
    """Check that the sources of a table give its columns: those of an entity together.

    Raises
    ------
    SourceError
        A column is none of the contract's, or a required one has no expression.
    """
    for source in sources:
        _check_columns(table, source)
    given = {name for source in sources for name in source.columns}
    missing = [name for name in required_columns(table) if name not in given]
    if sources and missing:
        raise SourceError(
            f"table {table.name}: columns {', '.join(missing)} need an expression in "
            f"{' or '.join(source.path or source.label for source in sources)}"
        )


def map_rows(table: Table, source: SourceConfig, raw: DataFrame) -> DataFrame:
    """Apply the source's expressions to its rows.

    Parameters
    ----------
    raw
        As :func:`activityrec.ingest.reading.read_files` gives them.

    Returns
    -------
    DataFrame
        The columns that sources give, in the contract's types, NULL where a value does not fit
        or there is no expression; ``_given``, the same values as the expressions gave them;
        ``_sourced``, the source's own columns; ``_order``, ``_file``, ``_malformed``, ``_flags``
        and, where the rows have it, ``_origin``, their key in quarantine.

    Raises
    ------
    SourceError
        An expression does not resolve on the source's columns.
    """
    where = f"table {table.name}, source {source.path or source.label}"
    own = [name for name in raw.columns if name not in MARKS]
    malformed = F.col(CORRUPT).isNotNull() if CORRUPT in raw.columns else F.lit(False)
    rows = raw.withColumn("_malformed", malformed)
    shown = [F.col(f"`{name}`") for name in [*own, *({CORRUPT} & {*raw.columns})]]
    # The rows of a stream have a session of their own.
    with time_zone(raw.sparkSession, source):
        if source.where is not None:
            kept = partial(rows.where, source.where)
            _resolve(rows, own, f"{where}, where", source.where, kept)
            if own:
                rows = rows.where(F.col("_malformed") | F.expr(source.where))
        given = []
        for column in table.given:
            sql = source.columns.get(column.name, "NULL")
            what = f"{where}, column {column.name}"
            _resolve(rows, own, what, sql, partial(_typed, rows, sql, column.type))
            given.append(F.expr(sql).alias(column.name))
        order = _order(rows, own, where, source)
        for name, sql in source.flags.items():
            _resolve(rows, own, f"{where}, flag {name}", sql, partial(rows.where, sql))
        named = {name: sql for name, sql in source.flags.items() if own}
        flags = [F.when(F.expr(sql), F.lit(name)) for name, sql in named.items()]
        if not own:
            # A folder without any file that has a line: nothing to resolve expressions on.
            given = [F.lit(None).cast(column.type).alias(column.name) for column in table.given]
        mapped = rows.select(
            F.struct(*given).alias("_given"),
            F.struct(*shown).alias("_sourced") if shown else F.struct("_file").alias("_sourced"),
            order.alias("_order"),
            "_file",
            "_malformed",
            (listed(flags) if flags else F.lit(None).cast("array<string>")).alias("_flags"),
            *({"_origin"} & {*raw.columns}),
        )
        return with_types(table, mapped)


def with_types(table: Table, mapped: DataFrame) -> DataFrame:
    """``_given`` in the types of the contract, as columns of their own."""
    typed = [_cast(mapped, c).alias(c.name) for c in table.given]
    rows = mapped.select(*typed, "*")
    rows.schema  # noqa: B018 - binds the casts to the session's time zone of this moment
    return rows


def _cast(mapped: DataFrame, column: ContractColumn) -> Column:
    value = F.col(f"_given.{column.name}")
    cast = value.try_cast(column.type)
    given = mapped.schema["_given"].dataType
    assert isinstance(given, StructType)
    if column.type == "TIMESTAMP" and isinstance(given[column.name].dataType, StringType):
        # Spark takes 10:15 for that time of today.
        return F.when(~F.instr(value, ":").between(2, 4), cast)
    return cast


def name_failure(
    table: Table, source: SourceConfig, raw: DataFrame, error: Exception, private: bool
) -> None:
    """Raise what makes Spark fail on the rows of a source, if it is the source or an expression.

    Spark does not say: each is computed by itself until one fails. What Spark says of a
    ``private`` source is told without the values in it.
    """
    told = first_line(error)
    if private:
        told = re.sub(r"'[^']*'", "'...'", told)
    where = f"table {table.name}, source {source.path or source.label}"
    if not _computes(raw):
        raise SourceError(f"{where}: cannot read it: {told}") from None
    tried = {f"column {name}": sql for name, sql in source.columns.items()}
    tried |= {f"flag {name}": sql for name, sql in source.flags.items()}
    tried |= {"where": source.where or "true", "order_by": source.order_by or "true"}
    for what, sql in tried.items():
        if not _computes(raw.select(F.expr(sql))):
            raise SourceError(
                f"{where}, {what}: expression {sql!r} fails on a row: {told}; give "
                "the plain column or a try_ function, so that such a row goes to quarantine"
            ) from None


def _computes(rows: DataFrame) -> bool:
    try:
        rows.write.format("noop").mode("overwrite").save()
    except (PySparkException, Py4JJavaError):
        return False
    return True


def _check_columns(table: Table, source: SourceConfig) -> None:
    where = f"table {table.name}, source {source.path or source.label}"
    names = [column.name for column in table.given]
    unknown = sorted(set(source.columns) - set(names))
    if unknown:
        raise SourceError(
            f"{where}: no column {', '.join(unknown)}; the columns are {', '.join(names)}"
        )
    required = table.key if table.entity else required_columns(table)
    missing = [name for name in required if name not in source.columns and name in _needed(table)]
    if missing:
        raise SourceError(f"{where}: columns {', '.join(missing)} need an expression")


def _needed(table: Table) -> set[str]:
    return {column.name for column in table.given if column.required}


def required_columns(table: Table) -> list[str]:
    """The columns that sources must give: those without which a row is refused."""
    return [c.name for c in table.given if c.required and c.default is None]


def _order(rows: DataFrame, own: list[str], where: str, source: SourceConfig) -> Column:
    """``order_by`` as BIGINT; a change data feed orders its rows itself."""
    sql = source.order_by
    if sql is None:
        fed = "_commit_version" in own
        return F.col("_commit_version") if fed else F.lit(None).cast("bigint")
    what = f"{where}, order_by"
    built = _resolve(rows, own, what, sql, lambda: rows.select(F.expr(sql).alias("_value")))
    kind = built.schema["_value"].dataType.typeName() if own else "void"
    if kind in ("timestamp", "timestamp_ntz", "date"):
        return F.unix_micros(F.expr(sql).cast("timestamp"))
    if kind in ("byte", "short", "integer", "long", "void"):
        return F.expr(sql).cast("bigint") if own else F.lit(None).cast("bigint")
    raise SourceError(f"{what}: {sql!r} is of type {kind}; it must be BIGINT or TIMESTAMP")


def _typed(rows: DataFrame, sql: str, kind: str) -> DataFrame:
    """The expression in the contract's type; an aggregate does not resolve beside the columns."""
    return rows.select("*", F.expr(sql).alias("_value")).select(F.col("_value").try_cast(kind))


def _resolve(
    rows: DataFrame, own: list[str], what: str, sql: str, build: Callable[[], DataFrame]
) -> DataFrame:
    """``build()``, its schema resolved; an expression that does not resolve is named."""
    if not own:
        return rows
    try:
        built = build()
        built.schema  # noqa: B018 - resolves the expression
        return built
    except AnalysisException as error:
        raise SourceError(
            f"{what}: expression {sql!r} does not resolve: {first_line(error)} "
            f"(columns of the source: {', '.join(own)}; of new files only what they hold, unless "
            "read_schema says what there can be)"
        ) from None
    except PySparkException as error:
        raise SourceError(f"{what}: expression {sql!r}: {first_line(error)}") from None
