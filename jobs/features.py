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
from activityrec.features.outcomes import outcomes
from activityrec.features.snapshots import Snapshots, exposed_pairs
from activityrec.job import Job, main


def run(job: Job) -> dict[str, int]:
    lakehouse, config, as_of = job.lakehouse, job.config, job.as_of
    history = read_history(lakehouse, as_of)
    known = outcomes(history.exposures, history.activities, history.events, config.response)
    known = known.persist()
    log_start = first_day(history.events)
    start = log_start + timedelta(days=config.ranker.min_history_days)
    learnable = between(known, start, as_of)

    written = {}
    days = user_daily(history.events)
    written["user_daily"] = lakehouse.replace(tables.USER_DAILY, days, before("event_date", as_of))
    daily = lakehouse.read(tables.USER_DAILY).where(before("event_date", as_of))

    wanted = with_everyone(population(learnable), all_users(history), as_of).persist()
    snapshots = Snapshots(wanted, history, daily, known, log_start, config)
    for table, rows in (
        (tables.user_features(config.features), snapshots.users()),
        (tables.ACTIVITY_FEATURES, snapshots.activities()),
        (tables.user_activity_features(config.features), snapshots.pairs(exposed_pairs(learnable))),
    ):
        until = f"snapshot_date <= '{as_of}'"
        written[table.name] = lakehouse.replace(table, rows, until)
    return written


if __name__ == "__main__":
    main([("features", run)], __doc__)
