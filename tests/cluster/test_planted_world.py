"""How near the ranker comes to the best that there can be, where that is known: a planted world
whose logs show much of each user. The commands are those in the head of benchmarks/planted.py."""

import re
import subprocess
from datetime import date
from pathlib import Path

import pytest

from activityrec.generation.world import World
from tests.conftest import ROOT

pytestmark = pytest.mark.cluster
USERS, EVENTS = 20_000, 400
STAGES = ("ingest", "features", "train", "evaluate")
ROW = re.compile(r"^(\w+) .*% of it +([0-9.]+) +([0-9.]+)% of it$", re.MULTILINE)
"""A model with the right half of its row: the AUC as expected, its share of the way."""


def submit(*job: str) -> str:
    """Run a job to its end; what it printed."""
    command = [str(ROOT / "spark-submit.sh"), *job]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=3600)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return ended.stdout


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """Of each model: the share of the way from 0.5 to the best AUC, as expected, in percent."""
    folder = tmp_path_factory.mktemp("world")
    events = ("--events-per-user", str(EVENTS))
    submit("jobs/generate.py", "--folder", str(folder), "--users", str(USERS), *events)
    as_of: date = World(users=USERS).as_of
    config = ("--config", str(Path(folder, "world.yaml")), "--as-of", str(as_of))
    for stage in STAGES:
        submit(f"jobs/{stage}.py", *config)
    printed = submit("benchmarks/planted.py", "--folder", str(folder))
    print(printed)
    return {model: float(share) for model, _, share in ROW.findall(printed)}


def test_the_ranker_comes_95_percent_of_the_way(ways: dict[str, float]) -> None:
    assert ways["probability"] == 100
    assert ways["ranker"] >= 95


def test_nothing_simple_comes_near(ways: dict[str, float]) -> None:
    """A world that popularity could explain would say nothing of the ranker."""
    assert max(ways["popularity"], ways["past_rate"], ways["affinity"]) < 70
