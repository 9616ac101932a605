"""The pipeline on a cluster of two workers: the same recommendations as in one process, also
when workers and drivers are killed in the middle of every stage."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import DataFrame
from pyspark.testing import assertDataFrameEqual

import pipeline
from activityrec import tables
from activityrec.config_file import load_config
from activityrec.job import Job
from activityrec.lakehouse import Lakehouse
from tests.cluster.standalone import Cluster, Run
from tests.planted import AS_OF

pytestmark = pytest.mark.cluster
LIBFAKETIME = [str(path) for path in Path("/usr/lib").glob("*/faketime/libfaketime.so.1")]
STAGES = [name for name, _ in pipeline.STAGES]


@pytest.fixture
def shop(planted: Path, tmp_path: Path) -> Path:
    """The YAML of the planted shop with nothing made yet."""
    for path in [*planted.glob("*.json"), planted / "planted.yaml"]:
        shutil.copy(path, tmp_path)
    return tmp_path / "planted.yaml"


def submit(cluster: Cluster, shop: Path, *options: str) -> Run:
    script = str(Path(pipeline.__file__))
    return cluster.submit(script, "--config", str(shop), "--as-of", str(AS_OF), *options)


def lists(job: Job, lakehouse: Lakehouse) -> DataFrame:
    """What must not depend on where it was made: order and figures of all lists."""
    rows = lakehouse.read(tables.RECOMMENDATIONS).where(f"run_id = '{job.run_id}'")
    return rows.select("user_id", "rank", "activity_id", "score", "probability", "scores",
                       "offers", "products", "reason_codes")  # fmt: skip


def check_same_lists(planted_run: Job, shop: Path) -> None:
    made = Lakehouse(planted_run.spark, load_config(shop))
    wanted = lists(planted_run, planted_run.lakehouse)
    assert wanted.count() > 100
    assertDataFrameEqual(lists(planted_run, made), wanted, rtol=1e-6)
    assert made.read(tables.PUBLICATIONS).count() == 1


def data_files(root: Path) -> set[Path]:
    log = root / "serving/stages"
    return {path for path in root.rglob("*.parquet") if log not in path.parents}


def in_the_middle(run: Run, root: Path, place: int) -> None:
    """Wait until a stage has written its first file and is not done."""
    if place:
        done = f"[{place}/{len(STAGES)}] {STAGES[place - 1]}:"
        run.wait_until(lambda: done in run.said(), f"{STAGES[place - 1]} was done")
    before = data_files(root)
    done = f"[{place + 1}/{len(STAGES)}]"
    # The report has no tables: it is left when it begins.
    quiet = STAGES[place] == "report"
    run.wait_until(lambda: quiet or data_files(root) > before, f"{STAGES[place]} wrote")
    assert done not in run.said(), "too late to be in the middle"


def test_workers_killed_in_every_stage_change_nothing(
    cluster: Cluster, shop: Path, planted_run: Job
) -> None:
    root = shop.parent / "lakehouse"
    run = submit(cluster, shop)
    for place in range(len(STAGES)):
        in_the_middle(run, root, place)
        cluster.kill_worker(place % 2)
        cluster.start_worker(place % 2)
    assert run.status() == 0, run.said()[-3000:]
    check_same_lists(planted_run, shop)


def test_a_driver_killed_in_every_stage_goes_on_from_the_last_finished_stage(
    cluster: Cluster, shop: Path, planted_run: Job
) -> None:
    root = shop.parent / "lakehouse"
    for place in range(len(STAGES)):
        run = submit(cluster, shop, "--resume")
        # It begins with the stage in which the one before was killed, and gets one further.
        in_the_middle(run, root, place)
        run.kill()
        finished = ", ".join(STAGES[: max(0, place - 1)]) or "nothing"
        assert f"goes on: {finished} was done before" in run.said()
        seen = Lakehouse(planted_run.spark, load_config(shop))
        # What readers see is nothing, or whole.
        if seen.exists(tables.PUBLICATIONS) and STAGES[place] != "publish":
            published = seen.read(tables.PUBLICATIONS).count()
            assert published == (place > STAGES.index("publish"))
    run = submit(cluster, shop, "--resume")
    assert run.status() == 0, run.said()[-3000:]
    check_same_lists(planted_run, shop)


@pytest.mark.skipif(not LIBFAKETIME, reason="no libfaketime (Debian: faketime)")
def test_a_clock_that_jumps_ahead_and_back_changes_nothing(
    cluster: Cluster, shop: Path, planted_run: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver's: a day ahead in the middle of features, right again in the middle of recommend.
    Clocks of workers and files are right. Spark keeps its executors: they answer in time."""
    root, clock = shop.parent / "lakehouse", tmp_path / "clock"
    clock.write_text("+0")
    with monkeypatch.context() as patch:
        patch.setenv("LD_PRELOAD", LIBFAKETIME[0])
        patch.setenv("FAKETIME_TIMESTAMP_FILE", str(clock))
        patch.setenv("FAKETIME_NO_CACHE", "1")
        # Clocks that count from the start of the machine do not jump. (Python's sleep does not
        # work there; nothing in these stages sleeps.)
        patch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        patch.setenv("FAKETIME_FORCE_MONOTONIC_FIX", "0")
        run = submit(cluster, shop)
    for stage, offset in (("features", "+1d"), ("recommend", "+0")):
        in_the_middle(run, root, STAGES.index(stage))
        clock.write_text(offset)
    assert run.status() == 0, run.said()[-3000:]
    check_same_lists(planted_run, shop)
    done = Lakehouse(planted_run.spark, load_config(shop)).read(tables.STAGES)
    rows = done.where("status = 'done'").orderBy("ended_ts").collect()
    assert [row["stage"] for row in rows] == STAGES
    ahead = {row["stage"] for row in rows if row["ended_ts"] > datetime.now() + timedelta(hours=12)}
    assert "features" in ahead and "ingest" not in ahead
    again = submit(cluster, shop, "--resume")
    assert again.status() == 0
    assert f"goes on: {', '.join(STAGES)} was done before" in again.said()
