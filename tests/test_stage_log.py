"""The log of stages, and a run that goes on where it broke off."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from activityrec import stage_log, tables
from activityrec.config import Config
from activityrec.errors import StateError
from activityrec.job import Job, Stage, open_job, run_stages
from activityrec.lakehouse import Lakehouse
from activityrec.stage_log import StageLog
from tests.planted import AS_OF, configuration


class Pipeline:
    """Three stages that note that they ran; one of them may fail."""

    def __init__(self, spark: SparkSession, root: Path) -> None:
        self.spark, self.raw = spark, configuration() | {"lakehouse": {"root": str(root)}}
        self.ran: list[str] = []

    def stage(self, name: str, fails: str | None) -> tuple[str, Stage]:
        def run(_: Job) -> dict[str, int]:
            self.ran.append(name)
            if name == fails:
                raise StateError(f"{name} has\nno table")
            return {"table": 3}

        return name, run

    def run(self, fails: str | None = None, resume: bool = False, **changed: object) -> list[str]:
        """The stages that began."""
        self.ran.clear()
        job = open_job(self.spark, Config.model_validate(self.raw | changed), AS_OF)
        run_stages(job, [self.stage(name, fails) for name in ("one", "two", "three")], resume)
        return list(self.ran)

    def rows(self) -> list:
        lakehouse = Lakehouse(self.spark, Config.model_validate(self.raw))
        return lakehouse.read(tables.STAGES).orderBy("ended_ts").collect()


def test_a_run_goes_on_after_the_last_stage_that_was_done(
    spark: SparkSession, tmp_path: Path
) -> None:
    pipeline = Pipeline(spark, tmp_path)
    assert pipeline.run(resume=True) == ["one", "two", "three"], "nothing was done before"
    # A run from the start counts from there, though all were done once.
    with pytest.raises(StateError):
        pipeline.run(fails="two")
    with pytest.raises(StateError):
        pipeline.run(fails="two", resume=True)
    assert pipeline.ran == ["two"]
    assert pipeline.run(resume=True) == ["two", "three"]
    assert pipeline.run(resume=True) == []
    rows = pipeline.rows()
    assert [(row["stage"], row["status"]) for row in rows] == [
        ("one", "begun"), ("one", "done"), ("two", "done"), ("three", "done"),
        ("one", "begun"), ("one", "done"), ("two", "failed"),
        ("two", "failed"), ("two", "done"), ("three", "done"),
    ]  # fmt: skip
    assert (rows[1]["run_id"], rows[1]["rows"], rows[1]["error"]) == (
        "planted-20240501", {"table": 3}, None,
    )  # fmt: skip
    assert (rows[6]["rows"], rows[6]["error"]) == ({}, "two has no table")
    with pytest.raises(StateError, match="configuration has changed since one was done"):
        pipeline.run(resume=True, recommend={"k": 2})
    assert pipeline.run(recommend={"k": 2}) == ["one", "two", "three"]


def test_a_run_that_was_killed_at_its_beginning_or_got_new_data_starts_there(
    spark: SparkSession, tmp_path: Path
) -> None:
    pipeline = Pipeline(spark, tmp_path)
    config = Config.model_validate(pipeline.raw)
    names = ["ingest", "features", "train"]

    def log(run_id: str = "run") -> StageLog:
        return StageLog(Lakehouse(spark, config), config, run_id, AS_OF)

    ours = log()
    for name in names:
        ours.done(name, 1.0, {})
    assert log().first_unfinished(names) == 3
    log("another run").done("ingest --replay-quarantine", 1.0, {})
    assert log().first_unfinished(names) == 1
    for name in names[1:]:
        ours.done(name, 1.0, {})
    assert log().first_unfinished(names) == 3
    # kill -9 before anything was done.
    ours.begun("ingest")
    assert log().first_unfinished(names) == 0


def test_a_clock_that_was_set_back_hides_nothing_that_has_to_be_done(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = Pipeline(spark, tmp_path)

    class Ahead(datetime):
        @classmethod
        def now(cls, tz=timezone.utc):  # type: ignore[no-untyped-def]
            return datetime.now(tz) + timedelta(hours=2)

    with monkeypatch.context() as patch:
        patch.setattr(stage_log, "datetime", Ahead)
        pipeline.run()
    with pytest.raises(StateError):
        pipeline.run(fails="two")
    assert pipeline.run(resume=True) == ["two", "three"]
    statuses = [row["status"] for row in pipeline.rows()]
    assert statuses == ["begun", *["done"] * 3, "begun", "done", "failed", "done", "done"]


def test_with_privacy_no_words_of_an_error_are_kept(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_OF_IDS", "0123456789abcdef0123456789abcdef")
    pipeline = Pipeline(spark, tmp_path)
    pipeline.raw["privacy"] = {"key_env": "KEY_OF_IDS"}
    with pytest.raises(StateError, match="one has"):
        pipeline.run(fails="one")
    assert [row["error"] for row in pipeline.rows()] == [None, "see the log of the job"]


def test_a_stage_is_named_with_the_options_that_it_was_given(
    spark: SparkSession, tmp_path: Path
) -> None:
    pipeline = Pipeline(spark, tmp_path)
    job = open_job(spark, Config.model_validate(pipeline.raw), AS_OF)
    given = {"config": "x.yaml", "as_of": "2024-05-01", "rollback": "a-run", "dry_run": False}
    undone = replace(job, options=given)
    assert undone.variant == " --rollback"
    tried = replace(job, options={**given, "dry_run": True}, flags=frozenset({"dry-run"}))
    run_stages(tried, [pipeline.stage("publish", None)])
    assert not job.lakehouse.exists(tables.STAGES), "a dry run writes nothing"
