"""Export: the current publication → the databases, warehouses and files that are configured."""

import logging
from collections.abc import Callable, Iterator
from functools import partial

from activityrec.job import Job, main
from activityrec.serving.exports import audience_files, postgresql, warehouse
from activityrec.serving.exports.publications import (
    TABLES,
    Publication,
    current,
    record,
    rows_of,
)
from activityrec.tables import AUDIENCES, Table

log = logging.getLogger("activityrec")

Export = tuple[str, Table, Callable[[], int | None]]
"""A target, a table, and what brings it there: the rows, or None where it is there already."""


def run(job: Job) -> dict[str, int]:
    publication, written = current(job.lakehouse), {}
    for target, table, bring in exports(job, publication):
        count = bring()
        if count is None:
            log.info("export: %s has %s of %s already", target, table.name, publication)
            continue
        record(job.lakehouse, target, table, publication, count, job.now)
        written[f"{target} {table.name}"] = count
    return written


def exports(job: Job, publication: Publication) -> Iterator[Export]:
    """All that the configuration asks for, in its order."""
    lakehouse, config = job.lakehouse, job.config.export
    for target, database in config.databases.items():
        for table in map(TABLES.__getitem__, database.tables):
            place = postgresql.Place(target, table, database)
            rows = rows_of(lakehouse, table, publication)
            yield target, table, partial(postgresql.export, place, rows, publication)
    for target, wanted in config.warehouses.items():
        for table in map(TABLES.__getitem__, wanted.tables):
            rows = rows_of(lakehouse, table, publication)
            yield (
                target,
                table,
                partial(warehouse.export, lakehouse.files, wanted, table, rows, publication),
            )
    for target, files in config.files.items():
        rows = lakehouse.read(AUDIENCES).where(f"run_id = '{publication.run_id}'")
        bring = partial(audience_files.export, lakehouse, files, rows, publication)
        yield target, AUDIENCES, bring


if __name__ == "__main__":
    main([("export", run)], __doc__, dated=False)
