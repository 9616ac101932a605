"""Maintain: old rows and the files that no reader needs go, small files are put together."""

from activityrec import tables
from activityrec.job import Job, main
from activityrec.maintenance import maintain
from activityrec.serving.expiry import expire_runs


def run(job: Job) -> dict[str, int]:
    contracts = tables.all_tables(job.config)
    expired = expire_runs(job.lakehouse, job.config.publish.keep_runs)
    done = maintain(job.lakehouse, contracts, job.config.maintain, job.now)
    # Rows deleted, of the tables that any were deleted from.
    old = {name: upkeep.deleted for name, upkeep in done.items()}
    return {name: count for name, count in (old | expired).items() if count}


if __name__ == "__main__":
    main([("maintain", run)], __doc__, dated=False)
