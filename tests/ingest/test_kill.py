"""kill -9 of a whole ingestion, and the next one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pyspark.sql import SparkSession

from tests.conftest import ROOT
from tests.ingest.test_load import Shop, event

POINTS = ("during the merge", "after the merge, before the checkpoint")


@pytest.mark.slow
def test_tables_after_kills_and_another_run_are_those_of_an_undisturbed_one(
    spark: SparkSession, tmp_path: Path
) -> None:
    shop = Shop(spark, tmp_path)
    shop.events["load"] = "upsert"
    shop.write("1.json", event("a", "1"), event("b", "1"))
    shop.load()
    shop.write("2.json", event("a", "2"), event("c"), event("x", "many"), event("c"))
    path = tmp_path / "shop.yaml"
    config = shop.ingestion().config.model_dump(mode="json", exclude_none=True)
    path.write_text(yaml.safe_dump(config))
    for point in POINTS:
        killed = subprocess.run(
            [sys.executable, "-m", "tests.killed", str(path), point],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": f"{ROOT / 'lib'}:{ROOT / 'jobs'}:{ROOT}"},
            start_new_session=True,
            capture_output=True,
            text=True,
        )
        assert killed.returncode == -9, killed.stderr
    shop.write("3.json", event("d", "many"), event("a", "2"))
    shop.load()
    assert shop.amounts() == {"a": 2.0, "b": 1.0, "c": 1.0}
    assert [(name, reasons) for name, reasons, _ in shop.quarantine()] == [
        ("a", ["superseded: a later row has the same event_id"]),
        ("d", ["amount: not a DOUBLE"]),
        ("x", ["amount: not a DOUBLE"]),
    ]
    counted = [(b["rows"], b["added"], b["changed"], b["refused"]) for b in shop.batches()]
    assert counted == [(2, 2, 0, 0), (4, 1, 1, 1), (2, 0, 0, 1)]
