"""Housekeeping: what goes, what stays, and that readers see nothing of it."""

import os
import shutil
import time
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

import maintain
from activityrec import tables
from activityrec.config import Config, MaintainConfig
from activityrec.errors import ConfigError
from activityrec.job import Job, open_job, run_stages
from activityrec.lakehouse import Lakehouse
from activityrec.maintenance import Upkeep, first_days, time_column
from activityrec.maintenance import maintain as look_after
from tests.planted import configuration

NOW = datetime(2024, 5, 11, 15, tzinfo=timezone.utc)
RETENTION = "spark.databricks.delta.retentionDurationCheck.enabled"


def job_at(spark: SparkSession, root: Path, **maintain: object) -> Job:
    raw = configuration() | {"lakehouse": {"root": str(root)}, "maintain": maintain}
    return replace(open_job(spark, Config.model_validate(raw), date(2024, 5, 1)), now=NOW)


def add_days(spark: SparkSession, lakehouse: Lakehouse, *days: int) -> None:
    """A commit, and so a file, for each day of May."""
    for day in days:
        row = (date(2024, 5, day), f"u{day}", "view", "p1", None, 1, 0.0, 0.0, 0.0)
        schema = ", ".join(f"{c.name} {c.type}" for c in tables.USER_DAILY.columns)
        lakehouse.append(tables.USER_DAILY, spark.createDataFrame([row], schema).coalesce(1))


def data_files(root: Path) -> list[Path]:
    return sorted((root / "features/user_daily").glob("*.parquet"))


def kept(spark: SparkSession, root: Path) -> list[int]:
    rows = job_at(spark, root).lakehouse.read(tables.USER_DAILY).collect()
    return sorted(row["event_date"].day for row in rows)


def test_old_rows_go_small_files_are_put_together_and_old_files_removed(
    spark: SparkSession, tmp_path: Path
) -> None:
    add_days(spark, job_at(spark, tmp_path).lakehouse, 1, 7, 8, 9, 10)
    before = spark.conf.get(RETENTION, None)
    job = job_at(spark, tmp_path, retention_days={"features.user_daily": 3}, vacuum_hours=0)
    run_stages(job, [("maintain", maintain.run)])
    assert kept(spark, tmp_path) == [8, 9, 10]
    assert len(data_files(tmp_path)) == 1
    assert spark.conf.get(RETENTION, None) == before
    contracts = [tables.USER_DAILY, tables.USERS]
    again = look_after(job_at(spark, tmp_path).lakehouse, contracts, job.config.maintain, NOW)
    assert again == {"features.user_daily": Upkeep(0, 1, 1)}
    assert maintain.run(job_at(spark, tmp_path)) == {}


@pytest.mark.parametrize("hours, stays", [(24, False), (72, True)])
def test_files_stay_for_the_hours_configured(
    spark: SparkSession, tmp_path: Path, hours: int, stays: bool
) -> None:
    """Delta by itself would take its own seven days whatever VACUUM is told."""
    add_days(spark, job_at(spark, tmp_path).lakehouse, 1)
    (file,) = data_files(tmp_path)
    # As a write leaves it that was killed two days ago.
    orphan = file.with_name("part-00009-orphan.snappy.parquet")
    shutil.copy(file, orphan)
    two_days_ago = time.time() - timedelta(days=2).total_seconds()
    os.utime(orphan, (two_days_ago, two_days_ago))
    config = MaintainConfig(vacuum_hours=hours)
    done = look_after(job_at(spark, tmp_path).lakehouse, [tables.USER_DAILY], config, NOW)
    assert done == {"features.user_daily": Upkeep(0, 1, 1)}
    assert orphan.exists() == stays
    assert file.exists()


def test_what_the_time_of_a_row_is() -> None:
    assert time_column(tables.EVENTS) == "event_ts"
    assert time_column(tables.USER_DAILY) == "event_date"
    assert time_column(tables.USERS) is None
    assert time_column(tables.RECOMMENDATIONS) is None


@pytest.mark.parametrize("name", ["clean.users", "events", "serving.recommendations"])
def test_a_table_without_a_time_is_refused(spark: SparkSession, tmp_path: Path, name: str) -> None:
    job = job_at(spark, tmp_path, retention_days={"clean.quarantine": 30, name: 30})
    with pytest.raises(ConfigError) as caught:
        maintain.run(job)
    message = str(caught.value)
    assert message.startswith(f"maintain.retention_days names {name}: not among the tables ")
    assert "clean.events, clean.exposures, clean.quarantine" in message


def test_days_are_counted_back_from_the_day_of_the_job() -> None:
    config = MaintainConfig(retention_days={"clean.events": 10})
    assert first_days([tables.EVENTS], config, NOW) == {"clean.events": date(2024, 5, 1)}
