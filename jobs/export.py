"""Export: the current publication → the databases that the configuration names."""

import logging

from activityrec.job import Job, main
from activityrec.serving.exports import postgresql
from activityrec.serving.exports.publications import TABLES, current, record, rows_of

log = logging.getLogger("activityrec")


def run(job: Job) -> dict[str, int]:
    publication, written = current(job.lakehouse), {}
    for target, config in job.config.export.databases.items():
        for name in config.tables:
            table = TABLES[name]
            place = postgresql.Place(target, table, config)
            rows = rows_of(job.lakehouse, table, publication)
            count = postgresql.export(place, rows, publication)
            if count is None:
                log.info("export: %s has %s of %s already", target, name, publication)
                continue
            record(job.lakehouse, target, table, publication, count, job.now)
            written[f"{target} {name}"] = count
    return written


if __name__ == "__main__":
    main([("export", run)], __doc__, dated=False)
