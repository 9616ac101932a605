"""Ingest: sources → clean tables, and clean.quarantine for rows that break a contract."""

import logging
from functools import reduce

from pyspark.sql import DataFrame

from activityrec import tables
from activityrec.ingest import check_as_of, check_valid, clean_tables
from activityrec.job import Job, main

log = logging.getLogger("activityrec")


def run(job: Job) -> dict[str, int]:
    lakehouse, planning_days = job.lakehouse, job.config.recommend.planning_days
    lakehouse.check(tables.all_tables(job.config.features))
    cleaned = clean_tables(job.spark, job.config.sources)
    for needed in ("events", "activities"):
        check_valid(cleaned[needed])
    check_as_of(cleaned["events"].valid(), cleaned["activities"].rows(), job.as_of, planning_days)
    written, refused = {}, []
    for name, clean in cleaned.items():
        written[name] = lakehouse.replace(clean.table, clean.rows())
        left_out = clean.typed.count() - written[name]
        # Where every row went in there is nothing to look for.
        if left_out or clean.table.entity:
            refused.append(clean.refused())
        if left_out and not clean.table.entity and (copies := clean.copies().count()):
            log.info("%s: %s exact copies left out", name, f"{copies:,}")
    quarantine = reduce(DataFrame.unionByName, refused)
    written["quarantine"] = lakehouse.replace(tables.QUARANTINE, quarantine)
    return written


if __name__ == "__main__":
    main([("ingest", run)], __doc__)
