"""The job monitor: its tables, its exit status, and a second run of the same day."""

import logging
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.sql import Row
from pyspark.sql import functions as F

import monitor
from activityrec import tables
from activityrec.config_file import load_config
from activityrec.job import Job, main
from activityrec.lakehouse import Lakehouse
from tests.planted import configuration

Run = Callable[..., tuple[int, str]]

LENIENT = {
    "days": 14,
    "min_rows": 30,
    "min_responses": 3,
    "min_activities": 1,
    "max_input_psi": 1000,
    "max_input_js": 1,
    "max_rate_change": 0.99,
}


@pytest.fixture
def run(
    planted: Path,
    planted_run: Job,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Run]:
    """Run the job as its script does, on a copy of the planted lakehouse; its status and log."""
    shutil.copytree(Path(str(planted_run.lakehouse.root)), tmp_path / "lakehouse")
    log = logging.getLogger("activityrec")
    handlers = log.handlers

    def run(replicates: int = 20, **limits: Any) -> tuple[int, str]:
        raw = configuration() | {"monitor": LENIENT | limits}
        raw["lakehouse"] = {"root": str(tmp_path / "lakehouse")}
        raw["evaluate"] |= {"replicates": replicates}
        uri = f"sqlite:///{planted / 'mlflow.db'}"
        raw["tracking"] = {"uri": uri, "artifacts": str(planted / "mlflow")}
        path = tmp_path / "planted.yaml"
        path.write_text(yaml.safe_dump(raw), encoding="utf-8")
        argv = ["monitor", "--config", str(path), "--as-of", "2024-05-01"]
        monkeypatch.setattr(sys, "argv", argv)
        capsys.readouterr()
        status = 0
        try:
            main([("monitor", monitor.run)], None)
        except SystemExit as error:
            status = int(error.code or 0)
        return status, capsys.readouterr().err

    yield run
    log.handlers = handlers


def rows_of(job: Job, folder: Path, table: tables.Table) -> list[Row]:
    config = load_config(folder / "planted.yaml")
    return Lakehouse(job.spark, config).read(table).collect()


@pytest.mark.slow
def test_an_alarm_has_its_own_exit_status_and_a_second_run_replaces_the_first(
    planted_run: Job, tmp_path: Path, run: Run
) -> None:
    status, said = run(max_input_psi=1e-9)
    assert status == 3
    assert "checks failed: input_psi" in said.splitlines()[-1]
    first = rows_of(planted_run, tmp_path, tables.MONITORING)
    assert {row["passed"] for row in first if row["check_name"] == "input_js"} == {True}
    assert False in {row["passed"] for row in first if row["check_name"] == "input_psi"}

    status, said = run()
    assert status == 0, said
    again = rows_of(planted_run, tmp_path, tables.MONITORING)
    keys = [(row["check_name"], row["name"]) for row in again]
    assert sorted(keys) == sorted((row["check_name"], row["name"]) for row in first)
    assert len(set(keys)) == len(keys)
    by_key = dict(zip(keys, again, strict=True))
    inputs = set(configuration()["ranker"]["inputs"])
    assert {name for check, name in keys if check == "input_psi"} == inputs
    # The activity of 10 April closed on the 24th; those from 11 to 31 March before the 17th.
    rate = by_key["response_rate", "all"]
    assert (rate["rows_before"], rate["rows_after"], rate["passed"]) == (120, 40, True)
    # Nothing had been published a fortnight before.
    assert by_key["score_psi", "all"]["passed"] is None
    assert by_key["score_psi", "all"]["reason"].startswith("not checked: of no run published")
    assert " 0 failed, " in said

    known = planted_run.lakehouse.read(tables.EXPOSURES).where("exposure_ts < '2024-05-01'")
    came = rows_of(planted_run, tmp_path, tables.PERFORMANCE)
    for name in ("all", "activity", "day"):
        assert sum(r["exposures"] for r in came if r["slice"] == name) == known.count()
    # Planted exposures lie years before the pipeline published.
    assert {row["attribution"] for row in came} == {"unpublished"}
    (whole,) = [row for row in came if row["slice"] == "all"]
    assert whole["low"] < whole["response_rate"] < whole["high"]
    views = planted_run.spark.table("current_performance").where(F.col("slice") == "all")
    assert views.count() == 1
    page = (Path(__file__).parents[2] / "docs/monitoring.md").read_text(encoding="utf-8")
    queries = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    assert len(queries) == 2
    for query in queries:
        planted_run.spark.sql(query).collect()


def test_a_changed_rate_is_an_alarm_also_where_inputs_cannot_be_checked(
    planted_run: Job, tmp_path: Path, run: Run
) -> None:
    shutil.rmtree(tmp_path / "lakehouse/features/training_examples")
    # Without an interval nothing is put down to chance.
    status, said = run(replicates=0, max_rate_change=1e-9)
    assert status == 3
    assert "checks failed: response_rate all: response rate" in said.splitlines()[-1]
    found = rows_of(planted_run, tmp_path, tables.MONITORING)
    inputs = {(r["check_name"], r["name"]): r for r in found if r["check_name"].startswith("input")}
    assert {key: row["passed"] for key, row in inputs.items()} == {
        ("input_psi", "all"): None, ("input_js", "all"): None,
    }  # fmt: skip
    assert "features.training_examples does not exist" in inputs["input_psi", "all"]["reason"]
    # An alarm is no failure: both tables have their rows, and the log of stages says what it was.
    assert rows_of(planted_run, tmp_path, tables.PERFORMANCE)
    stages = rows_of(planted_run, tmp_path, tables.STAGES)
    (logged,) = [row for row in stages if row["stage"] == "monitor"]
    assert logged["status"] == "alarm"
    assert "checks failed: response_rate all" in logged["error"]
