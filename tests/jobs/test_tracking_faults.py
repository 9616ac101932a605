"""A tracking server that dies while train registers what it made."""

import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import train
from activityrec import tables
from activityrec.config_file import load_config
from activityrec.job import Job
from activityrec.lakehouse import Lakehouse
from activityrec.tracking import CHALLENGER, Tracking
from tests.cluster.standalone import Run as Process
from tests.jobs.small_shop import Run
from tests.planted import AS_OF, configuration

pytestmark = pytest.mark.slow


class Server:
    """MLflow's own, on loopback."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [
            *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
            *("--host", "127.0.0.1", "--port", str(self.port)),
            *("--backend-store-uri", f"sqlite:///{self.folder}/server.db"),
            *("--artifacts-destination", str(self.folder / "artifacts")),
        ]
        log = self.folder / "server.log"
        with log.open("wb") as out:
            started = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
        self.process = Process(started, log)
        self.process.wait_until(self.answers, "the server answers")

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=10) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    server.start()
    yield server
    server.process.kill()


def test_nothing_of_a_training_stays_that_could_not_be_registered(
    planted_run: Job, run: Run, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    shutil.copytree(str(planted_run.lakehouse.root), tmp_path / "lakehouse")
    raw = configuration() | {"tracking": {"uri": server.uri}}
    # Vectors of other settings are rows beside those that are there.
    raw["retrieval"]["als"]["rank"] = 3
    path = tmp_path / "planted.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    config = load_config(path)

    def settings() -> int:
        vectors = Lakehouse(planted_run.spark, config).read(tables.USER_VECTORS)
        return vectors.select("settings").distinct().count()

    register = Tracking.register
    registered: list[str] = []

    def dies_before_the_second(self: Tracking, part: str, *given: Any, **named: Any) -> str:
        if registered:
            server.process.kill()
        registered.append(part)
        return register(self, part, *given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Tracking, "register", dies_before_the_second)
        status, *lines = run(path, str(AS_OF), train.run)
    errors = [line for line in lines if " ERROR " in line]
    assert status == "1" and registered == ["retrieval", "ranker"]
    assert len(errors) == 1 and "127.0.0.1" in errors[0] and "refused" in errors[0]
    assert settings() == 1, "tables as before"

    server.start()
    assert Tracking(config).version("ranker", CHALLENGER) is None
    assert run(path, str(AS_OF), train.run)[0] == "0"
    assert settings() == 2
    assert Tracking(config).version("ranker", CHALLENGER) is not None
