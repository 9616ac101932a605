"""Erasing users, and showing what is held on them: the rights of those whose data these are.

An erasure leaves no row, no older version of one, and no id in a log. It never undoes itself,
and run again after a crash it finishes what it began.
"""

import logging
from codecs import BOM_UTF8
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.errors import ConfigError
from activityrec.ingest.privacy import Protection
from activityrec.lakehouse import Lakehouse
from activityrec.tables import Table

log = logging.getLogger("activityrec")


def read_ids(path: str) -> list[str]:
    """The user ids in a file, one a line, as the sources know them; each once.

    Empty lines, and blanks around an id, do not count.

    Raises
    ------
    ConfigError
        The file cannot be read, or lists nobody.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"--users {path}: cannot read the file: {reason}") from None
    ids = list(dict.fromkeys(filter(None, map(str.strip, lines))))
    if not ids:
        raise ConfigError(f"--users {path}: no user id in it, expected one a line")
    return ids


def lists_nobody(path: str) -> bool:
    """Whether the file is not there, or has nothing but blanks."""
    file = Path(path)
    return not file.exists() or not file.read_bytes().removeprefix(BOM_UTF8).strip()


def forget(
    lakehouse: Lakehouse,
    protection: Protection,
    contracts: Sequence[Table],
    ids: Sequence[str],
    now: datetime,
) -> dict[str, int]:
    """Erase users from every table that has users.

    Their rows and all older versions of the tables are gone: time travel, RESTORE and readers of
    changes begin anew at the erasure.

    Parameters
    ----------
    ids
        As the sources know them; rows under their pseudonym and under the id itself go.
    now
        What ``clean.erasures`` keeps as the time.

    Returns
    -------
    dict
        Rows deleted, by table.

    Raises
    ------
    ContractError
        A table differs from its contract, which keeps ids out of statistics; nothing is erased.
    """
    lakehouse.check(list(contracts))
    # First of all, so that no load brings back who is being erased.
    hashed = protection.erasure_hash(_frame(lakehouse, ids))
    erased = hashed.select(F.col("_id_hash").alias("id_hash"), F.lit(now).alias("erased_ts"))
    lakehouse.add_missing(tables.ERASURES, erased)
    lakehouse.keep()
    # Factors of users, if training was killed.
    if lakehouse.root is not None:
        lakehouse.files.delete(f"{lakehouse.root}/.checkpoints")
    stored = stored_ids(lakehouse, protection, ids).persist()
    # Once its size is known, Spark sends it to the tables' rows instead of moving these.
    stored.count()
    deleted = {}
    for table in _of_users(lakehouse, contracts):
        deleted[table.name] = lakehouse.erase(table, stored, _condition(table))
        # Also where nothing was deleted: a run that broke off may have deleted it before.
        lakehouse.purge(table)
    log.info("users listed, erased and refused from now on: %s", f"{len(ids):,}")
    if not any(deleted.values()):
        log.warning("no table held any of them: are these the ids of the sources, and the key?")
    return deleted


def export(
    lakehouse: Lakehouse,
    protection: Protection,
    contracts: Sequence[Table],
    ids: Sequence[str],
    folder: str,
) -> dict[str, int]:
    """Write what is held on users as JSON lines, a folder for each table; delete nothing.

    ``user_id`` is as the sources know it; what was encrypted is in plain text.

    Returns
    -------
    dict
        Rows written, by table.

    Raises
    ------
    ConfigError
        The folder holds something already.
    """
    if lakehouse.files.holds_any(folder):
        raise ConfigError(f"--export {folder}: not an empty folder")
    stored = stored_ids(lakehouse, protection, ids).persist()
    written = {}
    for table in _of_users(lakehouse, contracts):
        held = protection.reveal(table, lakehouse.read(table)).alias("t")
        columns = [F.col(f"t.{name}") for name in table.column_names if name != "user_id"]
        rows = held.join(F.broadcast(stored).alias("s"), F.expr(_condition(table)), "inner")
        rows = rows.select(F.col("s.listed").alias("user_id"), *columns)
        # A refused row can match by its column and by its text.
        rows = (rows.distinct() if table is tables.QUARANTINE else rows).persist()
        rows.write.json(f"{folder}/{table.full_name}")
        written[table.name] = rows.count()
    log.info("users listed: %s; what is held on them is in %s", f"{len(ids):,}", folder)
    return written


def stored_ids(lakehouse: Lakehouse, protection: Protection, ids: Sequence[str]) -> DataFrame:
    """How tables may name users.

    Returns
    -------
    DataFrame
        ``listed``: an id as the sources know it. ``stored``: its pseudonym, or itself, for rows
        from before there was a key. ``quoted``, ``nested``: that as a value in JSON, and in
        JSON that is text in JSON.
    """
    named = protection.pseudonym(_frame(lakehouse, ids))
    both = F.explode(F.array("user_id", "_pseudonym")).alias("stored")
    return (
        named.select(F.col("user_id").alias("listed"), both)
        .withColumn("quoted", _text_in_json("stored"))
        .withColumn("nested", _text_in_json("quoted"))
        .withColumn("nested", F.substring("nested", F.lit(2), F.length("nested") - 2))
    )


def _text_in_json(column: str) -> Column:
    """A text as JSON writes it, with quotes."""
    listed = F.to_json(F.array(column))
    return F.substring(listed, F.lit(2), F.length(listed) - 2)


def _frame(lakehouse: Lakehouse, ids: Sequence[str]) -> DataFrame:
    return lakehouse.spark.createDataFrame([(user,) for user in ids], "user_id STRING")


def _of_users(lakehouse: Lakehouse, contracts: Sequence[Table]) -> list[Table]:
    with_users = [table for table in contracts if "user_id" in table.column_names]
    return [table for table in with_users if lakehouse.exists(table)]


def _condition(table: Table) -> str:
    """When a row ``t`` is about a user ``s`` of :func:`stored_ids`."""
    same = "t.user_id = s.stored"
    if table is not tables.QUARANTINE:
        return same
    # Where it is known whose row it is, an equal value in it, such as 1, is not the user.
    inside = "contains(t.row, s.quoted) OR contains(t.row, s.nested)"
    return f"{same} OR (t.user_id IS NULL AND ({inside}))"
