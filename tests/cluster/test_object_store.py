"""The lakehouse on an object store: moto's S3 server on loopback.

Spark fetches hadoop-aws with the SDK of AWS, 690 MB, when it runs for the first time; the server
is ``pip install 'moto[server,s3]'``, anywhere on PATH.
"""

import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from pyspark.testing import assertDataFrameEqual

import pipeline
from activityrec.job import Job
from tests.cluster.standalone import DEADLINE, Run, submitted
from tests.cluster.test_cluster import lists
from tests.planted import AS_OF
from tests.ports import free_port

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(shutil.which("moto_server") is None, reason="no moto_server on PATH"),
]
READ = """
import sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
rows = spark.read.format("delta").load(sys.argv[1] + "/serving/recommendations")
rows.write.parquet(sys.argv[2])
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that has a bucket named ``lake``."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (tmp_path_factory.mktemp("store") / "server.log").open("wb") as log:
        server = subprocess.Popen(["moto_server", "-p", str(port)], stdout=log, stderr=log)
    try:
        _make_bucket(f"{url}/lake")
        yield url
    finally:
        server.kill()
        server.wait()


def _make_bucket(url: str) -> None:
    last = time.monotonic() + DEADLINE
    while time.monotonic() < last:
        with suppress(urllib.error.URLError):
            urllib.request.urlopen(urllib.request.Request(url, method="PUT")).close()
            return
        time.sleep(0.1)
    raise TimeoutError(url)


class Shop:
    """The planted shop, its lakehouse on the store, everything else in a folder."""

    def __init__(self, folder: Path, planted: Path, store: str) -> None:
        self.folder, self.store, self.runs = folder, store, list[Run]()
        self.root = f"s3a://lake/{folder.name}"
        for path in planted.glob("*.json"):
            shutil.copy(path, folder)
        config = yaml.safe_load((planted / "planted.yaml").read_text())
        config["lakehouse"] = {"root": self.root}
        self.config = folder / "planted.yaml"
        self.config.write_text(yaml.safe_dump(config))

    def submit(self, *job: str) -> Run:
        confs = {
            "endpoint": self.store,
            "endpoint.region": "us-east-1",
            "path.style.access": "true",
            "connection.ssl.enabled": "false",
            "access.key": "any",
            "secret.key": "any",
        }
        s3 = [p for k, v in confs.items() for p in ("--conf", f"spark.hadoop.fs.s3a.{k}={v}")]
        packages = ("--packages", "org.apache.hadoop:hadoop-aws:3.5.0")
        log = self.folder / f"run{len(self.runs)}.log"
        self.runs.append(submitted(log, "local[2]", *packages, *s3, *job))
        return self.runs[-1]

    def pipeline(self, *options: str) -> Run:
        where = ("--config", str(self.config), "--as-of", str(AS_OF))
        return self.submit(str(Path(pipeline.__file__)), *where, *options)


@pytest.fixture
def shop(tmp_path: Path, planted: Path, store: str) -> Iterator[Shop]:
    made = Shop(tmp_path, planted, store)
    yield made
    for run in made.runs:
        if run.process.poll() is None:
            run.kill()


def test_one_pipeline_at_a_time_gives_the_same_lists_also_after_a_kill(
    shop: Shop, planted_run: Job
) -> None:
    killed = shop.pipeline()
    killed.wait_until(lambda: "] ingest:" in killed.said(), "ingest was done")
    killed.kill()
    # It waits until the lease of the dead one has not changed for two minutes.
    second = shop.pipeline("--resume")
    second.wait_until(lambda: "was done before" in second.said(), "the second took over")
    assert "goes on: ingest was done before" in second.said()
    third = shop.pipeline("--resume")
    assert third.status() == 1
    assert "is working on it; wait until it has ended" in third.said()
    assert second.status() == 0, second.said()[-3000:]
    script, copy = shop.folder / "read.py", shop.folder / "copy"
    script.write_text(READ)
    read = shop.submit(str(script), shop.root, str(copy))
    assert read.status() == 0, read.said()[-3000:]
    made = planted_run.spark.read.parquet(str(copy))
    wanted = lists(planted_run, planted_run.lakehouse)
    assertDataFrameEqual(made.select(wanted.columns), wanted, rtol=1e-6)
