"""What a load puts into ``clean.quarantine``, and what a replay takes out of it."""

from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.ingest.batch import FULL, Batch, held
from activityrec.ingest.keys import SUPERSEDED
from activityrec.ingest.rules import JSON_OPTIONS, as_json
from activityrec.lakehouse import Lakehouse


def write_refused(
    lakehouse: Lakehouse,
    batch: Batch,
    compared: DataFrame,
    paths: DataFrame,
    counts: dict[str, int],
    now: datetime,
) -> None:
    """Replace what an attempt at this load left in quarantine, or the table's last full load.

    That may have been of other sources: what they refused goes as their rows do.
    """
    full = batch.load == "full"
    of_full = f"table_name = '{batch.table.name}' AND contains(batch_id, '{FULL}')"
    where = of_full if full else batch.mine
    lakehouse.create(tables.QUARANTINE)
    refused = 0 if batch.replay else counts["refused"]
    there = held(lakehouse, tables.QUARANTINE).where(where)
    replaces = (batch.again is not None or full) and not there.isEmpty()
    if refused + counts["changed"] == 0 and not replaces:
        return
    frames = _older(batch, compared)
    if not batch.replay:
        frames = frames.unionByName(_refused(batch, compared, paths))
    rows = (
        frames.groupBy(*[name for name in frames.columns if name != "_times"])
        .agg(F.sum("_times").alias("occurrences"))
        .withColumns(
            {
                "table_name": F.lit(batch.table.name),
                "batch_id": F.lit(batch.batch_id),
                "loaded_ts": F.lit(now),
            }
        )
    )
    if not replaces:
        lakehouse.append(tables.QUARANTINE, rows)
    elif batch.again is not None or not _same(rows.drop("batch_id", "loaded_ts"), there):
        lakehouse.replace(tables.QUARANTINE, rows, where)


def leave_quarantine(lakehouse: Lakehouse, compared: DataFrame) -> None:
    """Take the rows of a replay that passed out of quarantine."""
    passed = compared.where("_change IN ('added', 'changed', 'copies')")
    passed = passed.select(F.explode("_origins").alias("_origin")).select("_origin.*")
    lakehouse.erase(tables.QUARANTINE, passed.distinct())


def _same(left: DataFrame, right: DataFrame) -> bool:
    both = left.withColumn("_side", F.lit(1)).unionByName(
        right.select(*left.columns, F.lit(-1).alias("_side"))
    )
    return (
        both.groupBy(left.columns).agg(F.sum("_side").alias("_more")).where("_more != 0").isEmpty()
    )


def _refused(batch: Batch, compared: DataFrame, paths: DataFrame) -> DataFrame:
    names = [column.name for column in batch.table.given]
    row = F.coalesce("_row", as_json(names))
    user = F.col("user_id") if "user_id" in names else F.lit(None).cast("string")
    refused = compared.where("_change = 'refused'").join(F.broadcast(paths), on="_file", how="left")
    return refused.select(
        F.col("_source").alias("source"),
        F.col("_path").alias("file"),
        F.col("_reasons").alias("reasons"),
        F.when(~F.col("_withheld"), row).alias("row"),
        (F.col("_row").isNull() | F.col("_mapped")).alias("mapped"),
        F.when(~F.col("_withheld"), user).alias("user_id"),
        F.col("_order").alias("source_order"),
        (F.coalesce("_copies", F.lit(0)) + 1).alias("_times"),
    )


def _older(batch: Batch, compared: DataFrame) -> DataFrame:
    """The older versions that rows of this load replace; a snapshot's own are just gone."""
    names = [column.name for column in batch.table.given]
    replaced = compared.where("_change = 'changed'")
    if batch.load == "full":
        replaced = replaced.where(~F.col("_old.batch_id").contains(FULL))
    old = F.struct(*[F.col(f"_old.{name}").alias(name) for name in names])
    user = F.col("_old.user_id") if "user_id" in names else F.lit(None).cast("string")
    reason = f"{SUPERSEDED}a later row has the same {', '.join(batch.table.key)}"
    return replaced.select(
        F.col("_old.source").alias("source"),
        F.lit(None).cast("string").alias("file"),
        F.array(F.lit(reason)).alias("reasons"),
        F.to_json(old, JSON_OPTIONS).alias("row"),
        F.lit(True).alias("mapped"),
        user.alias("user_id"),
        F.col("_old.source_order").alias("source_order"),
        F.lit(1).alias("_times"),
    )
