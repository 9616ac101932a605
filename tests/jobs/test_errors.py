"""What a job says and leaves behind when it cannot do its work: one line, status 1, no change."""

import contextlib
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.sql import SparkSession

import features
import ingest
import recommend
from activityrec import tables
from activityrec.config_file import load_config
from activityrec.job import Job, Stage, main
from activityrec.lakehouse import Lakehouse
from tests.planted import configuration

AS_OF = "2024-05-01"
LINES: dict[str, list[dict[str, Any]]] = {
    "users": [{"user": "u1", "age": 30, "city": "north"}, {"user": "u2", "age": -1, "city": "x"}],
    "products": [{"product": "p1", "category": "tea"}],
    "activities": [
        {"activity": "a1", "kind": "gift", "from": "2024-04-20", "to": "2024-05-04"},
        {"activity": "a2", "kind": "gift", "from": "2024-06-20", "to": "2024-07-04"},
    ],
    "offers": [{"activity": "a1", "offer": "o1", "product": "p1"}],
    "purchases": [
        {"id": n, "user": "u1", "product": "p1", "at": day, "units": 1, "paid": 2}
        for n, day in enumerate(["2024-03-01", "2024-04-30", "2024-07-31"])
    ],
    "answers": [{"user": "u1", "activity": "a1", "at": "2024-04-21"}] * 2,
    "sent": [{"user": "u1", "activity": "a1", "at": "2024-04-20"}],
}

Change = Callable[[dict[str, Any]], object]
Run = Callable[..., list[str]]


def write_yaml(folder: Path, change: Change = lambda raw: None) -> Path:
    raw = configuration() | {"name": "shop"}
    change(raw)
    path = folder / "changed.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    return path


def expression(table: str, column: str, sql: str) -> Change:
    return lambda raw: raw["sources"][table][0]["columns"].update({column: sql})


@pytest.fixture
def run(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """Run one stage as its script does; the lines of its log, after the exit status."""
    log = logging.getLogger("activityrec")
    handlers = log.handlers

    def run(path: Path, as_of: str = AS_OF, stage: Stage = ingest.run) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["job", "--config", str(path), "--as-of", as_of])
        capsys.readouterr()
        status = "0"
        try:
            main([("stage", stage)], None)
        except SystemExit as error:
            status = str(error.code)
        captured = capsys.readouterr()
        assert captured.out == ""
        return [status, *captured.err.splitlines()]

    yield run
    log.handlers = handlers


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a shop's files. The lakehouse beside them is filled by :func:`ingested`."""
    folder = tmp_path_factory.mktemp("shop")
    for name, lines in LINES.items():
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
    (folder / "torn.parquet").write_bytes(b"PAR1 and nothing that is Parquet")
    cut = folder / "cut/_delta_log/00000000000000000000.json"
    cut.parent.mkdir(parents=True)
    cut.write_text('{"commitInfo":{"timestamp":17145', encoding="utf-8")
    return folder


@pytest.fixture
def ingested(shop: Path, run: Run) -> Path:
    """The shop with its clean tables."""
    if not (shop / "lakehouse").exists():
        assert run(write_yaml(shop))[0] == "0"
    return shop


def files_of(folder: Path) -> dict[str, int]:
    """Every file of the lakehouse's tables, with its size."""
    return {
        str(path.relative_to(folder)): path.stat().st_size
        for path in (folder / "lakehouse").rglob("*")
        # Loads before the one that fails are told of in clean.batches.
        if path.is_file() and path.name != ".lock" and not {"batches", "stages"} & set(path.parts)
    }


