"""A real MLflow server that dies while train registers its models on two workers.

The project has only MLflow's client: the server is ``pip install mlflow``, anywhere on PATH.
"""

import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient

from activityrec import tables
from activityrec.config_file import load_config
from activityrec.job import Job
from activityrec.lakehouse import Lakehouse
from activityrec.tracking import CHALLENGER
from tests.cluster.standalone import DEADLINE, Cluster, Run
from tests.planted import AS_OF, configuration
from tests.ports import free_port

SERVER = shutil.which("mlflow")
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        # The client brings a command of that name, which cannot serve; the server's is beside
        # that of the web framework it is made of.
        SERVER is None or shutil.which("flask", path=str(Path(SERVER).parent)) is None,
        reason="no whole MLflow on PATH",
    ),
]


class MlflowServer:
    """A server on loopback, database and artifacts in a folder; it can die and come back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(str(SERVER), "server", "--host", "127.0.0.1", "--port", str(self.port)),
                    *("--workers", "1", "--backend-store-uri", f"sqlite:///{self.folder}/db"),
                    *("--artifacts-destination", str(self.folder / "artifacts")),
                ],
                env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        last = time.monotonic() + DEADLINE
        while time.monotonic() < last:
            assert self.process.poll() is None, (self.folder / "server.log").read_text()[-3000:]
            with suppress(OSError):
                urllib.request.urlopen(f"{self.url}/health").close()
                return
            time.sleep(0.1)
        raise TimeoutError(self.url)

    def die(self) -> None:
        """``kill -9`` of the server and of its workers."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(DEADLINE)

    def models(self) -> dict[str, dict[str, str]]:
        """Version by alias, of each registered model."""
        found = MlflowClient(self.url, self.url).search_registered_models()
        return {model.name: dict(model.aliases) for model in found}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MlflowServer]:
    folder = tmp_path / "mlflow"
    folder.mkdir()
    server = MlflowServer(folder)
    server.start()
    yield server
    server.die()


def test_a_training_that_could_not_be_registered_leaves_no_challenger_and_no_rows(
    cluster: Cluster,
    planted_run: Job,
    server: MlflowServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """MLflow itself tries again for minutes; not here."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    shutil.copytree(str(planted_run.lakehouse.root), tmp_path / "lakehouse")
    raw = configuration()
    raw["tracking"] = {"uri": server.url}
    # Another rank makes other vectors, under another settings' hash.
    raw["retrieval"]["als"]["rank"] = 3
    path = tmp_path / "planted.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    config = load_config(path)
    made = (tables.USER_VECTORS, tables.ITEM_VECTORS, tables.training_examples(config))

    def contents() -> list[list[tuple[str, ...]]]:
        lakehouse = Lakehouse(planted_run.spark, config)
        rows = [lakehouse.read(table).collect() for table in made]
        return [sorted(tuple(map(str, row)) for row in of_table) for of_table in rows]

    def start(stage: str) -> Run:
        return cluster.submit(f"jobs/{stage}.py", "--config", str(path), "--as-of", str(AS_OF))

    before = contents()
    run = start("train")
    run.wait_until(lambda: bool(server.models()), "a model was registered")
    server.die()
    assert run.status() == 1
    (line,) = [line for line in run.said().splitlines() if " ERROR " in line]
    assert "MLflow failed: " in line and "refused" in line
    assert contents() == before, "tables as before"
    assert not list((tmp_path / "lakehouse/.models").iterdir())

    server.start()
    assert server.models() == {"planted-retrieval": {}}, "it died before the second one"
    run = start("train")
    assert run.status() == 0, run.said()[-3000:]
    assert contents() != before
    challengers = {name: list(aliases) for name, aliases in server.models().items()}
    assert challengers == {"planted-retrieval": [CHALLENGER], "planted-ranker": [CHALLENGER]}

    # Which loads the ranker.
    run = start("evaluate")
    assert run.status() == 0, run.said()[-3000:]
    assert "http://" not in run.said() and "Downloading" not in run.said(), (
        "nothing of MLflow's own"
    )
