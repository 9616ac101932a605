"""Housekeeping: old rows go, small files are put together, files that nobody needs are removed."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from activityrec.config import MaintainConfig
from activityrec.errors import ConfigError
from activityrec.lakehouse import Lakehouse
from activityrec.tables import Table

log = logging.getLogger("activityrec")


@dataclass(frozen=True)
class Upkeep:
    """What was done to one table: rows deleted, and files of its current version."""

    deleted: int
    files_before: int
    files_after: int


def maintain(
    lakehouse: Lakehouse, contracts: Sequence[Table], config: MaintainConfig, now: datetime
) -> dict[str, Upkeep]:
    """Look after every table that exists.

    Parameters
    ----------
    config
        For how many days rows are kept, by table, and for how many hours files of older
        versions are.
    now
        When the job began, UTC: days are counted back from its date.

    Returns
    -------
    dict
        By the full name of the table.

    Raises
    ------
    ConfigError
        ``retention_days`` names no table with a time that rows are kept by.
    ContractError
        A table belongs to another configuration, or differs from its contract.
    """
    keep_from = first_days(contracts, config, now)
    lakehouse.check(list(contracts))
    done = {}
    for table in contracts:
        if lakehouse.exists(table):
            day = keep_from.get(table.full_name)
            done[table.full_name] = _look_after(lakehouse, table, day, config.vacuum_hours)
    return done


def first_days(
    contracts: Sequence[Table], config: MaintainConfig, now: datetime
) -> dict[str, date]:
    """The first day that is kept, by the full name of each table in ``retention_days``."""
    timed = [table.full_name for table in contracts if time_column(table)]
    if unknown := [name for name in config.retention_days if name not in timed]:
        raise ConfigError(
            f"maintain.retention_days names {', '.join(unknown)}: not among the tables whose "
            f"rows are kept by time: {', '.join(timed)}"
        )
    return {name: now.date() - timedelta(days=days) for name, days in config.retention_days.items()}


def time_column(table: Table) -> str | None:
    """The date or time by which rows are clustered, and so the one by which they age."""
    return next(
        (
            column.name
            for column in table.columns
            if column.name in table.cluster_by and column.type in ("DATE", "TIMESTAMP")
        ),
        None,
    )


def _look_after(lakehouse: Lakehouse, table: Table, keep_from: date | None, hours: int) -> Upkeep:
    before, deleted = lakehouse.files_of(table), 0
    column = time_column(table)
    if keep_from is not None and column is not None:
        deleted = lakehouse.delete_before(table, column, keep_from)
    if lakehouse.files_of(table) > 1:
        lakehouse.optimize(table)
    lakehouse.vacuum(table, hours)
    done = Upkeep(deleted, before, lakehouse.files_of(table))
    old = f", {deleted:,} rows before {keep_from} deleted" if keep_from is not None else ""
    files = f"{done.files_before:,} → {done.files_after:,} files"
    log.info("%s: %s%s", table.full_name, files, old)
    return done
