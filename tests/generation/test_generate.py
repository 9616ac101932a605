"""The job that writes a world: arguments that make no sense, and a world of little."""

import json
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

import generate
from activityrec.generation.sources import write_world
from activityrec.generation.world import World


@pytest.mark.parametrize(
    "wrong", [("--folder", ""), ("--folder", "/"), ("--parts", "0"), ("--parts", "x")]
)
def test_wrong_arguments_are_refused_before_anything_is_written(
    wrong: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        generate.parser().parse_args(["--folder", str(tmp_path), "--users", "9", *wrong])
    assert end.value.code == 2
    assert f"argument {wrong[0]}" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_told_in_one_line(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    arguments = ["generate", "--folder", str(tmp_path / "file"), "--users", "9"]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit) as end:
        generate.main()
    said = str(end.value.code)
    assert said.startswith("generate: Spark failed: ") and "\n" not in said


def test_what_nothing_tells_is_null_in_the_truth(spark: SparkSession, tmp_path: Path) -> None:
    # The one exposure of each user is in the first half of the time.
    world = World(users=9, days=60, events_per_user=1, exposures_per_user=1)
    write_world(spark, world, str(tmp_path), 1)

    def fail(constant: str) -> float:
        raise AssertionError(f"{constant} is no JSON")

    truth = json.loads((tmp_path / "truth/truth.json").read_text(), parse_constant=fail)
    assert truth["exposures"] == 0
    assert truth["best_auc"] is None and truth["response_rate"] is None
    assert truth["best_value"] > 0
