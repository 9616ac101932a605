"""Runs that nobody can need any more."""

import logging

from pyspark.sql import functions as F

from activityrec import tables
from activityrec.ddl import quoted
from activityrec.lakehouse import Lakehouse

log = logging.getLogger("activityrec")

EXPIRING = (
    tables.RECOMMENDATIONS,
    tables.AUDIENCES,
    tables.EXCLUSIONS,
    tables.RULE_COUNTS,
)
"""The tables that grow by users with each run. Publications, audits and metrics stay."""


def expire_runs(lakehouse: Lakehouse, keep: int | None) -> dict[str, int]:
    """Delete the rows of all but the ``keep`` runs that were published last.

    The current one is among these. Of runs that were never published those go that are of an
    earlier day than every run that is kept; a run that is being made is not.

    Returns
    -------
    dict
        Rows deleted, by the full name of the table.
    """
    if keep is None or not lakehouse.exists(tables.PUBLICATIONS):
        return {}
    last = F.max("published_ts").alias("last")
    runs = lakehouse.read(tables.PUBLICATIONS).groupBy("run_id").agg(last, F.min("as_of"))
    published = runs.orderBy(F.desc("last")).collect()
    if len(published) <= keep:
        return {}
    kept, old = published[:keep], published[keep:]
    known = ", ".join(quoted(row["run_id"]) for row in published)
    expired = ", ".join(quoted(row["run_id"]) for row in old)
    first_day = min(row["min(as_of)"] for row in kept)
    condition = f"run_id IN ({expired}) OR (run_id NOT IN ({known}) AND as_of < DATE'{first_day}')"
    deleted = {}
    for table in filter(lakehouse.exists, EXPIRING):
        deleted[table.full_name] = lakehouse.delete_where(table, condition)
        log.info("%s: %s rows of expired runs deleted", table.full_name,
                 f"{deleted[table.full_name]:,}")  # fmt: skip
    return deleted
