"""databricks.yml: what it says is what the published classes, the scripts and the code know."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

import pipeline
from activityrec.config import Config
from activityrec.config_file import load_config, parse_as_of
from activityrec.ingest.reading import options_of
from activityrec.session import read_properties
from tests.bundle import FILE, ROOT, RUN_DAY, TARGETS, arguments, resources, written
from tests.scripts import parse

TOP = {
    "artifacts", "bundle", "experimental", "include", "permissions", "presets", "python",
    "resources", "run_as", "scripts", "sync", "targets", "variables", "workspace",
}  # fmt: skip
OF_A_TARGET = {
    "artifacts", "bundle", "cluster_id", "default", "git", "mode", "permissions", "presets",
    "resources", "run_as", "sync", "variables", "workspace",
}  # fmt: skip
"""Keys of the published schema (databricks/cli, bundle/schema/jsonschema.json, config.Root and
config.Target), which the published Python classes do not cover."""
JOBS = resources("prod")["jobs"]
ON_CLUSTERS = [name for name, job in JOBS.items() if "job_clusters" in job]
TASKS = [(name, task["task_key"]) for name, job in JOBS.items() for task in job["tasks"]]
SECRET = re.compile(r"\{\{secrets/[\w-]+/(\w+)\}\}")


def script_of(task: dict[str, Any]) -> Path:
    """The file that a task runs: its path is relative to the file that declares it."""
    return (ROOT / "conf/databricks" / task["spark_python_task"]["python_file"]).resolve()


def task_of(job: str, key: str) -> dict[str, Any]:
    (task,) = [task for task in JOBS[job]["tasks"] if task["task_key"] == key]
    return task


@pytest.mark.parametrize("target", TARGETS)
def test_resources_are_of_the_published_classes(target: str) -> None:
    """They refuse unknown fields, wrong types and unknown values."""
    try:
        from databricks.bundles import jobs, schemas, volumes
    except ImportError:
        assert not os.environ.get("CI"), "CI must have databricks-bundles"
        pytest.skip("databricks-bundles is not installed")
    classes = {"jobs": jobs.Job, "schemas": schemas.Schema, "volumes": volumes.Volume}
    found = resources(target)
    assert set(found) == set(classes)
    for kind, named in found.items():
        for resource in named.values():
            classes[kind].from_dict(resource)
    broken = {**JOBS["maintain"], "tasks": [{"task_key": "a", "depends_on": [{"task": "b"}]}]}
    with pytest.raises(ValueError, match="Unexpected field 'task'"):
        jobs.Job.from_dict(broken)


def test_top_level_keys_are_those_of_the_published_schema() -> None:
    bundle = written()
    assert set(bundle) <= TOP
    for target in bundle["targets"].values():
        assert set(target) <= OF_A_TARGET
        assert set(target["variables"]) <= set(bundle["variables"])
    for variable in bundle["variables"].values():
        assert set(variable) <= {"default", "description", "lookup", "type"}
    assert set(bundle["artifacts"]["library"]) <= {
        "build", "dynamic_version", "executable", "files", "path", "type"
    }  # fmt: skip


def test_every_variable_is_of_use() -> None:
    text = FILE.read_text() + "".join(f.read_text() for f in ROOT.glob("conf/databricks/*.yml"))
    used = set(re.findall(r"\$\{var\.(\w+)\}", text))
    assert used == set(written()["variables"])


@pytest.mark.parametrize(("job", "key"), TASKS)
def test_a_task_starts_its_script_with_arguments_that_it_takes(
    job: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_of(job, key)
    given = parse(script_of(task), arguments(JOBS[job], task), monkeypatch)
    assert load_config(given.config, given.catalog).lakehouse.catalog == "main"
    if job != "forget":
        assert str(parse_as_of(given.as_of)) == RUN_DAY


@pytest.mark.parametrize("job", JOBS)
def test_tasks_depend_on_tasks_and_clusters_that_exist(job: str) -> None:
    clusters = {cluster["job_cluster_key"] for cluster in JOBS[job].get("job_clusters", [])}
    environments = {one["environment_key"] for one in JOBS[job].get("environments", [])}
    seen: set[str] = set()
    for task in JOBS[job]["tasks"]:
        assert {needed["task_key"] for needed in task.get("depends_on", [])} <= seen
        if "environment_key" in task:
            assert task["environment_key"] in environments
            # Serverless compute takes libraries from the environment alone.
            assert not {"job_cluster_key", "libraries"} & set(task)
        else:
            assert task["job_cluster_key"] in clusters
        seen.add(task["task_key"])


def test_the_tasks_are_the_stages_of_the_pipeline_one_after_the_other() -> None:
    tasks = JOBS["pipeline"]["tasks"]
    keys = [task["task_key"] for task in tasks]
    for task, before in zip(tasks[1:], keys, strict=False):
        assert task["depends_on"] == [{"task_key": before}]
    # What the pipeline's stage recommend begins with, where models are of an earlier day.
    assert keys.index("features_of_today") + 1 == keys.index("recommend")
    keys.remove("features_of_today")
    assert keys == [name for name, _ in pipeline.STAGES]


def test_models_are_made_at_the_day_at_which_the_pipeline_makes_them() -> None:
    of_models = {name for name, _ in pipeline.MODELS}
    for task in JOBS["pipeline"]["tasks"]:
        held_out = "--held-out" in task["spark_python_task"]["parameters"]
        assert held_out == (task["task_key"] in of_models)


@pytest.mark.parametrize("job", JOBS)
def test_a_job_runs_once_at_a_time_ends_and_tells_of_failure(job: str) -> None:
    assert JOBS[job]["max_concurrent_runs"] == 1
    assert JOBS[job]["queue"] == {"enabled": True}
    assert JOBS[job]["timeout_seconds"] > 0
    assert "on_failure" in JOBS[job]["email_notifications"]
    for task in JOBS[job]["tasks"]:
        assert "max_retries" in task
        assert task.get("timeout_seconds", 0) < JOBS[job]["timeout_seconds"]


def test_no_two_jobs_are_scheduled_to_work_at_the_same_time() -> None:
    """In a catalog nothing else keeps a second job away from the tables."""
    windows = []
    for name, job in JOBS.items():
        assert job["schedule"]["timezone_id"] == "UTC"
        if job["schedule"]["pause_status"] == "PAUSED":
            continue
        seconds, minutes, hours = map(int, job["schedule"]["quartz_cron_expression"].split()[:3])
        start = 3600 * hours + 60 * minutes + seconds
        windows.append((start, start + job["timeout_seconds"], name))
    windows.sort()
    # The first one again, on the next day.
    windows.append((windows[0][0] + 86_400, 0, windows[0][2]))
    for (_, end, name), (start, _, other) in zip(windows, windows[1:], strict=False):
        assert end <= start, f"{name} may still run when {other} starts"


def test_targets_have_tables_of_their_own_and_only_prod_runs_by_itself() -> None:
    catalogs = {t: written()["targets"][t]["variables"]["catalog"] for t in TARGETS}
    assert len(set(catalogs.values())) == len(TARGETS)
    for target in TARGETS:
        found = resources(target)
        assert {s["catalog_name"] for s in found["schemas"].values()} == {catalogs[target]}
        paused = {found["jobs"][name]["schedule"]["pause_status"] for name in ON_CLUSTERS}
        assert paused == {"UNPAUSED" if target == "prod" else "PAUSED"}


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_shares_no_file_with_another(target: str) -> None:
    catalog = written()["targets"][target]["variables"]["catalog"]
    config = load_config(ROOT / "conf/databricks/shop.yaml", catalog)
    written_to = [config.ingest.checkpoints, config.evaluate.report_folder]
    volumes = {f"/Volumes/{v['catalog_name']}/{v['schema_name']}/{v['name']}/"
               for v in resources(target)["volumes"].values()}  # fmt: skip
    for path in written_to:
        assert any((path or "").startswith(volume) or path == volume[:-1] for volume in volumes)
    assert config.tracking.experiment == f"/Shared/activityrec/{catalog}"


def environment(job: str) -> dict[str, str]:
    (cluster,) = JOBS[job]["job_clusters"]
    return cluster["new_cluster"]["spark_env_vars"]


def test_the_serverless_job_does_what_its_twin_does_and_is_started_by_hand() -> None:
    ours, twin = JOBS["maintain_serverless"], JOBS["maintain"]
    assert ours["schedule"] == {**twin["schedule"], "pause_status": "PAUSED"}
    for kind in ("parameters", "timeout_seconds"):
        assert ours[kind] == twin[kind]
    assert [t["spark_python_task"] for t in ours["tasks"]] == [
        t["spark_python_task"] for t in twin["tasks"]
    ]
    ((environment,), (task,)) = ours["environments"], twin["tasks"]
    installed = [package for one in task["libraries"] for package in
                 ([one["whl"]] if "whl" in one else [one["pypi"]["package"]])]  # fmt: skip
    assert environment["spec"]["dependencies"] == installed


@pytest.mark.parametrize("job", ON_CLUSTERS)
def test_every_secret_that_the_configuration_names_is_passed(
    job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config(ROOT / "conf/databricks/shop.yaml")
    secrets = {name for name, value in environment(job).items() if SECRET.fullmatch(value)}
    assert secrets == named_in(config)
    # The code finds them where they are passed, and nowhere else.
    for name in secrets:
        monkeypatch.setenv(name, f"the {name}")
    (customers,) = config.sources.users
    assert options_of(customers)["password"] == "the SOURCE_PASSWORD"


def named_in(config: Config) -> set[str]:
    """The environment variables that a configuration reads."""
    assert config.privacy is not None
    options = [source.options for table in type(config.sources).model_fields
               for source in getattr(config.sources, table)]  # fmt: skip
    options += [database.options for database in config.export.databases.values()]
    text = " ".join(value for some in options for value in some.values())
    return {str(config.privacy.key_env), *re.findall(r"\$\{(\w+)\}", text)}


@pytest.mark.parametrize("job", ON_CLUSTERS)
def test_clusters_have_the_settings_that_every_deployment_needs(job: str) -> None:
    (cluster,) = JOBS[job]["job_clusters"]
    settings = cluster["new_cluster"]["spark_conf"]
    needed = read_properties(ROOT / "conf/spark/delta.conf")
    # Part of the runtime; and there is no local disk.
    for key in ("spark.sql.extensions", "spark.sql.catalog.spark_catalog"):
        del needed[key]
    del needed["spark.delta.logStore.file.impl"]
    assert {key: settings.get(key) for key in needed} == needed
    assert "spark.checkpoint.dir" in settings


@pytest.mark.slow
def test_a_task_runs_here_with_its_arguments(planted: Path, tmp_path: Path) -> None:
    """Through spark-submit, in a catalog, with another configuration as a parameter of the job."""
    job = JOBS["pipeline"]
    values = {"config": str(planted / "planted.yaml"), "catalog": "spark_catalog"}
    changed = [
        {**one, "default": values.get(one["name"], one["default"])} for one in job["parameters"]
    ]
    task = task_of("pipeline", "ingest")
    command = [
        str(ROOT / "spark-submit.sh"),
        "--properties-file", str(ROOT / "conf/spark/test.conf"),
        "--conf", f"spark.sql.warehouse.dir={tmp_path / 'warehouse'}",
        str(script_of(task)),
        *arguments({**job, "parameters": changed}, task),
    ]  # fmt: skip
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=900)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "[1/1] ingest: users 60, " in ended.stdout
    assert (tmp_path / "warehouse/clean.db/events/_delta_log").is_dir()
