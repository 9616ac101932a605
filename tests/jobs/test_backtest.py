"""Rolling origins: one table of all days, and models as they were before."""

import shutil
from datetime import date
from pathlib import Path

import mlflow
import pytest
from pyspark.sql import SparkSession

import backtest
import ingest
from activityrec import tables
from activityrec.config_file import load_config
from activityrec.errors import ConfigError
from activityrec.job import Job, open_job, run_stages
from activityrec.tracking import CHALLENGER, CHAMPION
from tests.planted import AS_OF

DAYS = "2024-04-20, 2024-04-05"


def job_with(job: Job, dates: str | None) -> Job:
    return Job(**{**vars(job), "options": {"dates": dates}})


@pytest.mark.parametrize("dates", [None, "", " , ", "2024-05-01", "2024-04-01,2024-06-01"])
def test_days_that_are_none_or_too_late_are_refused(planted_run: Job, dates: str | None) -> None:
    with pytest.raises(ConfigError, match="--dates: give one or more days before --as-of"):
        backtest.origins(job_with(planted_run, dates))


@pytest.mark.slow
def test_each_day_is_evaluated_with_what_was_known_then(
    spark: SparkSession, planted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "shop"
    shutil.copytree(planted, folder, ignore=shutil.ignore_patterns("lakehouse", "mlflow*"))
    job = open_job(spark, load_config(folder / "planted.yaml"), AS_OF)
    run_stages(job, [("ingest", ingest.run)])
    backtest.backtest(job_with(job, DAYS))
    metrics = job.lakehouse.read(tables.METRICS).where("slice = 'all' AND metric = 'auc'")
    found = {row["as_of"] for row in metrics.where("model = 'ranker'").collect()}
    assert found == {date(2024, 4, 5), date(2024, 4, 20)}
    scored = job.lakehouse.read(tables.SCORED_EXPOSURES)
    assert scored.where(f"exposure_ts >= '{AS_OF}'").isEmpty(), "nothing from as_of on"
    assert job.tracking.version("ranker", CHALLENGER) is None, "as it was before"
    assert job.tracking.version("ranker", CHAMPION) is None
    (run,) = [
        run
        for run in mlflow.search_runs(experiment_names=["planted"], output_format="list")
        if run.info.run_name.endswith("backtest")
    ]
    client = mlflow.MlflowClient()
    history = client.get_metric_history(run.info.run_id, "all/ranker/auc")
    assert [entry.step for entry in history] == [0, 1]
    assert "2024-04-05" in capsys.readouterr().out
