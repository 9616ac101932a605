"""The stage that writes the report of a run."""

import logging
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest
from pyspark.sql import SparkSession

import report
import show
from activityrec import tables
from activityrec.job import Job, open_job
from tests.evaluation.report.reader import Page
from tests.planted import AS_OF, USERS


def page_of(job: Job) -> Path:
    return Path(f"{job.lakehouse.root}/reports/{job.run_id}.html")


def test_the_pipeline_leaves_a_report_that_agrees_with_the_metrics(planted_run: Job) -> None:
    page = Page(page_of(planted_run).read_text(encoding="utf-8"))
    assert "The ranker is " in page.sections["summary"]
    metrics = planted_run.lakehouse.read(tables.METRICS).where(
        "metric = 'auc' AND population = 'closed' AND slice = 'all'"
    )
    found = {row["model"]: f"{row['value']:.3f}" for row in metrics.collect()}
    head, auc = page.tables["Population closed"][:2]
    shown = {model: cell.split()[0] for (model, _), (cell, _) in zip(head, auc, strict=True)}
    assert {model: shown[model] for model in found} == found


def test_a_report_names_no_user(planted_run: Job) -> None:
    page = page_of(planted_run).read_text(encoding="utf-8")
    assert not [user for user in range(USERS) if f">u{user}<" in page]


def test_a_report_made_again_replaces_the_first_and_is_in_mlflow(
    spark: SparkSession, planted_run: Job
) -> None:
    page_of(planted_run).write_text("half a page", encoding="utf-8")
    job = open_job(spark, planted_run.config, AS_OF)
    assert report.run(job) == {"reports": 1}
    page = page_of(planted_run).read_text(encoding="utf-8")
    assert page.endswith("</html>")
    last = mlflow.search_runs(filter_string="run_name LIKE '% report'", max_results=1).iloc[0]
    assert mlflow.artifacts.load_text(f"{last['artifact_uri']}/report.html") == page


def test_without_the_packages_there_is_no_report_and_a_word_why(
    planted_run: Job, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(report, "can_render", lambda: False)
    monkeypatch.setattr(logging.getLogger("activityrec"), "propagate", True)
    assert report.run(planted_run) == {"reports": 0}
    assert "pip install 'activityrec[report]'" in caplog.text


def test_show_ends_with_the_place_of_the_report(
    spark: SparkSession, planted_run: Job, capfd: pytest.CaptureFixture[str]
) -> None:
    job = open_job(spark, planted_run.config, AS_OF)
    show.show(replace(job, options={"config": "shop.yaml"}))
    printed = capfd.readouterr().out.strip().splitlines()
    assert printed[-1] == f"Report: {page_of(planted_run)}"
