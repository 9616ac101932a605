"""Faults from outside on a cluster of two workers: the job's last line names each, tables are as
before, and the job ends well when the fault is gone. More of them, in one process, are in
tests/jobs."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import Row, SparkSession

from activityrec import tables
from activityrec.config_file import load_config
from activityrec.lakehouse import Lakehouse
from tests.cluster.standalone import Cluster, Run, standalone_cluster
from tests.conftest import JARS
from tests.jobs.small_shop import (
    AS_OF,
    Change,
    add_user,
    files_of,
    write_files,
    write_yaml,
)
from tests.jobs.test_errors import WRONG
from tests.planted import AS_OF as PLANTED_AS_OF
from tests.planted import USERS
from tests.postgres import Sql, postgres_server
from tests.small_disk import fill, small_disk

pytestmark = pytest.mark.cluster
JDBC = str(next(JARS.glob("test/postgresql-*.jar")))
NOBODY = "127.0.0.1:9"
"""The discard port: nothing listens there."""


@dataclass
class Shop:
    """The shop of a few rows, and the cluster that works for it."""

    folder: Path
    cluster: Cluster
    spark: SparkSession
    """To look at tables with."""

    def start(self, stage: str, change: Change = lambda raw: None) -> Run:
        config = ("--config", str(write_yaml(self.folder, change)), "--as-of", AS_OF)
        return self.cluster.submit("--jars", JDBC, f"jobs/{stage}.py", *config)

    def run(self, stage: str, change: Change = lambda raw: None) -> tuple[int, list[str]]:
        """The exit status of a stage, and the lines in which it says what is wrong: the last that
        is printed. Spark's own, on tasks that failed, are before it."""
        run = self.start(stage, change)
        path = self.folder / "changed.yaml"
        status, said = run.status(), run.said().splitlines()
        errors = [line for line in said if f" ERROR {path}: " in line]
        assert errors == said[-1:] if status else errors == [], run.said()[-3000:]
        return status, errors

    def refuses(self, stage: str, words: list[str], change: Change = lambda raw: None) -> None:
        """The stage ends with 1 and one line that has these words, and changes nothing."""
        before = files_of(self.folder)
        self.fails(stage, words, change)
        assert before and files_of(self.folder) == before

    def fails(self, stage: str, words: list[str], change: Change = lambda raw: None) -> None:
        """The same where Delta leaves files that no table knows."""
        before = self.contents()
        status, (line,) = self.run(stage, change)
        assert status == 1
        assert [word for word in words if word not in line] == [], line
        assert self.contents() == before

    def contents(self) -> list[list[str]]:
        """The rows of the clean tables; there is no other before features has ended well."""
        clean = (tables.USERS, tables.EVENTS, tables.EXPOSURES)
        return [sorted(str(row) for row in self.rows(table)) for table in clean]

    def users(self) -> set[str]:
        return {row["user_id"] for row in self.rows(tables.USERS)}

    def rows(self, table: tables.Table) -> list[Row]:
        lakehouse = Lakehouse(self.spark, load_config(write_yaml(self.folder)))
        return lakehouse.read(table).collect()


@pytest.fixture(scope="module")
def ingested(
    cluster: Cluster, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The shop's files with its clean tables."""
    folder = tmp_path_factory.mktemp("shop")
    write_files(folder)
    assert Shop(folder, cluster, spark).run("ingest")[0] == 0
    return folder


@pytest.fixture
def shop(cluster: Cluster, spark: SparkSession, ingested: Path, tmp_path: Path) -> Shop:
    """A copy of it for one test, with one more user among the sources."""
    folder = Path(shutil.copytree(ingested, tmp_path / "shop"))
    add_user(folder, "u9")
    return Shop(folder, cluster, spark)


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, Sql]]:
    with postgres_server() as server:
        yield server


def test_a_parquet_file_that_is_none_and_a_broken_log_among_the_inputs(shop: Shop) -> None:
    for fault in ("Parquet file that is none", "Delta log cut short"):
        change, _, words = WRONG[fault]
        shop.refuses("ingest", words, change)
    assert shop.run("ingest")[0] == 0
    assert "u9" in shop.users()


