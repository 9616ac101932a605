"""All rules in their order: of the row alone, of keys, of references, of anomalies."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.config import AnomalyConfig, Config, SourceConfig
from activityrec.ingest.anomalies import mark_anomalies
from activityrec.ingest.batch import ERASED, held
from activityrec.ingest.keys import Keep, judge_keys, judge_merged, judge_references, merge_sources
from activityrec.ingest.privacy import Protection
from activityrec.ingest.protected import protected_columns
from activityrec.ingest.rules import JSON_OPTIONS, MALFORMED, RowRules, listed
from activityrec.ingest.sources import required_columns
from activityrec.lakehouse import Lakehouse
from activityrec.tables import Table


@dataclass(frozen=True)
class Ingestion:
    """What ingestion works with; ``now`` is when the load began."""

    spark: SparkSession
    lakehouse: Lakehouse
    config: Config
    now: datetime
    protection: Protection | None = None

    def sources(self, table: Table) -> list[SourceConfig]:
        """The sources of a clean table."""
        return list(getattr(self.config.sources, table.name))

    def policies(self, table: Table) -> dict[str, str]:
        """What becomes of orphans, by column."""
        given = self.config.ingest.orphans
        return {
            r.column: given.get(f"{table.name}.{r.column}", r.orphans) for r in table.references
        }


def judge_rows(
    ingestion: Ingestion, table: Table, mapped: DataFrame, place: int, protected: bool = False
) -> DataFrame:
    """The rows of one source, those marked that break a rule by themselves.

    Parameters
    ----------
    mapped
        As :func:`activityrec.ingest.sources.map_rows` gives them.
    place
        Of the source in the table's list.
    protected
        Whether personal data in them are protected already.

    Returns
    -------
    DataFrame
        The columns that sources give, typed and protected; ``_bad``, what
        :func:`with_reasons` needs of a row that breaks a rule, NULL for all others; ``_file``, a
        hash of the path; ``_flags``, ``_order``, ``_place`` and, where the rows have it,
        ``_origin``.
    """
    names = [column.name for column in table.given]
    rules = _rules(ingestion, table)
    rows = _fill_defaults(ingestion, table, mapped)
    rows = rows.withColumns({"_typed": F.struct(*names), "_erased": F.lit(False)})
    kept = F.col("_sourced")
    if ingestion.protection is not None:
        if not protected:
            rows = _without_personal_data(ingestion, ingestion.protection, table, rows, rules)
        kept = _protected_row(ingestion.protection, table)
    # With privacy the rules were asked before the values became pseudonyms.
    good = F.col("_kept") if "_kept" in rows.columns else rules.kept()
    bad = F.struct(
        "_typed",
        F.struct(*[F.col(f"_given.{n}").isNotNull().alias(n) for n in names]).alias("_given"),
        "_malformed",
        "_erased",
        F.to_json(kept, JSON_OPTIONS).alias("_row"),
    )
    return rows.select(
        *names,
        F.when(~good, bad).alias("_bad"),
        # A path for each of many rows would be most of what is kept of them.
        F.xxhash64("_file").alias("_file"),
        "_flags",
        "_order",
        F.lit(place).alias("_place"),
        *({"_origin"} & {*rows.columns}),
    )


def with_reasons(
    ingestion: Ingestion, table: Table, rows: DataFrame, keep: Keep = DataFrame.persist
) -> DataFrame:
    """What :func:`judge_rows` gave, with every rule that a row broke.

    Returns
    -------
    DataFrame
        The columns that sources give; ``_reasons`` (NULL: none), ``_flags``, ``_row`` (the row
        as JSON, where it broke a rule), ``_withheld`` (whether quarantine must not hold it),
        ``_mapped`` (whether that is after the expressions),
        ``_file``, ``_order``, ``_source``, ``_place`` and ``_copies``, 0.
    """
    names = [column.name for column in table.given]
    marks = [name for name in rows.columns if name not in [*names, "_bad"]]
    none = F.lit(None).cast("array<string>")
    good = rows.where("_bad IS NULL").select(
        *names,
        *marks,
        none.alias("_reasons"),
        F.lit(None).cast("string").alias("_row"),
        F.lit(False).alias("_withheld"),
    )
    private = ingestion.protection is not None
    # Reasons are made of the bad rows alone: they cost far more than to see that there are none.
    bad = rows.where("_bad IS NOT NULL").select(F.struct(*names).alias("_safe"), *marks, "_bad.*")
    # Of a malformed line nothing else can be said: its values may be in wrong columns.
    broken = listed(_rules(ingestion, table).broken())
    reasons = F.when(F.col("_malformed"), F.array(F.lit(MALFORMED))).otherwise(broken)
    erased = F.when(F.col("_erased"), F.array(F.lit(ERASED)))
    judged = (
        bad.select("_typed.*", "*")
        .withColumn("_reasons", F.coalesce(erased, reasons))
        # The columns of a malformed line may hold each other's values, personal ones too.
        .withColumn("_withheld", F.col("_erased") | (F.col("_malformed") & F.lit(private)))
        .select("_safe.*", *marks, "_reasons", "_row", "_withheld")
    )
    labels = F.array(*[F.lit(source.label) for source in ingestion.sources(table)])
    return good.unionByName(keep(judged)).withColumns(
        {
            "_mapped": F.lit(private),
            "_source": F.get(labels, F.col("_place")),
            "_copies": F.lit(0),
        }
    )


def _rules(ingestion: Ingestion, table: Table) -> RowRules:
    several = table.entity and len(ingestion.sources(table)) > 1
    # A row of an entity with several sources need not be whole by itself.
    required = (
        [name for name in table.key if name in required_columns(table)]
        if several
        else [column.name for column in table.given if column.required]
    )
    return RowRules(table, required, ingestion.config.ingest.earliest, ingestion.now)


def _without_personal_data(
    ingestion: Ingestion,
    protection: Protection,
    table: Table,
    rows: DataFrame,
    rules: RowRules,
) -> DataFrame:
    """Pseudonyms for user ids, other columns as configured; users who were erased are refused.

    ``_kept`` says whether the row kept its rules before that.
    """
    erased = held(ingestion.lakehouse, tables.ERASURES)
    if "user_id" in [c.name for c in table.given] and not erased.isEmpty():
        known = erased.select(F.col("id_hash").alias("_known"))
        hashed = protection.erasure_hash(rows)
        joined = hashed.join(
            F.broadcast(known), on=F.col("_id_hash") == F.col("_known"), how="left"
        )
        rows = joined.withColumn("_erased", F.col("_known").isNotNull()).drop("_known", "_id_hash")
    return protection.apply(table, rows.withColumn("_kept", rules.kept() & ~F.col("_erased")))


def _protected_row(protection: Protection, table: Table) -> Column:
    """What quarantine may hold of a row: personal columns protected, others as they were given."""
    personal = {"user_id", *protected_columns(table, protection.columns)}
    return F.struct(
        *(
            F.col(c.name) if c.name in personal else F.col(f"_given.{c.name}").alias(c.name)
            for c in table.given
        )
    )


def judge_together(
    ingestion: Ingestion,
    table: Table,
    rows: DataFrame,
    paths: DataFrame,
    keep: Keep = DataFrame.persist,
) -> DataFrame:
    """The rules that look at other rows, after those of each row; one good row a key is left.

    The rows of an entity's several sources come back put together. ``paths`` are those of
    :func:`paths_of`; ``keep`` persists what is looked at more than once.
    """
    judged = judge_keys(table, rows, paths, keep)
    if table.entity and len(ingestion.sources(table)) > 1:
        judged = judge_merged(table, judged)
        whole = merge_sources(table, judged.where("_reasons IS NULL"))
        refused = judged.where("_reasons IS NOT NULL")
        judged = refused.unionByName(whole, allowMissingColumns=True)
    policies = ingestion.policies(table)
    known = {
        r.target: held(ingestion.lakehouse, _table_named(r.target))
        for r in table.references
        if policies[r.column] != "keep"
    }
    judged = judge_references(table, judged, policies, known)
    rules = ingestion.config.ingest.anomalies
    if table is tables.EVENTS and rules:
        past = _days_around(held(ingestion.lakehouse, table), judged, rules)
        judged = mark_anomalies(keep(judged), past, rules)
    return judged


def _days_around(past: DataFrame, rows: DataFrame, rules: Sequence[AnomalyConfig]) -> DataFrame:
    """The part of ``clean.events`` that the rules look at: Delta skips the other files."""
    day = F.to_date("event_ts")
    span = rows.where("_reasons IS NULL").agg(F.min(day).alias("first"), F.max(day).alias("last"))
    row = span.first()
    if row is None or row["first"] is None:
        return past.limit(0)
    first = min(row["first"], row["last"] - timedelta(days=max(r.window_days for r in rules)))
    until = row["last"] + timedelta(days=1)
    days = (F.col("event_ts") >= F.lit(first)) & (F.col("event_ts") < F.lit(until))
    return past.where(days)


def _table_named(name: str) -> Table:
    return next(table for table in tables.CLEAN if table.name == name)


def _fill_defaults(ingestion: Ingestion, table: Table, mapped: DataFrame) -> DataFrame:
    """An exposure without a time is taken to have been sent when its activity started."""
    if table is not tables.EXPOSURES:
        return mapped
    activities = held(ingestion.lakehouse, tables.ACTIVITIES)
    known = activities.select(F.col("activity_id").alias("_id"), F.col("start_ts").alias("_start"))
    missing = F.col("_given.exposure_ts").isNull()
    start = F.when(missing, F.col("_start"))
    return (
        mapped.join(F.broadcast(known), on=F.col("activity_id") == F.col("_id"), how="left")
        .withColumn("exposure_ts", F.coalesce("exposure_ts", start))
        .drop("_id", "_start")
    )


def paths_of(spark: SparkSession, files: Sequence[str]) -> DataFrame:
    """(_file, _path): the hash that rows hold, and the path.

    Spark writes a local path as file:/ in rows and as file:/// in lists.
    """
    written = {name: file for file in files for name in (file, file.replace("file:///", "file:/"))}
    named = spark.createDataFrame(list(written.items()), "name STRING, _path STRING")
    return named.select(F.xxhash64("name").alias("_file"), "_path")


def union(frames: Sequence[DataFrame]) -> DataFrame:
    """The rows of several frames with the same columns."""
    first, *others = frames
    for frame in others:
        first = first.unionByName(frame)
    return first
