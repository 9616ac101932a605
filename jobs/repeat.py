"""Repeat: train once more from what an MLflow run logged, and compare.

The tables are read at the versions that the run read, by shallow clones beside the lakehouse, with
the configuration that it logged. Nothing of the deployment is changed.
"""

import logging
import math
from dataclasses import replace

import train
from activityrec.config import Config, LakehouseConfig, TrackingConfig
from activityrec.errors import ConfigError, StateError
from activityrec.job import Job, main, open_job, run_stages
from activityrec.tracking import PARTS, Logged

log = logging.getLogger("activityrec")

CLOSE = 1e-6


def repeat(job: Job) -> None:
    """Compare every metric that the run logged with that of the repetition.

    Raises
    ------
    StateError
        Metrics differ, or a version that the run read is gone.
    """
    run_id = job.options.get("mlflow_run")
    if not run_id or job.lakehouse.root is None:
        raise ConfigError("--mlflow-run: give the id of a run of train, in a lakehouse with a root")
    logged = job.tracking.logged(run_id)
    if logged.name.rpartition(" ")[2] not in PARTS:
        raise ConfigError(f"--mlflow-run: {logged.name!r} is no run of train, which has two")
    scratch = f"{job.lakehouse.root}/.repeat/{run_id}"
    try:
        clone(job, logged, scratch)
        found = again(job, logged, scratch)
    finally:
        job.lakehouse.files.delete(scratch)
    differ = {
        name: (value, found.get(name, math.nan))
        for name, value in logged.metrics.items()
        if not math.isclose(value, found.get(name, math.nan), rel_tol=CLOSE, abs_tol=CLOSE)
    }
    if differ:
        listed = "; ".join(f"{name}: {old:g}, now {new:g}" for name, (old, new) in differ.items())
        raise StateError(f"run {run_id} was repeated with other metrics: {listed}")
    log.info("repeat: all %d metrics of %s are the same", len(logged.metrics), logged.name)


def clone(job: Job, logged: Logged, scratch: str) -> None:
    """The tables at the versions that the run read, without their files."""
    for table, version in logged.versions.items():
        path = table.replace(".", "/")
        source = f"delta.`{job.lakehouse.root}/{path}` VERSION AS OF {version}"
        job.spark.sql(f"CREATE TABLE delta.`{scratch}/{path}` SHALLOW CLONE {source}")


def again(job: Job, logged: Logged, scratch: str) -> dict[str, float]:
    """Train in the scratch lakehouse; the metrics of the run of the same name."""
    config = Config.model_validate(logged.recipe).model_copy(
        update={
            "lakehouse": LakehouseConfig(root=scratch),
            "tracking": TrackingConfig(
                uri=f"sqlite:///{scratch}/mlflow.db", artifacts=f"{scratch}/mlflow"
            ),
        }
    )
    run_id, _, _ = logged.name.rpartition(" ")
    copy = replace(open_job(job.spark, config, logged.as_of, run_id), now=job.now)
    run_stages(copy, [("train", train.run)])
    return copy.tracking.logged(copy.tracking.latest(logged.name)).metrics


if __name__ == "__main__":
    main([], __doc__, finish=repeat, options={"mlflow-run": "id of the run to repeat"})
