"""From raw rows to clean ones: types, rules, references, keys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.types import StringType

from activityrec import tables
from activityrec.config import SourcesConfig
from activityrec.ingest.sources import read_sources, required_columns
from activityrec.tables import Table

_COPY = "copy"


@dataclass(frozen=True)
class CleanTable:
    """One clean table on its way in.

    Attributes
    ----------
    typed
        Every row of the sources, cast to the contract's columns, with ``_source``, ``_order``
        (the place of the source), ``_reasons`` (the rules that the row alone broke, else NULL)
        and ``_raw`` (the row as JSON, where it broke one).
    judged
        The same rows after those rules that look at other rows too: ``_reasons`` is
        ``['copy']`` for an exact copy of another row.
    """

    table: Table
    typed: DataFrame
    judged: DataFrame

    def valid(self) -> DataFrame:
        """The rows that broke no rule by themselves: keys may repeat."""
        return self.typed.where("_reasons IS NULL").select(*self.table.column_names)

    def rows(self) -> DataFrame:
        """The clean rows: one for each key."""
        good = self.judged.where("_reasons IS NULL")
        if self.table.entity:
            good = _merge_sources(self.table, good)
        return good.select(*self.table.column_names)

    def copies(self) -> DataFrame:
        """The exact copies that were left out."""
        return self.judged.where(F.col("_reasons") == F.array(F.lit(_COPY)))

    def refused(self) -> DataFrame:
        """Rows of ``clean.quarantine``: each refused row once, with how often it occurred."""
        refused = self.judged.where(F.col("_reasons") != F.array(F.lit(_COPY)))
        return refused.groupBy(
            F.lit(self.table.name).alias("table_name"),
            F.col("_source").alias("source"),
            F.col("_reasons").alias("reasons"),
            F.col("_raw").alias("row"),
        ).agg(F.count("*").alias("occurrences"))


def clean_tables(spark: SparkSession, sources: SourcesConfig) -> dict[str, CleanTable]:
    """Every clean table, judged but not yet written; tables without sources are empty.

    Raises
    ------
    SourceError
        See :func:`read_sources`. All sources are opened before any row is computed.
    """
    opened = {
        table: read_sources(spark, table, getattr(sources, table.name)) for table in tables.CLEAN
    }
    cleaned: dict[str, CleanTable] = {}
    for table, raws in opened.items():
        typed = _no_rows(spark, table)
        # A row of an entity with several sources need not be whole by itself.
        partial = table.entity and len(raws) > 1
        required = table.key if partial else [c.name for c in table.columns if c.required]
        for place, raw in enumerate(raws):
            source = getattr(sources, table.name)[place]
            marks = {"_source": F.lit(source.path), "_order": F.lit(place)}
            filled = _fill_defaults(table, raw, cleaned)
            rows = _judge(table, filled, required).withColumns(marks)
            typed = typed.unionByName(rows) if place else rows
        judged = _judge_keys(table, typed)
        if partial and (table.checks or required_columns(table) != list(table.key)):
            judged = _judge_merged(table, judged)
        judged = _judge_references(table, judged, cleaned)
        cleaned[table.name] = CleanTable(table, typed, judged)
    return cleaned


def _fill_defaults(table: Table, raw: DataFrame, cleaned: Mapping[str, CleanTable]) -> DataFrame:
    """An exposure without a time is taken to have been sent when its activity started."""
    if table is not tables.EXPOSURES:
        return raw
    known = (
        cleaned["activities"]
        .rows()
        .select(F.col("activity_id").alias("_id"), F.col("start_ts").alias("_start"))
    )
    given, start = F.col("exposure_ts"), F.col("_start")
    missing = given.isNull()
    # Text stays text, to be judged as all other text is.
    if isinstance(raw.schema["exposure_ts"].dataType, StringType):
        start = start.cast("string")
    else:
        given = given.try_cast("timestamp")
    of_activity = F.col("activity_id").cast("string") == F.col("_id")
    return (
        raw.join(F.broadcast(known), on=of_activity, how="left")
        .withColumn("exposure_ts", F.when(missing, start).otherwise(given))
        .select(*table.column_names)
    )


def _judge(table: Table, raw: DataFrame, required: Sequence[str]) -> DataFrame:
    """Cast each column to its contract's type; ``_reasons`` lists what the row broke."""
    typed = [F.col(c.name).try_cast(c.type).alias(c.name) for c in table.columns]
    uncastable = [
        _reason(
            F.col(c.name).isNotNull() & F.col(c.name).try_cast(c.type).isNull(),
            f"{c.name}: not a {c.type}",
        )
        for c in table.columns
    ]
    cast = raw.select(
        *typed,
        F.struct("*").alias("_given"),
        F.array_compact(F.array(*uncastable)).alias("_uncastable"),
    )
    reasons = F.concat("_uncastable", F.array_compact(F.array(*_rules(table, required))))
    return (
        cast.withColumn("_reasons", F.when(F.size(reasons) > 0, reasons))
        .withColumn("_raw", F.when(F.col("_reasons").isNotNull(), F.to_json("_given")))
        .drop("_uncastable", "_given")
    )


