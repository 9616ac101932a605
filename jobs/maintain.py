"""Maintain: old rows and the files that no reader needs go, small files are put together."""

from activityrec import tables
from activityrec.job import Job, main
from activityrec.maintenance import maintain


def run(job: Job) -> dict[str, int]:
    contracts = tables.all_tables(job.config)
    done = maintain(job.lakehouse, contracts, job.config.maintain, job.now)
    # Rows deleted, of the tables that any were deleted from.
    return {name: upkeep.deleted for name, upkeep in done.items() if upkeep.deleted}


if __name__ == "__main__":
    main([("maintain", run)], __doc__, dated=False)
