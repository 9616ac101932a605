"""What spark-submit.sh adds to a caller's command, seen by a stand-in for Spark's own script."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.fixture
def spark_home(tmp_path: Path) -> Path:
    """Of a Spark whose spark-submit prints its arguments, one a line."""
    script = tmp_path / "spark/bin/spark-submit"
    script.parent.mkdir(parents=True)
    script.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    script.chmod(0o755)
    return tmp_path / "spark"


def submitted(spark_home: Path, *arguments: str) -> list[str]:
    environment = os.environ | {"SPARK_HOME": str(spark_home), "PYSPARK_PYTHON": sys.executable}
    command = [str(ROOT / "spark-submit.sh"), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize("given", ["option", "conf", "file", "defaults"])
def test_a_driver_elsewhere_gets_no_path_of_this_machine(
    spark_home: Path, tmp_path: Path, given: str
) -> None:
    line = "spark.submit.deployMode cluster\n"
    (tmp_path / "cluster.conf").write_text(line)
    if given == "defaults":
        (spark_home / "conf").mkdir()
        (spark_home / "conf/spark-defaults.conf").write_text(line)
    where = {
        "option": ["--deploy-mode", "cluster"],
        "conf": ["--conf", "spark.submit.deployMode=cluster"],
        "file": ["--properties-file", str(tmp_path / "cluster.conf")],
        "defaults": [],
    }[given]
    client = submitted(spark_home, "--master", "yarn", "jobs/pipeline.py")
    assert given == "defaults" or "--driver-class-path" in client
    found = submitted(spark_home, "--master", "yarn", *where, "jobs/pipeline.py")
    assert "--driver-class-path" not in found
    assert not [one for one in found if "log4j2" in one]
    assert found[-1] == "jobs/pipeline.py"


def test_what_is_shipped_starts_a_job_where_nothing_else_is(
    spark_home: Path, tmp_path: Path
) -> None:
    """As on YARN in cluster mode: the script alone in a folder, what --py-files named beside it."""
    found = submitted(spark_home, "jobs/pipeline.py")
    zipped = found[found.index("--py-files") + 1]
    (tmp_path / "pipeline.py").write_bytes((ROOT / "jobs/pipeline.py").read_bytes())
    done = subprocess.run(
        [sys.executable, str(tmp_path / "pipeline.py"), "--help"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": zipped}, cwd=tmp_path,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "--as-of" in done.stdout
