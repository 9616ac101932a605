"""The search on the planted data set, after its pipeline."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import mlflow
import pytest
import yaml
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.testing import assertDataFrameEqual

import tune
from activityrec.config import TuneConfig
from activityrec.errors import StateError
from activityrec.job import Job, open_job
from activityrec.tables import Table
from activityrec.tuning.measure import Measure
from activityrec.tuning.scores import fitted_scores
from activityrec.tuning.space import with_values
from activityrec.tuning.windows import closed_examples, rolling
from tests.planted import AS_OF

FIRST, SECOND = date(2024, 3, 11), date(2024, 3, 31)


class Told:
    """A lakehouse in which everything happened again, from as_of on."""

    times = {
        "events": "event_ts",
        "exposures": "exposure_ts",
        "user_daily": "event_date",
        "training_examples": "as_of",
    }

    def __init__(self, lakehouse: Any) -> None:
        self.lakehouse = lakehouse

    def __getattr__(self, name: str) -> Any:
        return getattr(self.lakehouse, name)

    def read(self, table: Table) -> DataFrame:
        rows = self.lakehouse.read(table)
        if table.name not in self.times:
            return rows
        time = self.times[table.name]
        # The first event is of the first day of the log, 121 days before as_of.
        later = (F.col(time) + F.expr("INTERVAL 121 DAYS")).cast(rows.schema[time].dataType)
        return rows.unionByName(rows.withColumn(time, later).where(later >= F.lit(AS_OF)))


@pytest.mark.slow
def test_nothing_of_as_of_or_later_is_read(planted_run: Job) -> None:
    told = replace(planted_run, lakehouse=Told(planted_run.lakehouse))
    before, after = closed_examples(planted_run), closed_examples(told)
    assertDataFrameEqual(after, before)
    row = before.agg(F.max("closes_ts"), F.max("exposure_ts")).first()
    assert row is not None
    assert max(row).date() <= AS_OF and row[1].date() < AS_OF
    pairs = rolling([SECOND], AS_OF)[0].validation(before)
    scores = [
        fitted_scores(job, job.config, "als", SECOND, pairs).localCheckpoint()
        for job in (planted_run, told)
    ]
    assertDataFrameEqual(scores[1], scores[0], rtol=1e-9)
    assert scores[0].where("als_score != 0").count() > 0


def test_without_examples_of_as_of_the_error_says_what_to_run(planted_run: Job) -> None:
    early = open_job(planted_run.spark, planted_run.config, AS_OF - timedelta(days=1))
    with pytest.raises(StateError, match="no rows of 2024-04-30: run features and train"):
        closed_examples(early)


@pytest.mark.slow
def test_retrievers_are_fitted_once_for_equal_parameters(planted_run: Job) -> None:
    examples = closed_examples(planted_run).localCheckpoint()
    measure = Measure.of(planted_run, examples, rolling([SECOND], AS_OF), ["als"])
    rescored = measure.rescored
    assert rescored is not None
    (found,) = measure(planted_run.config)
    assert found["auc"] > 0.7
    assert rescored.fits == 3, "two before the window, for what it trains on, and its first day"
    other_ranker = with_values(planted_run.config, {"ranker.logistic.penalty": 200.0})
    (other,) = measure(other_ranker)
    assert rescored.fits == 3 and other["log_loss"] != found["log_loss"]
    rows = rescored.until(other_ranker, AS_OF)
    assert rows.count() == examples.count()
    assert set(rows.columns) == set(examples.columns)


@pytest.mark.slow
def test_a_retriever_alone_is_measured_by_its_score(planted_run: Job) -> None:
    section = planted_run.config.tune.model_copy(update={"model": "history"})
    config = planted_run.config.model_copy(update={"tune": section})
    examples = closed_examples(planted_run).localCheckpoint()
    windows = rolling([SECOND], AS_OF)
    (found,) = Measure.of(planted_run, examples, windows, ["history"])(config)
    assert found["auc_within_user"] > 0.8
    assert "log_loss" not in found, "its score is no probability"


def test_before_the_first_event_a_retriever_scores_0(planted_run: Job) -> None:
    pairs = closed_examples(planted_run).limit(5)
    scores = fitted_scores(planted_run, planted_run.config, "als", date(2023, 12, 1), pairs)
    assert {row["als_score"] for row in scores.collect()} == {0.0}


@pytest.mark.slow
def test_the_job_finds_a_better_ranker_and_writes_it_down(
    planted_run: Job, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # With such a penalty every weight is 0, and every score the same.
    bad = with_values(
        planted_run.config, {"ranker.logistic.penalty": 1e4, "ranker.logistic.elastic_net": 1.0}
    )
    section = TuneConfig.model_validate(
        {
            "trials": 4,
            "windows": [FIRST, SECOND],
            "storage": f"sqlite:///{tmp_path}/trials.db",
            "space": {"ranker.logistic.penalty": [1.0, 10.0], "ranker.logistic.elastic_net": [0.0]},
        }
    )
    config = bad.model_copy(update={"tune": section})
    output = str(tmp_path / "best.yaml")
    job = replace(open_job(planted_run.spark, config, AS_OF), options={"output": output})
    tune.run(job)
    text = Path(output).read_text(encoding="utf-8")
    found = yaml.safe_load(text)["ranker"]["logistic"]
    assert found["penalty"] in (1.0, 10.0) and found["elastic_net"] == 0.0
    lines = capsys.readouterr().out.splitlines()[:4]
    printed = dict(line.rsplit(maxsplit=1) for line in lines)
    value = {name.split(", ")[1]: float(number) for name, number in printed.items()}
    assert value["best"] > value["past_rate"] > 0
    assert value["best"] > value["configuration"] + 0.1
    name = f"{job.run_id} tune"
    runs = mlflow.search_runs(experiment_names=["planted"], output_format="list")
    (parent,) = [run for run in runs if run.info.run_name == name]
    assert parent.data.metrics["best"] == pytest.approx(value["best"], abs=1e-4)
    assert mlflow.artifacts.load_text(f"{parent.info.artifact_uri}/best.yaml") == text
    assert parent.data.tags["delta.features.training_examples"]
    assert "popularity/average_precision" in parent.data.metrics
