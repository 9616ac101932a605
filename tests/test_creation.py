"""A table is made once, whoever else makes it at that moment or was killed while making it."""

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from activityrec import creation
from activityrec.errors import StateError
from activityrec.files import Files
from activityrec.lakehouse import Lakehouse
from activityrec.tables import Table
from tests.visits import SPARK_ERRORS, VISITS, at, catalogued_visits, lakehouse, listed, visits


@pytest.fixture
def catalogued(spark: SparkSession) -> Iterator[Table]:
    with catalogued_visits(spark) as table:
        yield table


@pytest.fixture(scope="module")
def made(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a lakehouse that has the table, without rows."""
    root = tmp_path_factory.mktemp("made")
    lakehouse(spark, root=str(root)).create(VISITS)
    return root


def commit_of(root: Path) -> Path:
    """The commit that made the table."""
    return root / "clean/visits/_delta_log/00000000000000000000.json"


@pytest.mark.parametrize("in_catalog", [False, True])
def test_two_writers_that_make_a_table_at_once_both_write_it(
    spark: SparkSession, tmp_path: Path, catalogued: Table, in_catalog: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Without a lock both may find that a table is missing, and one comes too late to make it."""
    place = {"catalog": "spark_catalog"} if in_catalog else {"root": str(tmp_path)}
    ready = threading.Barrier(2)
    asked = threading.local()
    exists = Lakehouse.exists

    def together(self: Lakehouse, table: Table) -> bool:
        found = exists(self, table)
        if not hasattr(asked, "before"):
            asked.before = found
            ready.wait(60)
        return found

    monkeypatch.setattr(Lakehouse, "exists", together)

    def write(day: str) -> str:
        ours = lakehouse(spark, **place)
        ours.append(catalogued, visits(spark, (day, "anna", 1, 0)))
        assert not asked.before
        return ours.generation(catalogued)

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(write, ("01", "02"))
    assert first == second
    rows = spark.read.table(lakehouse(spark, **place).identifier(catalogued))
    assert listed(rows) == [("01", "anna", 1, 0), ("02", "anna", 1, 0)]


def test_a_table_that_another_process_is_making_is_waited_for(
    spark: SparkSession, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its log is there, its first commit comes while this process waits."""
    log = tmp_path / "clean/visits/_delta_log"
    log.mkdir(parents=True)
    monkeypatch.setattr(creation, "sleep", lambda _: shutil.copy(commit_of(made), log))
    ours = lakehouse(spark, root=str(tmp_path))
    ours.append(VISITS, visits(spark, ("01", "anna", 1, 0)))
    assert ours.generation(VISITS) == lakehouse(spark, root=str(made)).generation(VISITS)
    assert listed(spark.read.table(at(tmp_path))) == [("01", "anna", 1, 0)]


def test_a_commit_that_comes_while_a_log_is_cleared_stays(
    spark: SparkSession, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(creation, "PATIENCE_SECONDS", 0)
    log = tmp_path / "clean/visits/_delta_log"
    log.mkdir(parents=True)
    delete = Files.delete_empty

    def late(self: Files, folder: str) -> bool:
        shutil.copy(commit_of(made), log)
        return delete(self, folder)

    monkeypatch.setattr(Files, "delete_empty", late)
    ours = lakehouse(spark, root=str(tmp_path))
    ours.append(VISITS, visits(spark, ("01", "anna", 1, 0)))
    assert ours.generation(VISITS) == lakehouse(spark, root=str(made)).generation(VISITS)


def test_a_table_that_cannot_be_made_says_why(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the driver may not look at its folder."""
    (tmp_path / "clean/visits").mkdir(parents=True)
    (tmp_path / "clean/visits/a.parquet").write_text("somebody's")

    def refused(self: Files, folder: str) -> list[str]:
        raise PySparkException("you may not look")

    monkeypatch.setattr(Files, "names", refused)
    with pytest.raises(SPARK_ERRORS, match="ALREADY_EXISTS|NON_EMPTY_LOCATION"):
        lakehouse(spark, root=str(tmp_path)).append(VISITS, visits(spark, ("01", "anna", 1, 0)))


@pytest.mark.parametrize("rest", [".00000000000000000000.json.1.tmp", None])
def test_a_creation_that_was_killed_is_not_in_the_way_of_the_next(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rest: str | None
) -> None:
    monkeypatch.setattr(creation, "PATIENCE_SECONDS", 0)
    log = tmp_path / "clean/visits/_delta_log"
    log.mkdir(parents=True)
    if rest is not None:
        (log / rest).write_text('{"commitInfo"')
    ours = lakehouse(spark, root=str(tmp_path))
    assert ours.append(VISITS, visits(spark, ("01", "anna", 1, 0))) == 1
    assert ours.read(VISITS).count() == 1


def test_a_folder_of_other_files_is_left_alone(spark: SparkSession, tmp_path: Path) -> None:
    log = tmp_path / "clean/visits/_delta_log"
    log.mkdir(parents=True)
    (log.parent / "a.parquet").write_text("somebody's")
    with pytest.raises(SPARK_ERRORS, match="visits"):
        lakehouse(spark, root=str(tmp_path)).append(VISITS, visits(spark, ("01", "anna", 1, 0)))
    assert log.exists()


def test_a_creation_in_a_catalog_that_was_killed_is_cleared_or_named(
    spark: SparkSession, catalogued: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(creation, "PATIENCE_SECONDS", 0)
    rows = visits(spark, ("01", "anna", 1, 0))
    lakehouse(spark, catalog="spark_catalog").create(catalogued)
    uri = spark.catalog.getDatabase("spark_catalog.catalogued").locationUri
    folder = Path(uri.removeprefix("file:")) / "visits"
    shutil.copytree(folder, tmp_path / "visits")
    for complete in (False, True):
        spark.sql("DROP TABLE spark_catalog.catalogued.visits")
        assert not folder.exists()
        if complete:
            shutil.copytree(tmp_path / "visits", folder)
            with pytest.raises(StateError, match="visits has the log of a table without data"):
                lakehouse(spark, catalog="spark_catalog").append(catalogued, rows)
            shutil.rmtree(folder)
        else:
            (folder / "_delta_log").mkdir(parents=True)
        assert lakehouse(spark, catalog="spark_catalog").append(catalogued, rows) == 1
