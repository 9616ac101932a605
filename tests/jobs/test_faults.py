"""Faults from outside while a job runs: one line that names them, and tables as they were."""

import shutil
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

import features
from activityrec import tables
from activityrec.config_file import load_config
from activityrec.job import Job
from activityrec.lakehouse import Lakehouse
from tests.jobs.small_shop import Run, add_user, files_of, write_files, write_yaml
from tests.small_disk import fill, small_disk


def test_mlflow_that_does_not_answer_is_named(
    ingested: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow itself tries again for minutes; not here."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    # The discard port: nothing listens there.
    path = write_yaml(ingested, lambda raw: raw["tracking"].update(uri="http://127.0.0.1:9"))

    def ask(job: Job) -> dict[str, int]:
        job.tracking.version("ranker", "champion")
        return {}

    before = files_of(ingested)
    status, *lines = run(path, stage=ask)
    (line,) = [line for line in lines if " INFO " not in line]
    assert status == "1"
    assert "MLflow failed: " in line and "127.0.0.1" in line and "refused" in line
    assert files_of(ingested) == before


@pytest.mark.slow
def test_a_full_disk_is_named_and_leaves_the_tables_as_they_were(
    spark: SparkSession, run: Run, tmp_path: Path
) -> None:
    write_files(tmp_path)
    with small_disk(tmp_path / "full", "20m") as full:
        write_files(full)
        path = write_yaml(full)

        def users() -> set[str]:
            rows = Lakehouse(spark, load_config(path)).read(tables.USERS).collect()
            return {row["user_id"] for row in rows}

        assert run(path)[0] == "0"
        before = users()
        add_user(full, "u9")
        filler = fill(full)
        other = lambda raw: raw["lakehouse"].update(root=str(full / "first"))  # noqa: E731
        status, *lines = run(write_yaml(tmp_path, other))
        assert status == "1" and len(lines) == 1 and "No space left on device" in lines[0]
        files = files_of(full)
        status, *lines = run(path)
        (line,) = [line for line in lines if " INFO " not in line]
        assert status == "1" and "No space left on device" in line
        assert users() == before
        assert {name for name in files if name.endswith(".json")} <= set(files_of(full))
        filler.unlink()
        assert run(path)[0] == "0"
        assert users() == before | {"u9"}


def test_a_log_of_the_lakehouse_that_was_cut_short_is_named(
    ingested: Path, run: Run, tmp_path: Path
) -> None:
    # A copy: the session remembers what it has read of the other one.
    root = tmp_path / "lakehouse"
    shutil.copytree(ingested / "lakehouse", root)
    path = write_yaml(ingested, lambda raw: raw["lakehouse"].update(root=str(root)))
    log = max((root / "clean/users/_delta_log").glob("*.json"))
    whole = log.read_bytes()
    log.write_bytes(whole[: len(whole) // 2])
    (log.parent / f".{log.name}.crc").unlink()
    before = files_of(tmp_path)
    status, *lines = run(path, stage=features.run)
    (line,) = [line for line in lines if " INFO " not in line]
    assert status == "1"
    assert "clean/users/_delta_log" in line and "is cut short" in line
    assert before and files_of(tmp_path) == before
    log.write_bytes(whole)
    assert run(path, stage=features.run)[0] == "0"


def test_a_stage_that_fails_in_the_middle_puts_the_tables_back(
    spark: SparkSession, ingested: Path, run: Run
) -> None:
    def half(job: Job) -> dict[str, int]:
        job.lakehouse.replace(tables.USERS, job.lakehouse.read(tables.USERS).limit(0))
        job.lakehouse.read(tables.USER_DAILY)
        return {}

    path = write_yaml(ingested)
    status, line = run(path, stage=half)
    assert status == "1"
    assert "table features.user_daily does not exist" in line
    assert Lakehouse(spark, load_config(path)).read(tables.USERS).count() == 1
