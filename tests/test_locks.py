"""One pipeline at a time on a lakehouse, on storage without locks of its own."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, TimeoutError
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.config import Config
from activityrec.errors import StateError
from activityrec.files import Files
from activityrec.lakehouse import Lakehouse
from activityrec.locks import Lease
from tests.planted import AS_OF, configuration

BEAT = 0.05


@pytest.fixture
def lease(spark: SparkSession, tmp_path: Path) -> Callable[..., Lease]:
    """Leases on one folder; a second one waits so many seconds for a sign of the first."""
    folder = f"file:{tmp_path}"
    return lambda patience=1.0: Lease(Files(spark), folder, beat=BEAT, patience=patience)


@contextmanager
def silent(lease: Lease) -> Iterator[None]:
    """A process that stands still, or was killed: it renews nothing, and deletes nothing."""
    lease.beat = 3_600
    lease.__enter__()
    yield
    lease._over.set()


def test_a_lease_that_is_renewed_keeps_others_away(lease: Callable[..., Lease]) -> None:
    with lease(60) as first:
        with pytest.raises(StateError, match=r"process \d+ of .* is working on it"):
            lease(60).__enter__()
        first.check()
    with lease(60):
        pass


def test_a_lease_whose_file_is_being_written_is_not_lost(
    lease: Callable[..., Lease], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is written over is empty for a moment."""
    one, begun, go_on = lease(60), threading.Event(), threading.Event()
    slow_to_write(one, begun, go_on, monkeypatch)
    with ThreadPoolExecutor(1) as threads, one:
        assert begun.wait(60)
        one._renewed -= 3 * BEAT
        checked = threads.submit(one.check)
        with pytest.raises(TimeoutError):
            checked.exception(timeout=0.2)
        go_on.set()
        checked.result(60)


def test_a_lease_whose_storage_does_not_answer_is_lost_when_its_time_is_up(
    lease: Callable[..., Lease], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, begun, go_on = lease(60), threading.Event(), threading.Event()
    slow_to_write(one, begun, go_on, monkeypatch)
    with one:
        assert begun.wait(60)
        one._renewed -= 60
        with pytest.raises(StateError, match=r"it was silent for 6\d seconds"):
            one.check()
        go_on.set()


def slow_to_write(
    lease: Lease, begun: threading.Event, go_on: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A renewal empties the file, and fills it when it may go on."""
    write = lease.files.write_text

    def slowly(path: str, text: str) -> None:
        write(path, "")
        begun.set()
        assert go_on.wait(60)
        write(path, text)

    monkeypatch.setattr(lease.files, "write_text", slowly)


def test_one_that_is_silent_is_taken_over_and_neither_writes_nor_undoes_any_more(
    lease: Callable[..., Lease], spark: SparkSession, tmp_path: Path
) -> None:
    config = Config.model_validate(configuration() | {"lakehouse": {"root": str(tmp_path)}})
    one, ours, theirs = lease(), Lakehouse(spark, config), Lakehouse(spark, config)
    row = spark.range(1).select(
        F.lit("run").alias("run_id"), F.lit(AS_OF).alias("as_of"), F.lit("x").alias("stage"),
        F.lit("done").alias("status"), F.current_timestamp().alias("ended_ts"),
        F.lit(1.0).alias("seconds"), F.create_map().cast("map<string,bigint>").alias("rows"),
        F.lit(None).cast("string").alias("error"), F.lit("c").alias("configuration"),
    )  # fmt: skip
    with silent(one):
        ours.before_write = one.check
        with (
            pytest.raises(StateError, match="lost its lease .silent|lost its lease .* run again"),
            ours.all_or_nothing(),
        ):
            ours.append(tables.STAGES, row)
            with lease() as other:
                theirs.before_write = other.check
                theirs.append(tables.STAGES, row)
                ours.append(tables.STAGES, row)
    # What the other one wrote since is not undone.
    assert Lakehouse(spark, config).read(tables.STAGES).count() == 2


def test_a_process_that_awakes_leaves_the_lease_of_another(
    lease: Callable[..., Lease], tmp_path: Path
) -> None:
    one, robber = lease(), lease()
    with silent(one):
        assert robber._take_over(robber._seen())
        one.beat = BEAT
        one._renew()
        with pytest.raises(StateError, match="its file was taken over"):
            one.check()
        one.lost = None
        one.__exit__()
    assert (tmp_path / ".lease").read_text().startswith(robber.name)


def test_whoever_cannot_reach_the_storage_stops_before_another_may_begin(
    lease: Callable[..., Lease], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = lease()
    with silent(one):
        monkeypatch.setattr(one, "_renewed", one._renewed - 1.1)
        with pytest.raises(StateError, match="it was silent for 1 seconds"):
            one.check()


def test_of_two_that_take_over_one_wins(lease: Callable[..., Lease], tmp_path: Path) -> None:
    (tmp_path / ".lease").write_text("dead\n7\n")
    one, other = lease(), lease()
    seen = one._seen()
    assert one._take_over(seen)
    # What the other one saw is gone: it has another file before it, and gives it back.
    assert not other._take_over(seen)
    assert one._is_mine(one._seen())
    assert not other._create()
    with pytest.raises(StateError, match="is working on it"):
        other._wait_for_a_sign(seen)


def test_what_is_no_refusal_is_an_error(spark: SparkSession, tmp_path: Path) -> None:
    """A folder that cannot be made is no lease of another."""
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(Exception, match="(?i)parent|directory"):
        Lease(Files(spark), f"file:{tmp_path}/file/lakehouse", BEAT, 1.0)._create()


def test_after_the_lock_nobody_asks_for_the_lease(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config.model_validate(configuration() | {"lakehouse": {"root": str(tmp_path)}})
    lakehouse, held = Lakehouse(spark, config), []

    @contextmanager
    def lease(*_: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(check=lambda: held.append("asked"))

    monkeypatch.setattr("activityrec.lakehouse.Lease", lease)
    lakehouse.root = "s3a://bucket/lakehouse"
    with pytest.raises(StateError), lakehouse.lock():
        lakehouse.before_write()
        raise StateError("a stage failed")
    lakehouse.before_write()
    assert held == ["asked"]
