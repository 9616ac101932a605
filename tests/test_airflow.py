"""The example for Airflow: it parses, and its tasks are those of the Databricks bundle."""

import re
import runpy
from typing import Any

import pytest

from tests.airflow import Dag, stand_ins
from tests.bundle import ROOT, RUN_DAY, resources
from tests.scripts import parse

FILE = ROOT / "conf/airflow/activityrec_dag.py"
JOBS = {name: job for name, job in resources("prod")["jobs"].items() if "job_clusters" in job}
RENDERED = {
    "var.value.activityrec_home": str(ROOT),
    "var.value.activityrec_config": str(ROOT / "conf/databricks/shop.yaml"),
    "var.value.activityrec_forget_list": "forget.txt",
    "data_interval_end | ds": RUN_DAY,
}


def rendered(text: str) -> str:
    return re.sub(r"\{\{ (.*?) \}\}", lambda found: RENDERED[found.group(1)], text)


@pytest.fixture(scope="module")
def dags() -> dict[str, Dag]:
    with stand_ins() as made:
        runpy.run_path(str(FILE))
        return {one.dag_id.removeprefix("activityrec_"): one for one in made}


def test_there_is_a_dag_for_each_job_at_the_same_time(dags: dict[str, Dag]) -> None:
    assert set(dags) == set(JOBS)
    for name, dag in dags.items():
        quartz = JOBS[name]["schedule"]["quartz_cron_expression"].split()
        _, minute, hour, day, month, weekday = ["*" if part == "?" else part for part in quartz]
        wanted = [minute, hour, day, month, {"SUN": "0"}.get(weekday, weekday)]
        assert dag.settings["schedule"].split() == wanted
        assert (dag.settings["max_active_runs"], dag.settings["catchup"]) == (1, False)


def test_tasks_are_those_of_the_bundle_in_its_order(dags: dict[str, Dag]) -> None:
    for name, dag in dags.items():
        wanted: list[Any] = [
            (task["task_key"], [one["task_key"] for one in task.get("depends_on", [])])
            for task in JOBS[name]["tasks"]
        ]
        assert [(task.task_id, task.upstream) for task in dag.tasks] == wanted


@pytest.mark.parametrize("name", JOBS)
def test_a_task_starts_the_script_of_the_bundle_with_arguments_that_it_takes(
    dags: dict[str, Dag], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for task, of_bundle in zip(dags[name].tasks, JOBS[name]["tasks"], strict=True):
        assert rendered(task.settings["cwd"]) == str(ROOT)
        start, script, *arguments = rendered(task.bash_command).split()
        assert start == "./spark-submit.sh"
        assert of_bundle["spark_python_task"]["python_file"] == f"../../{script}"
        assert ("--held-out" in arguments) == (
            "--held-out" in of_bundle["spark_python_task"]["parameters"]
        )
        assert parse(ROOT / script, arguments, monkeypatch).as_of == RUN_DAY


def test_one_task_at_a_time_with_every_secret(dags: dict[str, Dag]) -> None:
    (cluster,) = JOBS["pipeline"]["job_clusters"]
    secrets = {
        name
        for name, value in cluster["new_cluster"]["spark_env_vars"].items()
        if "secrets/" in value
    }
    for dag in dags.values():
        for task in dag.tasks:
            assert task.settings["pool"] == "activityrec"
            assert set(task.settings["env"]) == secrets and task.settings["append_env"]


def test_what_would_end_the_same_way_again_is_not_tried_again(dags: dict[str, Dag]) -> None:
    tasks = [task for job in JOBS.values() for task in job["tasks"]]
    once = {task["task_key"] for task in tasks if task["max_retries"] == 0}
    assert once == {"promote", "publish", "monitor"}
    here = [task for dag in dags.values() for task in dag.tasks]
    assert {task.task_id for task in here if task.settings["retries"] == 0} == once