WRONG: dict[str, tuple[Change, str, list[str]]] = {
    "Parquet file that is none": (
        lambda raw: raw["sources"]["users"][0].update(format="parquet", path="torn.parquet"),
        AS_OF,
        ["torn.parquet"],
    ),
    "Delta log cut short": (
        lambda raw: raw["sources"]["users"][0].update(format="delta", path="cut"),
        AS_OF,
        ["cut"],
    ),
    "missing source file": (
        lambda raw: raw["sources"]["events"][1].update(path="gone.json"),
        AS_OF,
        ["table events", "/gone.json", "does not exist"],
    ),
    "unknown key": (
        lambda raw: raw["recommend"].update(kk=3),
        AS_OF,
        ["changed.yaml", "recommend.kk: unknown key; allowed: ", "planning_days"],
    ),
    "expression that does not resolve": (
        expression("exposures", "exposure_ts", "timestamp(sent_at)"),
        AS_OF,
        ["table exposures", "/sent.json", "column exposure_ts", "'timestamp(sent_at)'"],
    ),
    "table of another configuration": (
        lambda raw: raw.update(name="stranger"),
        AS_OF,
        ["table clean.users", "/lakehouse/clean/users", "'shop'", "'stranger'"],
    ),
    "no date": (lambda raw: None, "1.5.2024", ["--as-of 1.5.2024", "YYYY-MM-DD"]),
    "no valid activity": (
        expression("activities", "end_ts", "timestamp(`from`)"),
        AS_OF,
        ["table activities", "none of its 2 rows", "not start_ts < end_ts (2 rows)"],
    ),
    "expression that fails on a row": (
        expression("users", "age", "int(user)"),
        AS_OF,
        ["table users", "column age: expression 'int(user)'", "CAST_INVALID_INPUT", "'u1'"],
    ),
}


@pytest.mark.parametrize("change, as_of, words", WRONG.values(), ids=WRONG)
def test_a_job_that_cannot_work_says_why_in_one_line_and_changes_nothing(
    ingested: Path, run: Run, change: Change, as_of: str, words: list[str]
) -> None:
    before = files_of(ingested)
    path = write_yaml(ingested, change)
    status, *lines = run(path, as_of)
    assert status == "1"
    (line,) = [line for line in lines if " INFO " not in line]
    assert f" ERROR {path}: " in line
    assert [word for word in words if word not in line] == []
    assert files_of(ingested) == before


NO_SENSE: dict[str, tuple[Change, str, list[str]]] = {
    "as_of before the data": (
        lambda raw: None,
        "2024-03-01",
        ["as_of 2024-03-01", "2024-03-02 to 2024-08-01"],
    ),
    "as_of after the data": (
        lambda raw: None,
        "2024-08-02",
        ["as_of 2024-08-02", "2024-03-02 to 2024-08-01"],
    ),
    "no live activity": (
        lambda raw: raw["recommend"].update(planning_days=7),
        "2024-05-04",
        ["no activity is live at 2024-05-04", "within 7 days", "2024-06-20"],
    ),
}


@pytest.mark.parametrize("change, as_of, words", NO_SENSE.values(), ids=NO_SENSE)
def test_features_at_an_instant_that_makes_no_sense_say_so(
    ingested: Path, run: Run, change: Change, as_of: str, words: list[str]
) -> None:
    before = files_of(ingested)
    status, line = run(write_yaml(ingested, change), as_of, stage=features.run)
    assert status == "1"
    assert [word for word in words if word not in line] == []
    assert files_of(ingested) == before


def test_where_nothing_was_nothing_is_left(shop: Path, run: Run, tmp_path: Path) -> None:
    def elsewhere(raw: dict[str, Any]) -> None:
        raw["lakehouse"]["root"] = str(tmp_path / "lakehouse")
        expression("exposures", "user_id", "usr")(raw)

    assert run(write_yaml(shop, elsewhere))[0] == "1"
    assert files_of(tmp_path) == {}


def test_recommend_before_train_says_what_to_run(ingested: Path, run: Run) -> None:
    before = files_of(ingested)
    status, line = run(write_yaml(ingested), stage=recommend.run)
    assert status == "1"
    assert "model shop-retrieval has no champion: run train, evaluate and promote first" in line
    assert files_of(ingested) == before


def test_a_stage_before_ingest_says_what_to_run(shop: Path, run: Run, tmp_path: Path) -> None:
    path = write_yaml(shop, lambda raw: raw["lakehouse"].update(root=str(tmp_path)))
    status, line = run(path, stage=recommend.run)
    assert status == "1"
    assert "table clean." in line
    assert "does not exist" in line
    assert "run the stage that writes it first" in line


