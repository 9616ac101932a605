"""A real standalone cluster on loopback: a master and workers, each a process of its own.

As on machines of their own, workers do not see the driver's files: where tests run as root, the
folders of DRIVER_ONLY, and the drivers' temporary one, are empty for them when they start.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyspark

from tests.conftest import ROOT
from tests.ports import free_port

DEADLINE = 1200
SPARK_HOME = Path(pyspark.__file__).parent
CONFS = {
    # Small tables on a small cluster; what else conf/spark/test.conf says is not needed here.
    "spark.sql.shuffle.partitions": "2",
    "spark.default.parallelism": "2",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.executor.memory": "900m",
    "spark.driver.memory": "1500m",
}
DRIVER_ONLY = (*(ROOT / name for name in ("lib", "jobs", "conf", ".jars")), Path("/tmp/mlflow"))
"""The last is where MLflow leaves models if it is not told otherwise."""
HIDE = """
set -e
for folder in $HIDDEN; do mkdir -p "$folder"; mount -t tmpfs none "$folder"; done
exec "$@"
"""


class Run:
    """A job that was started by spark-submit.sh, in a process group of its own."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process, self.log = process, log

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_until(self, what: Callable[[], bool], wanted: str) -> None:
        """Come back when it holds; fail when the job ends or nothing happens for too long."""
        last = time.monotonic() + DEADLINE
        while not what():
            assert self.process.poll() is None, f"ended before {wanted}:\n{self.said()[-3000:]}"
            assert time.monotonic() < last, f"{wanted} never came:\n{self.said()[-3000:]}"
            time.sleep(0.05)

    def status(self) -> int:
        return self.process.wait(DEADLINE)

    def kill(self) -> None:
        """``kill -9`` of the driver: its JVM and its Python."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(DEADLINE)


def submitted(log: Path, master: str, *job: str, temporary: Path | None = None) -> Run:
    """Give a job to a cluster, after further arguments of spark-submit. What the driver's Python
    and its Spark write on the side is in the folder ``temporary``."""
    confs = [part for key, value in CONFS.items() for part in ("--conf", f"{key}={value}")]
    command = [str(ROOT / "spark-submit.sh"), "--master", master, *confs, *job]
    environment = dict(os.environ)
    if temporary is not None:
        environment |= {"TMPDIR": str(temporary), "SPARK_LOCAL_DIRS": str(temporary)}
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=out, stderr=out, start_new_session=True
        )
    return Run(process, log)


class Cluster:
    """A master, workers by number, and what was submitted to it. Executors shuffle in
    ``scratch``."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self.scratch = scratch
        self.folder, self.workers = folder, dict[int, subprocess.Popen[bytes]]()
        self.driver = folder / "driver"
        self.driver.mkdir()
        self.runs: list[Run] = []
        self.url = f"spark://127.0.0.1:{free_port()}"

    def start(self, name: str, *command: str) -> "subprocess.Popen[bytes]":
        environment = os.environ | {
            "SPARK_DAEMON_MEMORY": "400m",
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_LOCAL_DIRS": str(self.scratch),
            "HIDDEN": " ".join(str(folder) for folder in (*DRIVER_ONLY, self.driver)),
        }
        alone = [] if os.getuid() else ["unshare", "--mount", "sh", "-c", HIDE, "sh"]
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [*alone, str(SPARK_HOME / "bin/spark-class"), *command],
                cwd=self.folder, env=environment, stdout=log, stderr=log,
            )  # fmt: skip

    def start_master(self) -> None:
        port = self.url.rpartition(":")[2]
        where = ("--host", "127.0.0.1", "--port", port, "--webui-port", "0")
        self.master = self.start("master", "org.apache.spark.deploy.master.Master", *where)

    def start_worker(self, number: int) -> None:
        # It tries again until the master answers.
        self.workers[number] = self.start(
            f"worker{number}", "org.apache.spark.deploy.worker.Worker",
            "--host", "127.0.0.1", "--cores", "1", "--memory", "1g", "--webui-port", "0",
            "--work-dir", str(self.folder / f"work{number}"), self.url,
        )  # fmt: skip

    def kill_worker(self, number: int) -> None:
        """``kill -9``; its executors notice and end."""
        worker = self.workers.pop(number)
        worker.kill()
        worker.wait(DEADLINE)

    def submit(self, *job: str) -> Run:
        log = self.folder / f"run{len(self.runs)}.log"
        self.runs.append(submitted(log, self.url, *job, temporary=self.driver))
        return self.runs[-1]

    def stop(self) -> None:
        for run in self.runs:
            if run.process.poll() is None:
                run.kill()
        for process in (*self.workers.values(), self.master):
            process.kill()
            process.wait(DEADLINE)


@contextmanager
def standalone_cluster(
    folder: Path, workers: int = 2, scratch: Path | None = None
) -> Iterator[Cluster]:
    cluster = Cluster(folder, scratch or folder / "local")
    cluster.start_master()
    try:
        for number in range(workers):
            cluster.start_worker(number)
        yield cluster
    finally:
        cluster.stop()
