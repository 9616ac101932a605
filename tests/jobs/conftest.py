"""Jobs on a shop of a few rows."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

import ingest
from activityrec.job import Stage, main
from tests.jobs.small_shop import AS_OF, Run, write_files, write_yaml


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
    write_files(folder)
    return folder


@pytest.fixture
def ingested(shop: Path, run: Run) -> Path:
    """The shop with its clean tables."""
    if not (shop / "lakehouse").exists():
        assert run(write_yaml(shop))[0] == "0"
    return shop
