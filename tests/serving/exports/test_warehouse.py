"""The SQL for warehouses: as it is written, as each dialect reads it, and what it does."""

import os
from datetime import datetime, timezone
from pathlib import Path

import duckdb
import pytest
import sqlglot
from pyspark.sql import SparkSession
from sqlglot import exp

import export
from activityrec import tables
from activityrec.config_export import WarehouseConfig
from activityrec.job import open_job
from activityrec.serving.exports.warehouse import load_script
from tests.serving.published import DAY, NOON, config_at, lakehouse_at, make_current, make_run

SNAPSHOTS = Path(__file__).parent / "snapshots"
KINDS = ["snowflake", "bigquery", "redshift"]
ACCESS = {
    "snowflake": "marketing.activities_stage",
    "redshift": "arn:aws:iam::123456789012:role/load",
}


def config_of(kind: str, mode: str = "merge") -> WarehouseConfig:
    return WarehouseConfig.model_validate(
        {
            "kind": kind,
            "location": "gs://shop/activities" if kind == "bigquery" else "s3://shop/activities",
            "access": ACCESS.get(kind),
            "schema_name": "marketing" if kind == "redshift" else "shop.marketing",
            "mode": mode,
        }
    )


def script(config: WarehouseConfig, *contracts: tables.Table) -> str:
    return load_script(config, contracts, f"{config.location}/20240501T120000000000")


@pytest.mark.parametrize("kind", KINDS)
def test_the_script_is_the_one_that_was_looked_at(kind: str) -> None:
    """To accept a change: WRITE_SNAPSHOTS=1 and look at the difference."""
    written = script(config_of(kind), tables.AUDIENCES)
    path = SNAPSHOTS / f"{kind}.sql"
    if os.environ.get("WRITE_SNAPSHOTS"):
        path.write_text(written, encoding="utf-8")
    assert written == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("mode", ["merge", "replace"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_statement_is_one_of_the_dialect(kind: str, mode: str) -> None:
    both = script(config_of(kind, mode), tables.RECOMMENDATIONS, tables.AUDIENCES)
    parsed = sqlglot.parse(both, read=kind, error_level=sqlglot.ErrorLevel.RAISE)
    statements = [statement for statement in parsed if statement is not None]
    # What sqlglot cannot read it passes on as a command.
    assert not [s for s in statements if isinstance(s, exp.Command)]
    kinds = [type(statement) for statement in statements]
    begin, end = kinds.index(exp.Transaction), kinds.index(exp.Commit)
    first = exp.Merge if mode == "merge" else exp.Delete
    assert kinds[begin + 1 : end].count(first) == 2
    # Data definitions inside a transaction would end it.
    assert not {exp.Create, exp.Drop} & set(kinds[begin:end])


@pytest.mark.parametrize("mode", ["merge", "replace"])
@pytest.mark.parametrize("kind", KINDS)
def test_old_rows_are_changed_or_go_and_new_ones_come(kind: str, mode: str) -> None:
    config = config_of(kind, mode)
    database = duckdb.connect()
    if "." in config.schema_name:
        database.execute("ATTACH ':memory:' AS shop")
    database.execute(f"CREATE SCHEMA {config.schema_name}")
    live = f"{config.schema_name}.audiences"
    runs = {
        "first": [("a", "u1", 1), ("a", "u2", 2)],
        "second": [("a", "u2", 1), ("b", "u3", 1)],
        # Made and published again, with a user less.
        "second again": [("b", "u3", 1)],
    }
    for run, rows in runs.items():
        for statement in sqlglot.parse(script(config, tables.AUDIENCES), read=kind):
            assert statement is not None
            if isinstance(statement, exp.Copy | exp.LoadData):
                for activity, user, rank in rows:
                    values = (run.removesuffix(" again"), DAY, activity, rank, user, 0.5, None, "m")
                    marks = ", ".join("?" * len(values))
                    database.execute(f"INSERT INTO {live}_staging VALUES ({marks})", values)
            else:
                database.execute(statement.sql(dialect="duckdb"))
        found = database.execute(f"SELECT activity_id, user_id, rank FROM {live} ORDER BY 1, 2")
        assert found.fetchall() == rows


def test_the_files_and_the_script_of_a_publication(spark: SparkSession, tmp_path: Path) -> None:
    lakehouse = lakehouse_at(spark, tmp_path / "lakehouse")
    make_run(lakehouse, "run", {"u1": "ab", "u2": "a"})
    make_current(lakehouse, "run")
    place = tmp_path / "out"
    target = {
        "kind": "redshift", "location": "s3://shop/out", "path": str(place),
        "access": ACCESS["redshift"], "schema_name": "marketing",
    }  # fmt: skip
    config = config_at(tmp_path / "lakehouse", export={"warehouses": {"wh": target}})
    job = open_job(spark, config, DAY)
    assert export.run(job) == {"wh recommendations": 3, "wh audiences": 3}
    assert export.run(job) == {}
    (folder,) = place.iterdir()
    assert datetime.strptime(folder.name, "%Y%m%dT%H%M%S%f").replace(tzinfo=timezone.utc) == NOON
    text = (folder / "load.sql").read_text(encoding="utf-8")
    assert text.startswith("-- run run, published 2024-05-01 12:00:00.000000 UTC\n")
    assert f"FROM 's3://shop/out/{folder.name}/audiences/part-' IAM_ROLE" in text
    rows = duckdb.sql(f"FROM read_parquet('{folder}/recommendations/*.parquet')")
    names = [column.name for column in tables.RECOMMENDATIONS.columns]
    assert rows.columns == names
    assert len(rows.fetchall()) == 3