def test_a_parquet_file_whose_middle_is_broken_in_the_last_source(shop: Shop) -> None:
    """It opens, and fails when users are in their table already: each load stands alone."""
    folder = shop.folder / "sent"
    folder.mkdir()
    rows = pa.table({"user": ["u1"] * 2000, "activity": ["a1"] * 2000, "at": ["2024-04-21"] * 2000})
    for name in ("whole", "broken"):
        pq.write_table(rows, folder / f"{name}.parquet", compression="none", use_dictionary=False)
    broken = folder / "broken.parquet"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:4] + bytes(len(whole) // 2) + whole[4 + len(whole) // 2 :])

    def in_parquet(raw: dict[str, Any]) -> None:
        raw["sources"]["exposures"][0].update(format="parquet", path="sent")

    before = shop.contents()[-1]
    status, (line,) = shop.run("ingest", in_parquet)
    assert status == 1 and "table exposures" in line and "broken.parquet" in line
    assert "u9" in shop.users() and shop.contents()[-1] == before
    broken.write_bytes(whole)
    assert shop.run("ingest", in_parquet)[0] == 0
    assert shop.contents()[-1] != before


def test_a_log_of_the_lakehouse_that_was_cut_short(shop: Shop) -> None:
    log = max((shop.folder / "lakehouse/clean/users/_delta_log").glob("*.json"))
    checksum = log.parent / f".{log.name}.crc"
    whole, sums = log.read_bytes(), checksum.read_bytes()

    def fails(*words: str) -> None:
        before = files_of(shop.folder)
        status, (line,) = shop.run("features")
        assert status == 1 and [word for word in words if word not in line] == []
        assert before and files_of(shop.folder) == before

    log.write_bytes(whole[: len(whole) // 2])
    fails("Checksum error", "clean/users")
    checksum.unlink()
    fails("clean/users/_delta_log", "is cut short")
    log.write_bytes(whole)
    checksum.write_bytes(sums)
    assert shop.run("features")[0] == 0


def test_mlflow_that_is_down(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow itself tries again for minutes; not here."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    down = lambda raw: raw["tracking"].update(uri=f"http://{NOBODY}")  # noqa: E731
    shop.refuses("recommend", ["MLflow failed: ", "refused"], down)
    # It answers again, and knows no model.
    shop.refuses("recommend", ["run train, evaluate and promote first"])


def test_a_database_that_is_down_at_the_start_and_goes_down_in_the_middle(
    shop: Shop, server: tuple[str, Sql]
) -> None:
    address, sql = server
    sql("CREATE TABLE people (id TEXT, age INT); INSERT INTO people VALUES ('u1', 30), ('u5', 40)")
    everybody = "CREATE OR REPLACE VIEW customers AS SELECT * FROM people"
    sql(everybody)

    def of_database(url: str) -> Change:
        source = {
            "name": "customers",
            "format": "jdbc",
            "options": {"url": url, "dbtable": "customers", "driver": "org.postgresql.Driver"},
            "columns": {"user_id": "id", "age": "age", "attributes": "map('city', 'north')"},
        }
        return lambda raw: raw["sources"].update(users=[source])

    nobody = of_database(f"jdbc:postgresql://{NOBODY}/postgres?user=shop")
    shop.refuses("ingest", ["source customers", "connect to the database"], nobody)
    # As a shutdown does: the connection ends where the second row would come.
    sql(f"{everybody} WHERE id <> 'u5' OR NOT pg_terminate_backend(pg_backend_pid())")
    shop.refuses("ingest", ["terminating connection"], of_database(address))
    sql(everybody)
    assert shop.run("ingest", of_database(address))[0] == 0
    assert "u5" in shop.users()


def test_a_full_disk_of_the_lakehouse(shop: Shop, tmp_path: Path) -> None:
    lakehouse = shop.folder / "lakehouse"
    (tmp_path / "other").mkdir()
    # Workers see the disks that there are when they start.
    with (
        small_disk(tmp_path / "full", "20m") as full,
        standalone_cluster(tmp_path / "other") as cluster,
    ):
        lakehouse.rename(shop.folder / "copied")
        shutil.copytree(shop.folder / "copied", full / "lakehouse")
        lakehouse.symlink_to(full / "lakehouse")
        there = Shop(shop.folder, cluster, shop.spark)
        filler = fill(full)
        before = files_of(shop.folder)
        there.fails("ingest", ["No space left on device"])
        assert {name for name in before if name.endswith(".json")} <= set(files_of(shop.folder))
        filler.unlink()
        assert there.run("ingest")[0] == 0
        assert "u9" in there.users()


def test_a_full_disk_of_the_executors(shop: Shop, tmp_path: Path) -> None:
    """Spark starts them again and again; when there is room the job goes on."""
    (tmp_path / "other").mkdir()
    with (
        small_disk(tmp_path / "scratch", "40m") as scratch,
        standalone_cluster(tmp_path / "other", scratch=scratch) as cluster,
    ):
        filler = fill(scratch)
        run = Shop(shop.folder, cluster, shop.spark).start("ingest")
        run.wait_until(lambda: "No space left on device" in run.said(), "executors failed")
        filler.unlink()
        assert run.status() == 0, run.said()[-3000:]
        assert "u9" in shop.users()


def test_a_second_pipeline_is_sent_away_until_the_first_one_has_ended(
    cluster: Cluster, spark: SparkSession, planted: Path, tmp_path: Path
) -> None:
    for path in [*planted.glob("*.json"), planted / "planted.yaml"]:
        shutil.copy(path, tmp_path)
    shop = tmp_path / "planted.yaml"
    config = ("--config", str(shop), "--as-of", str(PLANTED_AS_OF))
    first = cluster.submit("jobs/pipeline.py", *config)
    first.wait_until(lambda: " INFO users from users" in first.said(), "ingest began")
    second = cluster.submit("jobs/pipeline.py", *config)
    assert second.status() == 1
    assert "is working on it; wait until it has ended" in second.said()
    assert first.process.poll() is None, "nothing happened to it"
    first.kill()
    assert cluster.submit("jobs/ingest.py", *config).status() == 0
    assert Lakehouse(spark, load_config(shop)).read(tables.USERS).count() == USERS
