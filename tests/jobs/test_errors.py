"""What a job says and leaves behind when it is asked for what makes no sense: one line, status 1,
no change."""

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

import features
import recommend
from activityrec import tables
from activityrec.config_file import load_config
from activityrec.lakehouse import Lakehouse
from tests.jobs.small_shop import AS_OF, Change, Run, expression, files_of, write_yaml

WRONG: dict[str, tuple[Change, str, list[str]]] = {
    "Parquet file that is none": (
        lambda raw: raw["sources"]["users"][0].update(format="parquet", path="torn.parquet"),
        AS_OF,
        ["torn.parquet"],
    ),
    "Delta log cut short": (
        lambda raw: raw["sources"]["users"][0].update(format="delta", path="cut"),
        AS_OF,
        ["/cut"],
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
    "lakehouse below a file": (
        lambda raw: raw["lakehouse"].update(root="torn.parquet/lakehouse"),
        AS_OF,
        ["torn.parquet", "Not a directory"],
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
