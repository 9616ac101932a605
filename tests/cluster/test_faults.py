"""Faults from outside on a cluster of two workers: one line that names each, tables as before, and
a job that ends well when the fault is gone. More of them, in one process, are in tests/jobs."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.standalone import Cluster
from tests.conftest import JARS
from tests.jobs.small_shop import AS_OF, Change, files_of, write_files, write_yaml
from tests.jobs.test_errors import WRONG
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

    def run(self, stage: str, change: Change = lambda raw: None) -> tuple[int, list[str]]:
        """The exit status of a stage, and the lines in which it says what is wrong."""
        path = write_yaml(self.folder, change)
        config = ("--config", str(path), "--as-of", AS_OF)
        run = self.cluster.submit("--jars", JDBC, f"jobs/{stage}.py", *config)
        status = run.status()
        errors = [line for line in run.said().splitlines() if f" ERROR {path}: " in line]
        assert bool(errors) == bool(status), run.said()[-3000:]
        return status, errors

    def refuses(self, stage: str, words: list[str], change: Change = lambda raw: None) -> None:
        """The stage ends with 1 and one line that has these words, and changes nothing."""
        before = files_of(self.folder)
        status, errors = self.run(stage, change)
        assert status == 1
        (line,) = errors
        assert [word for word in words if word not in line] == []
        assert before and files_of(self.folder) == before


@pytest.fixture(scope="module")
def ingested(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shop's files with its clean tables."""
    folder = tmp_path_factory.mktemp("shop")
    write_files(folder)
    assert Shop(folder, cluster).run("ingest")[0] == 0
    return folder


@pytest.fixture
def shop(cluster: Cluster, ingested: Path, tmp_path: Path) -> Shop:
    """A copy of it for one test."""
    return Shop(Path(shutil.copytree(ingested, tmp_path / "shop")), cluster)


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, Sql]]:
    with postgres_server() as server:
        yield server


def test_broken_files_among_the_inputs(shop: Shop) -> None:
    for fault in ("Parquet file that is none", "Delta log cut short"):
        change, _, words = WRONG[fault]
        shop.refuses("ingest", words, change)
    assert shop.run("ingest")[0] == 0


def test_a_log_of_the_lakehouse_that_was_cut_short(shop: Shop) -> None:
    log = max((shop.folder / "lakehouse/clean/users/_delta_log").glob("*.json"))
    checksum = log.parent / f".{log.name}.crc"
    whole, sums = log.read_bytes(), checksum.read_bytes()
    log.write_bytes(whole[: len(whole) // 2])
    checksum.unlink()
    shop.refuses("features", ["clean.users", "log"])
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


def test_a_full_disk(shop: Shop, tmp_path: Path) -> None:
    with small_disk(tmp_path / "full", "20m") as full:

        def there(raw: dict[str, Any]) -> None:
            raw["lakehouse"]["root"] = str(full / "lakehouse")

        assert shop.run("ingest", there)[0] == 0
        filler = fill(full)
        before = files_of(full)
        status, (line,) = shop.run("ingest", there)
        assert status == 1 and "No space left on device" in line
        assert {name for name in before if name.endswith(".json")} <= set(files_of(full))
        filler.unlink()
        assert shop.run("ingest", there)[0] == 0


def test_a_second_pipeline_is_sent_away_until_the_first_one_has_ended(
    cluster: Cluster, planted: Path, tmp_path: Path
) -> None:
    for path in [*planted.glob("*.json"), planted / "planted.yaml"]:
        shutil.copy(path, tmp_path)
    config = ("--config", str(tmp_path / "planted.yaml"), "--as-of", AS_OF)
    first = cluster.submit("jobs/pipeline.py", *config)
    first.wait_until(lambda: " INFO users from users" in first.said(), "ingest began")
    second = cluster.submit("jobs/pipeline.py", *config)
    assert second.status() == 1
    assert "is working on it; wait until it has ended" in second.said()
    assert first.process.poll() is None, "nothing happened to it"
    first.kill()
    assert cluster.submit("jobs/ingest.py", *config).status() == 0
