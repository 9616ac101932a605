"""Features of what has changed are those of everything made anew, and touch nothing else."""

import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.testing import assertDataFrameEqual

import features
from activityrec import tables
from activityrec.config_file import load_config
from activityrec.features.progress import Plan, plan
from activityrec.job import Job, open_job, run_stages
from activityrec.tables import Table
from tests.planted import AS_OF

LATE = date(2024, 4, 20)


@pytest.fixture
def later(planted: Path, planted_run: Job, tmp_path: Path) -> Path:
    """A copy of the planted data set and its lakehouse after a run at AS_OF."""
    folder = tmp_path / "later"
    shutil.copytree(planted, folder)
    return folder / "planted.yaml"


def opened(spark: SparkSession, path: Path, as_of: date = AS_OF) -> Job:
    return open_job(spark, load_config(path), as_of)


def planned(job: Job) -> Plan:
    for table in (tables.EVENTS, tables.ACTIVITIES):
        job.lakehouse.read(table)
    return plan(job.lakehouse, job.config, job.as_of)


def append(job: Job, table: Table, **values: Any) -> None:
    row = {"source": "late", "batch_id": "late/0", **values}
    schema = ", ".join(f"{c.name} {c.type}" for c in table.columns)
    rows = [tuple(row.get(name) for name in table.column_names)]
    job.lakehouse.append(table, job.spark.createDataFrame(rows, schema))


def event(job: Job, name: str, day: date, **values: Any) -> None:
    at = F.lit(day).cast("timestamp")
    instant = job.spark.range(1).select((at + F.expr("INTERVAL 5 HOURS")).alias("at")).first()
    assert instant is not None
    kept = {"event_id": name, "user_id": "u1", "event_type": "purchase", "product_id": "p1"}
    append(job, tables.EVENTS, **kept, event_ts=instant["at"], quantity=1.0, amount=2.0, **values)


def test_without_changes_only_the_last_snapshot_is_made_again(
    spark: SparkSession, later: Path
) -> None:
    same = planned(opened(spark, later))
    assert (same.days, same.since, same.again) == (frozenset(), AS_OF + timedelta(1), {AS_OF})
    tomorrow = planned(opened(spark, later, AS_OF + timedelta(days=1)))
    assert (tomorrow.days, tomorrow.since) == ({AS_OF}, AS_OF + timedelta(days=1))


def test_other_settings_make_everything_anew(spark: SparkSession, later: Path) -> None:
    raw = yaml.safe_load(later.read_text())
    raw["features"]["windows"] = [8, 30]
    later.write_text(yaml.safe_dump(raw))
    everything = planned(opened(spark, later))
    assert (everything.days, everything.since) == (None, None)


def test_a_run_at_an_earlier_day_makes_everything_anew_and_forgets_nothing(
    spark: SparkSession, later: Path
) -> None:
    early = AS_OF - timedelta(days=20)
    assert planned(opened(spark, later, early)).days is None


def test_a_feature_table_that_was_dropped_is_made_from_the_beginning(
    spark: SparkSession, later: Path
) -> None:
    shutil.rmtree(later.parent / "lakehouse/features/user_daily")
    assert planned(opened(spark, later)).days is None


def test_late_rows_touch_their_day_and_the_snapshots_after_it_alone(
    spark: SparkSession, later: Path
) -> None:
    event(opened(spark, later), "late", LATE)
    event(opened(spark, later), "bot", LATE, flags=["anomaly: more events a day"])
    job = opened(spark, later)
    what = planned(job)
    assert (what.days, what.since) == ({LATE}, LATE + timedelta(days=1))
    run_stages(job, [("features", features.run)])

    incremental = opened(spark, later)
    shutil.copytree(later.parent, later.parent.with_name("anew"))
    path = later.parent.with_name("anew") / later.name
    shutil.rmtree(path.parent / "lakehouse/features")
    anew = opened(spark, path)
    run_stages(anew, [("features", features.run)])
    for name in ("user_daily", "user_features", "activity_features", "user_activity_features"):
        assertDataFrameEqual(rows_of(incremental, name), rows_of(anew, name), rtol=1e-9)


def rows_of(job: Job, name: str) -> DataFrame:
    table = next(t for t in tables.all_tables(job.config) if t.name == name)
    return job.lakehouse.read(table)
