"""Which days and snapshots the feature tables must compute anew since they were last made.

The clean tables keep a change data feed. What was added, changed or removed since the versions
that the feature tables were made from tells the days that they touch; all other days and
snapshots stay as they are. Profiles and products have no time: a snapshot keeps them as they were
known when it was computed.
"""

import json
import logging
from dataclasses import dataclass
from datetime import date, timedelta

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.config import Config
from activityrec.days import among, within
from activityrec.fingerprint import fingerprint
from activityrec.lakehouse import Lakehouse
from activityrec.tables import Table

log = logging.getLogger("activityrec")

FOLLOWED = (
    tables.EVENTS,
    tables.EXPOSURES,
    tables.ACTIVITIES,
    tables.ACTIVITY_PRODUCTS,
)
MAX_DAYS = 400
"""More days than these are not named one by one: everything is made anew."""


@dataclass(frozen=True)
class Plan:
    """What one run of ``features`` computes.

    Attributes
    ----------
    days
        The days of ``user_daily``; None: all before ``as_of``.
    since
        The first day whose snapshot differs, all later ones do too; None: the very first.
    again
        Further days whose snapshots differ.
    """

    as_of: date
    days: frozenset[date] | None = None
    since: date | None = None
    again: frozenset[date] = frozenset()

    def daily(self) -> str:
        """SQL condition on ``user_daily``: the days that are computed."""
        if self.days is None:
            return f"event_date < '{self.as_of}'"
        return among("event_date", self.days)

    def events(self) -> str:
        """SQL condition on ``clean.events``: those of the days that are computed."""
        if self.days is None:
            return f"event_ts < timestamp('{self.as_of}')"
        return within("event_ts", self.days)

    def snapshots(self) -> str:
        """SQL condition on snapshots: those that are computed."""
        until = f"snapshot_date <= '{self.as_of}'"
        if self.since is None:
            return until
        since = f"(snapshot_date >= '{self.since}' AND {until})"
        return f"({since} OR {among('snapshot_date', self.again)})"


def plan(lakehouse: Lakehouse, config: Config, as_of: date) -> Plan:
    """Compare the clean tables with what the feature tables were made from."""
    everything = Plan(as_of)
    last = _last(lakehouse)
    if not last:
        return everything
    made = next(iter(last.values()))
    if made["settings"] != settings(config) or made["as_of"] > as_of:
        return everything
    for table in _made(config):
        held = last.get(table.full_name)
        if held is None or not lakehouse.exists(table):
            return everything
        if held["generation"] != lakehouse.generation(table):
            return everything
    try:
        changed = {
            table.name: _changed_days(lakehouse, config, table, last.get(table.full_name))
            for table in FOLLOWED
        }
    except _FeedError as reason:
        log.info("features: all days and snapshots are made anew: %s", reason)
        return everything
    covered = made["as_of"]
    new = [covered + timedelta(days=n) for n in range((as_of - covered).days)]
    days = frozenset(day for day in [*changed["events"], *new] if day < as_of)
    if len(days) > MAX_DAYS:
        return everything
    # A snapshot knows the days before it, and the exposures of its own day are in it.
    # Where these are made of the events, they are in it too.
    after = timedelta(days=0 if config.samples_exposures else 1)
    firsts = [day + after for day in changed["events"]]
    for name in ("exposures", "activities", "activity_products"):
        firsts += changed[name]
    # That of the last as_of held every user; now it is one like the others.
    again = {covered, *(day for day in changed["exposures"] if day <= as_of)}
    since = min([covered + timedelta(days=1), *firsts])
    return Plan(as_of, days, since, frozenset(again))


class _FeedError(Exception):
    """The change data feed does not reach back far enough."""


def remember(lakehouse: Lakehouse, config: Config, plan: Plan) -> None:
    """Note what the feature tables are made from now, unless a later run's are still there."""
    last = _last(lakehouse)
    if last and next(iter(last.values()))["as_of"] > plan.as_of:
        return
    rows = [
        (
            table.full_name,
            lakehouse.generation(table),
            lakehouse.versions.get(table.full_name, 0),
            plan.as_of,
            settings(config),
        )
        for table in (*FOLLOWED, *_made(config))
    ]
    frame = lakehouse.spark.createDataFrame(rows, tables.PROGRESS.row_type)
    lakehouse.replace(tables.PROGRESS, frame)


def _made(config: Config) -> tuple[Table, ...]:
    """The tables that are made: one that was dropped is made from the beginning."""
    return (
        tables.USER_DAILY,
        tables.user_features(config),
        tables.activity_features(config),
        tables.user_activity_features(config.features),
    )


def settings(config: Config) -> str:
    """A hash of all that snapshots depend on besides the data."""
    parts = {
        "features": config.features.model_dump(),
        "attributes": config.attributes.model_dump(),
        "response": config.response.model_dump(),
        "planning_days": config.recommend.planning_days,
        "min_history_days": config.ranker.min_history_days,
        "sampled": [config.ranker.negatives, config.ranker.seed] * config.samples_exposures,
    }
    text = json.dumps(parts, sort_keys=True, default=str)
    return fingerprint(text)


def _last(lakehouse: Lakehouse) -> dict[str, Row]:
    if not lakehouse.exists(tables.PROGRESS):
        return {}
    return {row["table_name"]: row for row in lakehouse.read(tables.PROGRESS).collect()}


def _changed_days(
    lakehouse: Lakehouse, config: Config, table: Table, last: Row | None
) -> list[date]:
    """The days that the changes of a table touch; of activities the first one."""
    lakehouse.read(table)  # pins it
    if last is None or last["generation"] != lakehouse.generation(table):
        raise _FeedError(f"table {table.full_name} is a new one")
    if last["version"] == lakehouse.versions[table.full_name]:
        return []
    try:
        changes = lakehouse.changes_since(table, last["version"])
        days = _days_of(lakehouse, config, table, changes).distinct().limit(MAX_DAYS + 1)
        found = [row["day"] for row in days.collect()]
    except (PySparkException, Py4JJavaError):
        raise _FeedError(
            f"the changes of {table.full_name} since version {last['version']} are gone"
        ) from None
    if len(found) > MAX_DAYS:
        raise _FeedError(f"table {table.full_name} has changed on more than {MAX_DAYS} days")
    return sorted(found)


def _days_of(lakehouse: Lakehouse, config: Config, table: Table, changes: DataFrame) -> DataFrame:
    if table is tables.EVENTS:
        return changes.select(F.to_date("event_ts").alias("day"))
    if table is tables.EXPOSURES:
        return changes.select(F.to_date("exposure_ts").alias("day"))
    if table is tables.ACTIVITY_PRODUCTS:
        known = lakehouse.read(tables.ACTIVITIES)
        changes = known.join(changes.select("activity_id"), on="activity_id", how="left_semi")
    # An activity is in snapshots from its planning on.
    planned = F.date_sub(F.to_date("start_ts"), config.recommend.planning_days)
    return changes.agg(F.min(planned).alias("day")).where("day IS NOT NULL")