def test_mlflow_that_does_not_answer_is_named(
    ingested: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow itself tries again for minutes; not here."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    # The discard port: nothing listens there.
    path = write_yaml(ingested, lambda raw: raw["tracking"].update(uri="http://127.0.0.1:9"))

    def ask(job: Job) -> dict[str, int]:
        job.tracking.version("ranker", "champion")
        return {}

    before = files_of(ingested)
    status, *lines = run(path, stage=ask)
    (line,) = [line for line in lines if " INFO " not in line]
    assert status == "1"
    assert "MLflow failed: " in line and "127.0.0.1" in line and "refused" in line
    assert files_of(ingested) == before


@pytest.mark.slow
def test_a_full_disk_is_named_and_leaves_the_tables_as_they_were(
    shop: Path, run: Run, tmp_path: Path
) -> None:
    full = tmp_path / "full"
    full.mkdir()

    def mounted(*options: str) -> bool:
        command = ["mount", "-t", "tmpfs", *options, "tmpfs", str(full)]
        return subprocess.run(command, capture_output=True).returncode == 0

    if os.getuid() or not mounted("-o", "size=20m"):
        pytest.skip("only root may mount a small disk")
    try:
        path = write_yaml(shop, lambda raw: raw["lakehouse"].update(root=str(full / "lakehouse")))
        assert run(path)[0] == "0"
        filler = full / "filler"
        with contextlib.suppress(OSError), filler.open("wb") as out:
            while True:
                out.write(bytes(4096))
                out.flush()
        before = files_of(full)
        status, *lines = run(path)
        (line,) = [line for line in lines if " INFO " not in line]
        assert status == "1" and "No space left on device" in line
        assert {name for name in before if name.endswith(".json")} <= set(files_of(full))
        filler.unlink()
        assert run(path)[0] == "0"
    finally:
        subprocess.run(["umount", "-l", str(full)], check=True)


def test_a_log_of_the_lakehouse_that_was_cut_short_is_named(
    ingested: Path, run: Run, tmp_path: Path
) -> None:
    # A copy: the session remembers what it has read of the other one.
    root = tmp_path / "lakehouse"
    shutil.copytree(ingested / "lakehouse", root)
    path = write_yaml(ingested, lambda raw: raw["lakehouse"].update(root=str(root)))
    log = max((root / "clean/users/_delta_log").glob("*.json"))
    whole = log.read_bytes()
    log.write_bytes(whole[: len(whole) // 2])
    (log.parent / f".{log.name}.crc").unlink()
    before = files_of(root)
    status, *lines = run(path, stage=features.run)
    (line,) = [line for line in lines if " INFO " not in line]
    assert status == "1"
    assert "clean.users" in line and "log" in line
    assert files_of(root) == before
    log.write_bytes(whole)
    assert run(path, stage=features.run)[0] == "0"


def test_a_stage_that_fails_in_the_middle_puts_the_tables_back(
    spark: SparkSession, ingested: Path, run: Run
) -> None:
    def half(job: Job) -> dict[str, int]:
        job.lakehouse.replace(tables.USERS, job.lakehouse.read(tables.USERS).limit(0))
        job.lakehouse.read(tables.USER_DAILY)
        return {}

    path = write_yaml(ingested)
    status, line = run(path, stage=half)
    assert status == "1"
    assert "table features.user_daily does not exist" in line
    assert Lakehouse(spark, load_config(path)).read(tables.USERS).count() == 1


@pytest.mark.slow
def test_ingest_run_twice_leaves_the_same_tables(
    spark: SparkSession, ingested: Path, run: Run
) -> None:
    path = write_yaml(ingested)
    contracts = (*tables.CLEAN, tables.QUARANTINE)

    def held() -> dict[str, list[str]]:
        lakehouse = Lakehouse(spark, load_config(path))
        apart = ("batch_id", "loaded_ts")
        rows = {table.name: lakehouse.read(table).drop(*apart).collect() for table in contracts}
        return {name: sorted(map(str, listed)) for name, listed in rows.items()}

    before = held()
    status, *lines = run(path)
    assert status == "0"
    assert held() == before
    counts = {name: len(listed) for name, listed in before.items()}
    assert counts == {
        "users": 1,
        "products": 1,
        "activities": 2,
        "activity_products": 1,
        "events": 4,
        "exposures": 1,
        "quarantine": 1,
    }
    assert [line.split(" INFO ")[1] for line in lines[:2]] == [
        "users from users: 1 copies, 1 refused",
        "users: 1 rows: age: not age BETWEEN 0 AND 130",
    ]
    assert "events from purchases, answers: 5 copies" in lines[5]
    assert "[1/1] stage: users 0, products 0, " in lines[-1]
