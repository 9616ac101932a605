"""One Spark session for the whole run, and a planted data set that went through the pipeline."""

import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pyspark
import pytest
from pyspark.sql import SparkSession

from activityrec.config import Config
from activityrec.config_file import load_config
from activityrec.job import Job, open_job, run_stages, set_up_logging
from activityrec.session import get_spark, read_properties
from tests.planted import AS_OF, write_planted

ROOT = Path(__file__).parents[1]

if not hasattr(sys.modules["__main__"], "__file__"):
    # A process of pytest-xdist. PySpark takes one whose main module has no file for a doctest, and
    # ends it where Spark Connect's packages are missing (pyspark/sql/connect/utils.py).
    sys.modules["__main__"].__file__ = __file__
SPARK_4_0 = pyspark.__version__.startswith("4.0.")
JARS = ROOT / (".jars-4.0" if SPARK_4_0 else ".jars")


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> SparkSession:
    """The session that all tests share."""
    return new_session(tmp_path_factory.mktemp("spark"))


def new_session(folder: Path) -> SparkSession:
    """Local Spark with Delta; workers import the library from lib/."""
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "lib"), str(ROOT)])
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    properties = read_properties(ROOT / "conf/spark/delta.conf", ROOT / "conf/spark/test.conf")
    properties |= {
        "spark.master": "local[2]",
        "spark.jars": ",".join(str(jar) for jar in sorted(JARS.rglob("*.jar"))),
        "spark.checkpoint.dir": str(folder / "checkpoints"),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.driver.defaultJavaOptions": (
            f"-Dlog4j2.configurationFile={ROOT / 'conf/spark/log4j2.properties'}"
        ),
    }
    assert sys.executable
    set_up_logging()
    return get_spark("tests", properties)


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the planted data set and of its YAML, ``planted.yaml``."""
    return write_planted(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="session")
def planted_config(planted: Path) -> Config:
    return load_config(planted / "planted.yaml")


@pytest.fixture(scope="session")
def planted_run(spark: SparkSession, planted_config: Config) -> Job:
    """The planted data after the whole pipeline at AS_OF. Tests read it and do not change it."""
    import pipeline

    job = open_job(spark, planted_config, AS_OF)
    run_stages(job, pipeline.STAGES)
    return job


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Of several processes (pytest -n) one runs the planted pipeline and all files that look at it;
    each other file stays together, for the sake of what its tests share."""
    from xdist.scheduler import LoadScopeScheduling

    @cache
    def group(path: str) -> str:
        return "planted" if "planted_run" in (ROOT / path).read_text() else path

    class Files(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group(nodeid.split("::", 1)[0])

    return Files(config, log)
