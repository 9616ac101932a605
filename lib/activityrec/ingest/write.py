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
from activityrec.ingest.batch import ERASED, Batch, held
from activityrec.ingest.compare import compare
from activityrec.ingest.judge import Ingestion
from activityrec.ingest.keys import Keep, is_superseded
from activityrec.ingest.quarantine import leave_quarantine, write_refused
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
    read: int | None,
    paths: DataFrame,
    search: str,
    keep: Keep,
) -> dict[str, int]:
    """Compare judged rows with the clean table and write what is new.

    Parameters
    ----------
    rows
        Judged, see :mod:`activityrec.ingest.judge`; keys of good rows are unique.
    read
        How many they were before those with one key were put together; None where none was.
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
    tally = _tally(compared, read)
    _check(batch, tally, ingestion.config.ingest.max_refused_share)
    # First of all: it tells the next run that there may be rows in quarantine already.
    _write_counts(lakehouse, batch, tally, now)
    write_refused(lakehouse, batch, compared, paths, tally.counts, now)
    lakehouse.keep()
    _write_clean(lakehouse, batch, compared, tally.counts, search)
    if batch.replay:
        leave_quarantine(lakehouse, compared)
    lakehouse.keep()
    _log(batch, tally)
    return tally.counts


def _tally(compared: DataFrame, read: int | None) -> _Tally:
    times = F.sum(F.coalesce("_copies", F.lit(0)) + 1).alias("times")
    what = compared.groupBy("_change", "_reasons", "_flags")
    counted = what.agg(F.count("*").alias("count"), times).collect()
    counts = _counts(counted)
    if read is None:
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


def _log(batch: Batch, tally: _Tally) -> None:
    told = ", ".join(f"{count:,} {what}" for what, count in tally.counts.items() if count)
    log.info("%s from %s: %s", batch.table.name, ", ".join(batch.sources), told or "no rows")
    for rule, count in tally.rules.items():
        log.info("%s: %s rows: %s", batch.table.name, f"{count:,}", rule)
