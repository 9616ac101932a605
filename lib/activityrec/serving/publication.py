"""The audit of a run, and the one row that makes it the current one for readers."""

from datetime import date, datetime

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.errors import StateError
from activityrec.ingest.horizon import live_activities
from activityrec.lakehouse import Lakehouse

COUNTS = ("users", "recommendations", "audiences")


def publish(
    lakehouse: Lakehouse, run_id: str, as_of: date, planning_days: int, now: datetime
) -> bool:
    """Audit the rows of a run and append its row to ``serving.publications``.

    Returns
    -------
    bool
        False where the run is the current publication already, as it is: nothing is written
        then. If it was made again since, its row is replaced.

    Raises
    ------
    StateError
        The audit failed: the message names every rule and how many rows broke it. Readers
        keep the publication that they had.
    """
    mine = f"run_id = '{run_id}'"
    lists = lakehouse.read(tables.RECOMMENDATIONS).where(mine)
    audience = lakehouse.read(tables.AUDIENCES).where(mine)
    live = live_activities(lakehouse.read(tables.ACTIVITIES), as_of, planning_days)
    faults = audit(lists, audience, live)
    if faults:
        found = "; ".join(f"{rule}: {count:,}" for rule, count in faults.items())
        raise StateError(f"run {run_id} failed its audit and is not published: {found}")
    row = lists.agg(
        F.lit(run_id).alias("run_id"),
        F.lit(as_of).alias("as_of"),
        F.lit(now).alias("published_ts"),
        F.max("model").alias("model"),
        F.count_distinct("user_id").alias("users"),
        F.count("*").alias("recommendations"),
    ).withColumn("audiences", F.lit(audience.count()))
    latest = latest_publication(lakehouse)
    if latest is None or latest["run_id"] != run_id:
        lakehouse.append(tables.PUBLICATIONS, row)
        return True
    # The run was made again after it had been published: its row says what readers see now.
    made = row.first()
    assert made is not None
    changed = any(made[name] != latest[name] for name in ("model", *COUNTS))
    if changed:
        lakehouse.replace(tables.PUBLICATIONS, row, f"run_id = '{run_id}'")
    return changed


def audit(lists: DataFrame, audience: DataFrame, live: DataFrame) -> dict[str, int]:
    """The rules of a publication that the rows of one run break, with the number of rows.

    Ranges and missing values are the contracts' business: no such row can be written.
    """
    live_ids = live.select("activity_id")
    counts = {
        "no recommendations": int(lists.isEmpty()),
        "no audiences": int(audience.isEmpty()),
        "users whose list has gaps or repeats": _disordered(lists, "user_id", "activity_id"),
        "audiences with gaps or repeats": _disordered(audience, "activity_id", "user_id"),
        "recommendations of activities that are not live": lists.join(
            live_ids, on="activity_id", how="left_anti"
        ).count(),
        "audiences of activities that are not live": audience.join(
            live_ids, on="activity_id", how="left_anti"
        ).count(),
    }
    return {rule: count for rule, count in counts.items() if count}


def _disordered(rows: DataFrame, group: str, member: str) -> int:
    """How many lists do not hold distinct members at the ranks 1, 2, 3, ..."""
    by_group = rows.groupBy(group).agg(
        F.count("*").alias("rows"),
        F.max("rank").alias("last"),
        F.count_distinct("rank").alias("ranks"),
        F.count_distinct(member).alias("members"),
    )
    return by_group.where("rows != last OR rows != ranks OR rows != members").count()


def latest_publication(lakehouse: Lakehouse) -> Row | None:
    """The row of ``serving.publications`` that readers see; None before the first."""
    if not lakehouse.exists(tables.PUBLICATIONS):
        return None
    return lakehouse.read(tables.PUBLICATIONS).orderBy(F.desc("published_ts")).first()
