"""A run can be repeated from what it logged."""

import json
from pathlib import Path

import mlflow
import pytest

import repeat
from activityrec.errors import ConfigError, StateError
from activityrec.job import Job
from activityrec.tracking import CHAMPION


def job_with(job: Job, run_id: str | None) -> Job:
    return Job(**{**vars(job), "options": {"mlflow_run": run_id}})


def test_a_run_that_is_not_there_is_an_error(planted_run: Job) -> None:
    with pytest.raises(ConfigError, match="--mlflow-run: give the id"):
        repeat.repeat(job_with(planted_run, None))
    with pytest.raises(StateError, match="MLflow run 0123"):
        repeat.repeat(job_with(planted_run, "0123"))


def test_a_run_names_the_tables_that_it_read_with_their_versions(planted_run: Job) -> None:
    name = f"{planted_run.run_id} ranker"
    run = mlflow.MlflowClient().get_run(planted_run.tracking.latest(name))
    sources = {
        entry.dataset.name: json.loads(entry.dataset.source) for entry in run.inputs.dataset_inputs
    }
    root = planted_run.lakehouse.root
    assert sources["clean.events"]["path"] == f"{root}/clean/events"
    assert sources["clean.events"]["delta_table_version"] >= 0
    assert planted_run.tracking.logged(run.info.run_id).recipe["name"] == "planted"


@pytest.mark.slow
def test_a_training_is_repeated_with_the_same_metrics(planted_run: Job) -> None:
    champion = planted_run.tracking.version("ranker", CHAMPION)
    run_id = planted_run.tracking.latest(f"{planted_run.run_id} ranker")
    repeat.repeat(job_with(planted_run, run_id))
    assert planted_run.tracking.version("ranker", CHAMPION) == champion
    assert not list(Path(f"{planted_run.lakehouse.root}/.repeat").glob("*")), "nothing is left"
