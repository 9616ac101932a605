"""The whole path on planted data: what each stage promises to its readers."""

from activityrec import tables
from activityrec.job import Job


def test_every_stage_writes_its_tables(planted_run: Job) -> None:
    counts = {
        table.name: planted_run.lakehouse.read(table).count()
        for table in tables.all_tables(planted_run.config.features)
    }
    assert min(count for name, count in counts.items() if name != "quarantine") > 0
    assert counts["quarantine"] == 0
