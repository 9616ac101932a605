"""One pipeline at a time on a lakehouse, on a disk and on storage without locks of its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from activityrec import tables
from activityrec.config import Config
from activityrec.errors import StateError
from activityrec.files import Files
from activityrec.lakehouse import Lakehouse
from activityrec.locks import Lease
from tests.planted import configuration

BEAT = 0.05


@pytest.fixture
def lease(spark: SparkSession, tmp_path: Path) -> Callable[[], Lease]:
    """Leases on one folder; a second one waits a second for a sign of the first."""
    folder = f"file:{tmp_path}"
    return lambda: Lease(Files(spark), folder, beat=BEAT, patience=1.0)


@contextmanager
def silent(lease: Lease) -> Iterator[None]:
    """A process that stands still, or was killed: it renews nothing, and deletes nothing."""
    lease.beat = 3_600
    lease.__enter__()
    yield
    lease._over.set()


def test_a_lease_that_is_renewed_keeps_others_away(lease: Callable[[], Lease]) -> None:
    with lease() as first, pytest.raises(StateError, match=r"process \d+ of .* is working on it"):
        lease().__enter__()
    first.check()
    with lease():
        pass


def test_one_that_is_silent_is_taken_over_and_its_holder_may_not_write_any_more(
    lease: Callable[[], Lease], spark: SparkSession, tmp_path: Path
) -> None:
    one = lease()
    with silent(one), lease() as other:
        other.check()
        # The silent one awakes.
        assert not one._write_over(one._known)
        one.lost = "its file was taken over"
        config = Config.model_validate(configuration() | {"lakehouse": {"root": str(tmp_path)}})
        lakehouse = Lakehouse(spark, config)
        lakehouse.before_write = one.check
        with pytest.raises(StateError, match="lost its lease .* run again"):
            lakehouse.create(tables.USERS)
        other.check()
    assert not list(tmp_path.glob(".lease*"))


def test_a_holder_notices_that_it_was_robbed(lease: Callable[[], Lease], tmp_path: Path) -> None:
    one, robber = lease(), lease()
    with silent(one):
        assert robber._take_over(robber._seen())
        one.beat = BEAT
        one._renew()
        with pytest.raises(StateError, match="its file was taken over"):
            one.check()
    assert (tmp_path / ".lease").exists(), "it is not its own to delete"


def test_of_two_that_take_over_one_wins(lease: Callable[[], Lease], tmp_path: Path) -> None:
    (tmp_path / ".lease").write_text("dead\n7\n")
    one, other = lease(), lease()
    seen = one._seen()
    assert one._take_over(seen)
    assert not other._create()
    with pytest.raises(StateError, match="is working on it"):
        # What the second saw is gone: it has another file before it.
        other._wait_for_a_sign(seen)
