"""The whole path on planted data without exposures: the ranker learns from responses alone."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from pyspark.sql import SparkSession

import evaluate
import features
import ingest
import promote
import recommend
import train
from activityrec import tables
from activityrec.config_file import load_config
from activityrec.job import Job, open_job, run_stages
from tests.planted import AS_OF


@pytest.mark.slow
def test_a_ranker_is_learnt_from_responses_and_segments_where_there_are_no_exposures(
    spark: SparkSession, planted: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "shop"
    shutil.copytree(planted, folder, ignore=shutil.ignore_patterns("lakehouse", "mlflow*"))
    raw = yaml.safe_load((folder / "planted.yaml").read_text())
    del raw["sources"]["exposures"]
    raw["retrieval"]["segments"] = {"sizes": [2]}
    # At the first fit nobody has answered an activity yet.
    raw["retrieval"] |= {"refit_days": 100, "item_knn": {"items": ["activity"], "min_users": 2}}
    raw["retrieval"]["methods"]["item_knn"] = 0.5
    raw["ranker"]["categorical"] = ["segment"]
    (folder / "planted.yaml").write_text(yaml.safe_dump(raw))
    job = open_job(spark, load_config(folder / "planted.yaml"), AS_OF)

    def forced(job: Job) -> dict[str, int]:
        return promote.run(replace(job, flags=frozenset({"force"})))

    stages = [(s.__name__, s.run) for s in (ingest, features, train, evaluate)]
    stages += [("promote", forced), ("recommend", recommend.run)]
    run_stages(job, stages)

    examples = job.lakehouse.read(tables.training_examples(job.config))
    found = {row["label"]: row for row in examples.groupBy("label").avg("weight").collect()}
    assert set(found) == {0, 1}
    assert found[1]["avg(weight)"] == 1
    late = examples.where(f"snapshot_date > DATE'{AS_OF}' - INTERVAL 30 DAYS")
    assert {row["segment"] for row in late.select("segment").distinct().collect()} == {"0", "1"}
    lists = job.lakehouse.read(tables.RECOMMENDATIONS)
    assert lists.where("probability IS NULL OR size(reasons) = 0").isEmpty()
    auc = job.lakehouse.read(tables.METRICS).where(
        "model = 'ranker' AND metric = 'auc' AND slice = 'all'"
    )
    assert auc.where("population = 'all'").collect()[0]["value"] > 0.75
