"""The rules that look at other rows: one row a key, entities put together, references."""

from collections.abc import Callable, Mapping

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from activityrec.ingest.rules import (
    also,
    comparable,
    conditions,
    content_hash,
    listed,
    missing,
)
from activityrec.ingest.sources import required_columns
from activityrec.tables import Table

Keep = Callable[[DataFrame], DataFrame]
BROADCAST_KEYS = 1_000_000
"""Hashes of repeated keys that are sent to all executors, 8 bytes each."""
SUPERSEDED = "superseded: "


def is_superseded(reason: str) -> bool:
    return reason.startswith(SUPERSEDED)


def superseded(table: Table) -> str:
    """The reason of a row that lost against another one with its key."""
    return f"{SUPERSEDED}another row has the same {', '.join(table.key)}"


def identified(table: Table, rows: DataFrame) -> DataFrame:
    """Add ``_id``, which tells rows apart, and ``_key``, equal for rows with one key."""
    marks = {"_id": F.monotonically_increasing_id(), "_key": content_hash(_key(table))}
    return rows.withColumns(marks)


def _key(table: Table) -> list[Column]:
    """The rows of an entity's sources complete each other, so there the source is part of it."""
    return [F.col(name) for name in table.key] + ([F.col("_place")] if table.entity else [])


def judge_keys(
    table: Table, rows: DataFrame, paths: DataFrame, keep: Keep = DataFrame.persist
) -> DataFrame:
    """Of good rows with one key keep one, the latest by ``_order``, then by file, then content.

    Of equal rows the first stays and counts the others in ``_copies``; those that differ from
    the one that is kept are superseded. ``rows`` are
    :func:`identified`.
    """
    good = F.col("_reasons").isNull()
    marked = rows.withColumn("_key", F.when(good, F.col("_key")))
    repeated = keep(marked.where(good).groupBy("_key").count().where("count > 1").select("_key"))
    number = repeated.count()
    if not number:
        return rows
    # Few keys repeat, and only their rows are looked at again; the others are not moved.
    if number <= BROADCAST_KEYS:
        repeated = F.broadcast(repeated)
    alone = marked.join(repeated, on="_key", how="left_anti")
    several = marked.join(repeated, on="_key", how="left_semi")
    several = _counted(several.withColumn("_content", content_hash(comparable(table))))
    several = several.join(F.broadcast(paths), on="_file", how="left")
    judged = keep(_latest_stays(table, several).select(rows.columns))
    return alone.select(rows.columns).unionByName(judged)


def _counted(rows: DataFrame) -> DataFrame:
    """Of equal rows the first, with the number of the others."""
    groups = rows.groupBy("_key", "_content").agg(
        F.count("*").alias("_rows"), F.min("_id").alias("_first")
    )
    return (
        rows.drop("_copies")
        .join(groups, on=["_key", "_content"], how="inner")
        .where("_id = _first")
        .withColumn("_copies", F.col("_rows") - 1)
    )


def _latest_stays(table: Table, rows: DataFrame) -> DataFrame:
    latest = [F.desc_nulls_last("_order"), F.desc_nulls_last("_path"), F.col("_content")]
    rank = F.row_number().over(Window.partitionBy(*_key(table)).orderBy(*latest))
    loses = F.when(rank > 1, F.array(F.lit(superseded(table))))
    return rows.withColumn("_reasons", loses)


def merge_sources(table: Table, rows: DataFrame) -> DataFrame:
    """One row a key: each column's first value that is not NULL, in the order of sources."""
    others = [
        *(column.name for column in table.given if column.name not in table.key),
        "_source",
        "_order",
        "_flags",
    ]
    merged = [
        F.min_by(F.col(name), F.when(F.col(name).isNotNull(), F.col("_place"))).alias(name)
        for name in others
    ]
    merged.append(F.sum("_copies").alias("_copies"))
    return rows.groupBy(*table.key).agg(*merged)


def judge_merged(table: Table, rows: DataFrame) -> DataFrame:
    """Refuse every row of an entity that breaks a rule once its sources are put together."""
    merged = merge_sources(table, rows.where("_reasons IS NULL"))
    needed = [name for name in required_columns(table) if name not in table.key]
    broken = (
        merged.select(*table.key, listed([*missing(needed), *conditions(table)]).alias("_broken"))
    ).where("_broken IS NOT NULL")
    return (
        rows.join(broken, on=list(table.key), how="left")
        .withColumn("_reasons", F.coalesce("_reasons", "_broken"))
        .drop("_broken")
    )


def judge_references(
    table: Table, rows: DataFrame, policies: Mapping[str, str], known: Mapping[str, DataFrame]
) -> DataFrame:
    """Refuse or flag good rows that name what another clean table does not hold.

    Parameters
    ----------
    policies
        By column ``keep``, ``flag`` or ``quarantine``.
    known
        The clean tables by name; those of kept orphans are not read.
    """
    for reference in table.references:
        column, policy = reference.column, policies[reference.column]
        if policy == "keep":
            continue
        target = known[reference.target].select(F.col(column).alias("_known")).distinct()
        joined = rows.join(target, on=F.col(column) == F.col("_known"), how="left")
        orphan = F.col(column).isNotNull() & F.col("_known").isNull()
        where = "_reasons" if policy == "quarantine" else "_flags"
        marked = also(where, orphan, f"{column}: not in {reference.target}")
        rows = joined.withColumn(where, marked).drop("_known")
    return rows
