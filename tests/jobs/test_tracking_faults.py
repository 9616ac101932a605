"""A tracking server that dies while train registers what it made."""

import shutil
from pathlib import Path
from typing import Any

import mlflow
import pytest
import yaml

import train
from activityrec import tables
from activityrec.config_file import load_config
from activityrec.job import Job
from activityrec.lakehouse import Lakehouse
from activityrec.retrieval.fits import settings_of
from activityrec.tracking import CHALLENGER, Tracking
from tests.jobs.small_shop import Run
from tests.planted import AS_OF, configuration

pytestmark = pytest.mark.slow


def go_down() -> None:
    """From here on MLflow's client meets what a server that died leaves: a port that refuses."""
    # The discard port: nothing listens there.
    mlflow.set_tracking_uri("http://127.0.0.1:9")
    mlflow.set_registry_uri("http://127.0.0.1:9")


def test_nothing_of_a_training_stays_that_could_not_be_registered(
    planted_run: Job, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    shutil.copytree(str(planted_run.lakehouse.root), tmp_path / "lakehouse")
    raw = configuration()
    # Vectors of other settings take the place of those that no model serves with.
    raw["retrieval"]["als"]["rank"] = 3
    path = tmp_path / "planted.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    config = load_config(path)

    def settings() -> set[str]:
        vectors = Lakehouse(planted_run.spark, config).read(tables.USER_VECTORS)
        return {row["settings"] for row in vectors.select("settings").distinct().collect()}

    before = settings()
    assert before == {settings_of(planted_run.config)}
    register = Tracking.register
    registered: list[str] = []

    def dies_before_the_second(self: Tracking, part: str, *given: Any, **named: Any) -> str:
        if registered:
            go_down()
        registered.append(part)
        return register(self, part, *given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Tracking, "register", dies_before_the_second)
        status, *lines = run(path, str(AS_OF), train.run)
    errors = [line for line in lines if " ERROR " in line]
    assert status == "1" and registered == ["retrieval", "ranker"]
    assert len(errors) == 1 and "127.0.0.1" in errors[0] and "refused" in errors[0]
    assert settings() == before, "tables as before"
    assert Tracking(config).version("ranker", CHALLENGER) is None

    # The next job connects anew.
    assert run(path, str(AS_OF), train.run)[0] == "0"
    assert settings() == {settings_of(config)} != before
    assert Tracking(config).version("ranker", CHALLENGER) is not None
