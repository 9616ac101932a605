"""Ingest: what is new in the sources → clean tables; clean.quarantine for what breaks a rule."""

from activityrec import tables
from activityrec.ingest import Ingestion, load_tables, replay_quarantine
from activityrec.ingest.privacy import Protection
from activityrec.job import Job, main

REPLAY = "replay-quarantine"


def run(job: Job) -> dict[str, int]:
    job.lakehouse.check(tables.all_tables(job.config))
    protection = Protection.open(job.spark, job.config)
    ingestion = Ingestion(job.spark, job.lakehouse, job.config, job.now, protection)
    return replay_quarantine(ingestion) if REPLAY in job.flags else load_tables(ingestion)


if __name__ == "__main__":
    main(
        [("ingest", run)],
        __doc__,
        flags={REPLAY: "feed the rows of clean.quarantine again, instead of the sources"},
        dated=False,
    )
