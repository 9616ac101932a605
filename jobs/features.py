"""Features: clean tables → user_daily, and the snapshots that training and serving read."""

from datetime import timedelta

from activityrec import tables
from activityrec.features.daily import user_daily
from activityrec.features.history import (
    all_users,
    before,
    between,
    first_day,
    population,
    read_history,
    with_everyone,
)
from activityrec.features.progress import plan, remember
from activityrec.features.sampled import known_outcomes
from activityrec.features.snapshots import Snapshots, exposed_pairs
from activityrec.ingest import check_as_of
from activityrec.job import HELD_OUT, Job, main


def run(job: Job) -> dict[str, int]:
    lakehouse, config, as_of = job.lakehouse, job.config, job.as_of
    history = read_history(lakehouse, as_of)
    check_as_of(
        lakehouse.read(tables.EVENTS), history.activities, as_of, config.recommend.planning_days
    )
    what = plan(lakehouse, config, as_of)
    known = known_outcomes(history, config).persist()
    log_start = first_day(history.events)
    start = log_start + timedelta(days=config.ranker.min_history_days)
    learnable = between(known, start, as_of)

    written = {}
    days = user_daily(history.events.where(what.events()))
    written["user_daily"] = lakehouse.replace(tables.USER_DAILY, days, what.daily())
    daily = lakehouse.read(tables.USER_DAILY).where(before("event_date", as_of))

    everyone = with_everyone(population(learnable), all_users(history), as_of)
    wanted = everyone.where(what.snapshots()).persist()
    snapshots = Snapshots(wanted, history, daily, known, log_start, config)
    pairs = exposed_pairs(learnable).where(what.snapshots())
    for table, rows in (
        (tables.user_features(config), snapshots.users()),
        (tables.activity_features(config), snapshots.activities()),
        (tables.user_activity_features(config.features), snapshots.pairs(pairs)),
    ):
        written[table.name] = lakehouse.replace(table, rows, what.snapshots())
    remember(lakehouse, config, what)
    return written


if __name__ == "__main__":
    main([("features", run)], __doc__, flags=HELD_OUT)
