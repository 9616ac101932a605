"""Jobs on a shop of a few rows."""

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

import ingest
from activityrec.job import Stage, main
from tests.jobs.small_shop import AS_OF, LINES, Run, write_yaml


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
