"""Audiences as files: what a campaign tool finds, at any instant."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

import export
from activityrec.job import open_job
from activityrec.serving.exports import audience_files
from tests.serving.published import DAY, NOON, at, config_at, lakehouse_at, make_current, make_run


def test_a_file_an_activity_and_a_manifest_that_is_written_last(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, out = tmp_path / "lakehouse", tmp_path / "out"
    lakehouse = lakehouse_at(spark, root)

    def run() -> dict[str, int]:
        config = config_at(root, export={"files": {"mail": {"path": str(out)}}})
        return export.run(open_job(spark, config, DAY))

    def manifest() -> dict[str, Any]:
        return dict(json.loads((out / "manifest.json").read_text()))

    def content() -> dict[str, str]:
        return {f["activity_id"]: (out / f["file"]).read_text() for f in manifest()["files"]}

    make_run(lakehouse, "first", {"u2": "a", "u1": "ab"})
    make_current(lakehouse, "first", NOON)
    assert run() == {"mail audiences": 3}
    assert run() == {}
    head = "user_id,rank,score,probability\n"
    first = {"a": head + "u2,1,0.5,\nu1,2,0.5,\n", "b": head + "u1,1,0.5,\n"}
    assert content() == first
    found = manifest()
    assert (found["run_id"], found["rows"]) == ("first", 3)
    for file in found["files"]:
        data = (out / file["file"]).read_bytes()
        assert file["sha256"] == hashlib.sha256(data).hexdigest()
        assert (file["bytes"], file["rows"]) == (len(data), data.count(b"\n") - 1)

    make_run(lakehouse, "second", {"u3": "c"})
    make_current(lakehouse, "second", at(13))

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(audience_files, "checksums", crash)
        run()
    assert content() == first
    assert run() == {"mail audiences": 1}
    assert content() == {"c": head + "u3,1,0.5,\n"}
    # Who reads by the manifest before finds its files.
    assert (out / found["files"][0]["file"]).exists()
    make_run(lakehouse, "third", {"u3": "c"})
    make_current(lakehouse, "third", at(14))
    run()
    assert not (out / found["folder"]).exists()
    assert len([path for path in out.iterdir() if path.is_dir()]) == 2


@pytest.mark.slow
def test_names_of_activities_that_are_no_names_of_files(
    spark: SparkSession, tmp_path: Path
) -> None:
    rows = [("../x y", "u1", 1, 0.5, None), ("é*" * 100, "u2", 1, 0.5, 0.1)]
    schema = "activity_id STRING, user_id STRING, rank INT, score DOUBLE, probability DOUBLE"
    audiences = spark.createDataFrame(rows, schema)
    lakehouse = lakehouse_at(spark, tmp_path / "lakehouse")
    config = audience_files.FilesConfig(path=str(tmp_path / "out"), format="json")
    publication = audience_files.Publication("run", NOON)
    assert audience_files.export(lakehouse, config, audiences, publication) == 2
    found = json.loads((tmp_path / "out/manifest.json").read_text())["files"]
    assert [file["activity_id"] for file in found] == [row[0] for row in rows]
    assert [Path(file["file"]).name for file in found] == ["00001-_x_y.json", "00002-_.json"]
    line = json.loads((tmp_path / "out" / found[1]["file"]).read_text())
    assert line == {"user_id": "u2", "rank": 1, "score": 0.5, "probability": 0.1}
