"""Compare a load with what is there, then write it so that it happens once.

Its row in ``clean.batches`` and what it refuses are written first, in place of those of an attempt
that did not end; the one Delta commit on the clean table, which bears the load's name, is then what
makes it done. A process that is killed before that finds the table as it was, and one killed after
it finds the name in the table's history.
"""

import logging
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.errors import ContractError
from activityrec.ingest.batch import ERASED, FULL, Batch, held
from activityrec.ingest.compare import compare
from activityrec.ingest.judge import Ingestion
from activityrec.ingest.keys import SUPERSEDED, Keep, is_superseded
from activityrec.ingest.rules import JSON_OPTIONS, as_json
from activityrec.lakehouse import Lakehouse

log = logging.getLogger("activityrec")


@dataclass(frozen=True)
class _Tally:
    """What a load came to.

    Attributes
    ----------
    read
        Its rows.
    faulty
        Those that were refused for a fault of their own.
    counts
        Rows by what became of them.
    rules
        Rows by rule, most first.
    """

    read: int
    faulty: int
    counts: dict[str, int]
    rules: dict[str, int]


def write_batch(
    ingestion: Ingestion,
    batch: Batch,
    rows: DataFrame,
    paths: DataFrame,
    search: str,
    keep: Keep,
) -> dict[str, int]:
    """Compare judged rows with the clean table and write what is new.

    Parameters
    ----------
    rows
        Judged, see :mod:`activityrec.ingest.judge`; keys of good rows are unique.
    paths
        (_file, _path), for the ``file`` of quarantined rows.
    search
        SQL condition on ``t``, the clean table: where a key of ``rows`` can be.
    keep
        Persists what is looked at more than once.

    Returns
    -------
    dict
        Rows by what became of them: added, changed, removed, copies, refused.

    Raises
    ------
    ContractError
        More than ``ingest.max_refused_share`` of the rows broke a rule (one that lost against
        another row with its key, or is of an erased user, did not), or a full source has become
        empty. Nothing is written then.
    """
    lakehouse, now = ingestion.lakehouse, ingestion.now
    # In a replay the table's row is the newer one, unless the order says otherwise.
    load = "append" if batch.replay else batch.load
    target = held(lakehouse, batch.table)
    compared, joined = compare(batch.table, rows, target, load, batch.sources, search)
    if joined:
        compared = keep(compared)
    tally = _tally(compared)
    _check(batch, tally, ingestion.config.ingest.max_refused_share)
    # First of all: it tells the next run that there may be rows in quarantine already.
    _write_counts(lakehouse, batch, tally, now)
    _write_refused(lakehouse, batch, compared, paths, tally.counts, now)
    lakehouse.keep()
    _write_clean(lakehouse, batch, compared, tally.counts, search)
    if batch.replay:
        _leave_quarantine(lakehouse, compared)
    lakehouse.keep()
    _log(batch, tally)
    return tally.counts


def _tally(compared: DataFrame) -> _Tally:
    times = F.sum(F.coalesce("_copies", F.lit(0)) + 1).alias("times")
    what = compared.groupBy("_change", "_reasons", "_flags")
    counted = what.agg(F.count("*").alias("count"), times).collect()
    counts = _counts(counted)
    read = sum(count for change, count in counts.items() if change != "removed")
    return _Tally(read, _faulty(counted), counts, _rules(counted))


def _faulty(counted: list[Row]) -> int:
    def is_no_fault(reason: str) -> bool:
        return is_superseded(reason) or reason == ERASED

    return sum(
        row["times"]
        for row in counted
        if row["_change"] == "refused" and not any(map(is_no_fault, row["_reasons"]))
    )


def _counts(counted: list[Row]) -> dict[str, int]:
    counts = dict.fromkeys(("added", "changed", "removed", "copies", "refused"), 0)
    for row in counted:
        if row["_change"] == "refused":
            counts["refused"] += row["times"]
        else:
            counts[row["_change"]] += row["count"]
            counts["copies"] += row["times"] - row["count"]
    return counts