def _rules(table: Table, required: Sequence[str]) -> list[Column]:
    """A reason for each rule that the typed row breaks, NULL for one that it keeps."""
    missing = [_reason(F.col(f"_given.{name}").isNull(), f"{name}: missing") for name in required]
    checks = [
        _reason(~F.expr(f"coalesce({c.check}, true)"), f"{c.name}: not {c.check}")
        for c in table.columns
        if c.check
    ]
    across = [_reason(~F.expr(f"coalesce({sql}, true)"), f"not {sql}") for _, sql in table.checks]
    return [*missing, *checks, *across]


def _reason(condition: Column, text: str) -> Column:
    return F.when(condition, F.lit(text))


def _judge_keys(table: Table, judged: DataFrame) -> DataFrame:
    """Of rows with one key keep one: copies are marked as such, others as superseded.

    The rows of an entity's different sources complete each other, so there the source is part
    of the key.
    """
    key = [*table.key, "_order"] if table.entity else list(table.key)
    good = F.col("_reasons").isNull()
    same_key = Window.partitionBy(*key, good).orderBy("_content")
    first = same_key.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    ranked = judged.withColumn("_content", F.xxhash64(*_hashable(table))).withColumns(
        {"_place": F.row_number().over(same_key), "_kept": F.first("_content").over(first)}
    )
    superseded = f"{', '.join(table.key)}: another row has the same"
    repeated = F.when(F.col("_content") == F.col("_kept"), F.array(F.lit(_COPY))).otherwise(
        F.array(F.lit(superseded))
    )
    loses = good & (F.col("_place") > 1)
    return ranked.withColumns(
        {
            "_reasons": F.when(loses, repeated).otherwise(F.col("_reasons")),
            "_raw": F.when(loses, _as_json(table)).otherwise(F.col("_raw")),
        }
    ).drop("_content", "_place", "_kept")


def _hashable(table: Table) -> list[Column]:
    """The columns, maps as JSON since Spark does not hash them.

    Spark's hash skips NULL, so that (1, NULL) and (NULL, 1) hash alike; hence the flags.
    """
    values = [
        F.to_json(c.name) if c.type.startswith("MAP") else F.col(c.name) for c in table.columns
    ]
    return [*values, *(F.col(name).isNull() for name in table.column_names)]


def _judge_merged(table: Table, judged: DataFrame) -> DataFrame:
    """Refuse every row of an entity that breaks a rule once its sources are put together."""
    merged = _merge_sources(table, judged.where("_reasons IS NULL"))
    rules = _rules(table, required_columns(table))
    broken = (
        merged.withColumn("_given", F.struct(*table.column_names))
        .select(*table.key, F.array_compact(F.array(*rules)).alias("_broken"))
        .where(F.size("_broken") > 0)
    )
    loses = F.col("_reasons").isNull() & F.col("_broken").isNotNull()
    marks = {
        "_raw": F.when(loses, _as_json(table)).otherwise(F.col("_raw")),
        "_reasons": F.when(loses, F.col("_broken")).otherwise(F.col("_reasons")),
    }
    return judged.join(broken, on=list(table.key), how="left").withColumns(marks).drop("_broken")


def _judge_references(
    table: Table, judged: DataFrame, cleaned: Mapping[str, CleanTable]
) -> DataFrame:
    """Refuse rows that name what another clean table does not hold."""
    for column, target in table.references:
        known = cleaned[target].rows().select(F.col(column).alias("_known"))
        reasons = F.coalesce("_reasons", F.array().cast("array<string>"))
        copy = reasons == F.array(F.lit(_COPY))
        orphan = F.col(column).isNotNull() & F.col("_known").isNull() & ~copy
        reason = F.array(F.lit(f"{column}: not in {target}"))
        marks = {
            "_raw": F.coalesce("_raw", F.when(orphan, _as_json(table))),
            "_reasons": F.when(orphan, F.concat(reasons, reason)).otherwise(F.col("_reasons")),
        }
        judged = judged.join(
            F.broadcast(known), on=F.col(column) == F.col("_known"), how="left"
        ).withColumns(marks)
        judged = judged.drop("_known")
    return judged


def _as_json(table: Table) -> Column:
    return F.to_json(F.struct(*table.column_names))


def _merge_sources(table: Table, rows: DataFrame) -> DataFrame:
    """One row a key: each column's first value that is not NULL, in the order of sources."""
    others = [name for name in table.column_names if name not in table.key]
    merged = [
        F.min_by(F.col(name), F.when(F.col(name).isNotNull(), F.col("_order"))).alias(name)
        for name in others
    ]
    return rows.groupBy(*table.key).agg(*merged)


def _no_rows(spark: SparkSession, table: Table) -> DataFrame:
    columns = ", ".join(f"{column.name} {column.type}" for column in table.columns)
    schema = f"{columns}, _raw STRING, _reasons ARRAY<STRING>, _source STRING, _order INT"
    return spark.createDataFrame([], schema)
