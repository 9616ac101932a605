"""A metastore that goes down in the middle of a stage, or is down at its start: an error, and the
stage can be run again."""

import shutil
from pathlib import Path

import pytest
import yaml
from pyspark.testing import assertDataFrameEqual

from activityrec.job import Job
from activityrec.tables import user_features
from tests.cluster.standalone import Cluster, Run
from tests.conftest import ROOT
from tests.metastore import PASSWORD, comes_up, goes_down, metastore_properties
from tests.planted import AS_OF
from tests.postgres import postgres_server

pytestmark = pytest.mark.cluster
ON_A_DISK = "checkpoint directory must not be on the local filesystem"
"""Spark says so on a cluster; this one shares a disk."""


class Shop:
    """The planted shop with its tables in a catalog."""

    def __init__(self, planted: Path, folder: Path, metastore: str, cluster: Cluster) -> None:
        self.cluster = cluster
        self.folder, self.properties = folder, folder / "spark.conf"
        for path in planted.glob("*.json"):
            shutil.copy(path, folder)
        small = (ROOT / "conf/spark/test.conf").read_text(encoding="utf-8")
        self.properties.write_text(small + metastore, encoding="utf-8")
        config = yaml.safe_load((planted / "planted.yaml").read_text(encoding="utf-8"))
        config["lakehouse"] = {"catalog": "spark_catalog"}
        self.yaml = folder / "shop.yaml"
        self.yaml.write_text(yaml.safe_dump(config), encoding="utf-8")

    def start(self, stage: str) -> Run:
        return self.cluster.submit(
            *("--properties-file", str(self.properties), f"jobs/{stage}.py"),
            *("--config", str(self.yaml), "--as-of", str(AS_OF)),
        )

    def features_files(self) -> set[Path]:
        return set((self.folder / "warehouse/features.db").rglob("*.parquet"))


def test_it_can_be_run_again_when_the_metastore_is_up(
    cluster: Cluster,
    planted: Path,
    planted_run: Job,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in PASSWORD.items():
        monkeypatch.setenv(name, value)
    with postgres_server() as (address, sql):
        shop = Shop(planted, tmp_path, metastore_properties(tmp_path, address, sql), cluster)
        ingest = shop.start("ingest")
        assert ingest.status() == 0, ingest.said()[-3000:]

        features = shop.start("features")
        features.wait_until(lambda: bool(shop.features_files()), "features wrote")
        goes_down(sql)
        assert features.status() == 1, "too late to be in the middle"
        lines = [line for line in features.said().splitlines() if line.strip()]
        assert "ERROR" in lines[-1] and "metastore" in lines[-1], "\n".join(lines[-5:])

        late = shop.start("features")
        assert late.status() == 1, "it is down at the start as well"
        lines = [line for line in late.said().splitlines() if line.strip()]
        assert "ERROR" in lines[-1] and "HiveMetaStoreClient" in lines[-1], "\n".join(lines[-5:])

        comes_up(sql)
        features = shop.start("features")
        assert features.status() == 0, features.said()[-3000:]
        for run in (ingest, features):
            said = "\n".join(line for line in run.said().splitlines() if ON_A_DISK not in line)
            assert "ERROR" not in said and " WARN " not in said, "nothing to act on"

    table = user_features(planted_run.config)
    wanted = planted_run.lakehouse.read(table).where(f"snapshot_date = '{AS_OF}'")
    path = tmp_path / "warehouse/features.db" / table.name.rpartition(".")[2]
    made = planted_run.spark.read.format("delta").load(str(path))
    found = made.where(f"snapshot_date = '{AS_OF}'").select(wanted.columns)
    assert wanted.count() > 50
    assertDataFrameEqual(found, wanted, rtol=1e-9)