def _rules(counted: list[Row]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in counted:
        broken = row["_reasons"] if row["_change"] == "refused" else ()
        for text in {*(broken or ()), *(row["_flags"] or ())}:
            found[text] = found.get(text, 0) + row["times"]
    return dict(sorted(found.items(), key=lambda entry: (-entry[1], entry[0])))


def _check(batch: Batch, tally: _Tally, limit: float) -> None:
    where = f"table {batch.table.name}, source {' and '.join(batch.sources)}"
    read, faulty, removed = tally.read, tally.faulty, tally.counts["removed"]
    if removed and not read:
        raise ContractError(
            f"{where}: it has no rows, and would empty the table of {removed:,}; if that is meant, "
            "drop the table"
        )
    if not batch.replay and read and faulty / read > limit:
        most = [f"{rule} ({count:,} rows)" for rule, count in list(tally.rules.items())[:3]]
        share = "none" if faulty == read else f"only {read - faulty:,}"
        raise ContractError(
            f"{where}: {share} of its {read:,} rows is valid, and ingest.max_refused_share is "
            f"{limit:g}; nothing of it was written; most often {'; '.join(most)}"
        )


def _write_refused(
    lakehouse: Lakehouse,
    batch: Batch,
    compared: DataFrame,
    paths: DataFrame,
    counts: dict[str, int],
    now: datetime,
) -> None:
    """Replace what this load, or the last full load of these sources, has in quarantine."""
    where = batch.mine
    if batch.load == "full" and not batch.replay:
        writers = batch.once.writer.rsplit("-", 1)[0]
        where = f"table_name = '{batch.table.name}' AND startswith(batch_id, '{writers}-')"
    lakehouse.create(tables.QUARANTINE)
    refused = 0 if batch.replay else counts["refused"]
    may_be_there = batch.again is not None or (batch.load == "full" and not batch.replay)
    if refused + counts["changed"] == 0 and not may_be_there:
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
    if may_be_there:
        there = lakehouse.read(tables.QUARANTINE).where(where)
        if batch.again is not None or not _same(rows.drop("batch_id", "loaded_ts"), there):
            lakehouse.replace(tables.QUARANTINE, rows, where)
    else:
        lakehouse.append(tables.QUARANTINE, rows)


def _same(left: DataFrame, right: DataFrame) -> bool:
    right = right.select(left.columns)
    return left.exceptAll(right).isEmpty() and right.exceptAll(left).isEmpty()


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


def _write_counts(lakehouse: Lakehouse, batch: Batch, tally: _Tally, now: datetime) -> None:
    values = {
        "batch_id": batch.batch_id,
        "table_name": batch.table.name,
        "source": ", ".join(batch.sources),
        "load": "replay" if batch.replay else batch.load,
        "loaded_ts": now,
        "files": None if batch.files is None else len(batch.files),
        "rows": tally.read,
        **tally.counts,
        "rules": tally.rules,
        "watermark": batch.watermark,
    }
    row = lakehouse.spark.createDataFrame(
        [tuple(values[name] for name in tables.BATCHES.column_names)], tables.BATCHES.row_type
    )
    lakehouse.create(tables.BATCHES)
    if batch.again is not None:
        lakehouse.replace(tables.BATCHES, row, batch.mine)
    else:
        lakehouse.append(tables.BATCHES, row)


def _write_clean(
    lakehouse: Lakehouse, batch: Batch, compared: DataFrame, counts: dict[str, int], search: str
) -> None:
    marks = {
        "flags": F.col("_flags"),
        "source": F.col("_source"),
        "source_order": F.col("_order"),
        "batch_id": F.lit(batch.batch_id),
    }
    columns = batch.table.column_names
    if counts["changed"] + counts["removed"]:
        changes = compared.where("_change IN ('added', 'changed', 'removed')").withColumns(marks)
        lakehouse.merge(batch.table, changes.select(*columns, "_change"), batch.once, search)
    elif counts["added"]:
        added = compared.where("_change = 'added'").withColumns(marks)
        lakehouse.append(batch.table, added.select(*columns), batch.once)


def _leave_quarantine(lakehouse: Lakehouse, compared: DataFrame) -> None:
    """Take the rows of a replay that passed out of quarantine."""
    passed = compared.where("_change IN ('added', 'changed', 'copies')").select("_origin.*")
    lakehouse.erase(tables.QUARANTINE, passed.distinct())


def _log(batch: Batch, tally: _Tally) -> None:
    told = ", ".join(f"{count:,} {what}" for what, count in tally.counts.items() if count)
    log.info("%s from %s: %s", batch.table.name, ", ".join(batch.sources), told or "no rows")
    for rule, count in tally.rules.items():
        log.info("%s: %s rows: %s", batch.table.name, f"{count:,}", rule)
