"""What readers of the views see while runs are published, taken back, and killed."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from activityrec.lakehouse import Lakehouse
from activityrec.serving.views import create_views
from tests.conftest import ROOT
from tests.serving.published import NOON, config_at, lakehouse_at, make_current, make_run
from tests.serving.publisher import SIZES, lists_of

VIEWS = ("current_recommendations", "current_audiences", "published_recommendations")


def publisher(root: Path, table: str, *steps: str) -> int:
    done = subprocess.run(
        [sys.executable, "-m", "tests.serving.publisher", str(root), table, *steps],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "lib"), *sys.path[1:]])},
        start_new_session=True,
        capture_output=True,
        text=True,
    )
    assert done.returncode in (0, -9), done.stderr
    return done.returncode


class Reader(threading.Thread):
    """Polls a view: what it saw, each as (run, rows, distinct pairs, sum of ranks)."""

    def __init__(self, spark: SparkSession, view: str) -> None:
        super().__init__()
        self.spark, self.view = spark, view
        self.seen: list[list[tuple]] = []
        self.done = threading.Event()
        self.failure: Exception | None = None

    def run(self) -> None:
        query = (
            "SELECT run_id, count(*), count(DISTINCT user_id, activity_id), sum(rank) "
            f"FROM {self.view} "
        )
        if self.view.startswith("published"):
            query += "WHERE current_timestamp() BETWEEN valid_from AND valid_until "
        try:
            while not self.done.is_set():
                rows = self.spark.sql(query + "GROUP BY run_id").collect()
                self.seen.append([tuple(row) for row in rows])
        except Exception as failure:
            self.failure = failure


@contextmanager
def reading(spark: SparkSession) -> Iterator[list[Reader]]:
    readers = [Reader(spark, view) for view in VIEWS]
    for reader in readers:
        reader.start()
    try:
        yield readers
    finally:
        for reader in readers:
            reader.done.set()
        for reader in readers:
            reader.join()


def whole(view: str, run: str) -> tuple:
    """What a reader sees of a whole run."""
    users = SIZES[run]
    ranks = users * (users + 1) if view == "current_audiences" else users * 3
    return (run, 2 * users, 2 * users, ranks)


@pytest.mark.slow
def test_no_reader_sees_a_mixed_an_empty_or_a_doubled_list(
    spark: SparkSession, tmp_path: Path
) -> None:
    lakehouse = lakehouse_at(spark, tmp_path)
    make_run(lakehouse, "run0", lists_of("run0"))
    make_current(lakehouse, "run0", NOON)
    create_views(lakehouse)
    with reading(spark) as readers:
        assert publisher(tmp_path, "recommendations", "run1", "run2", "back:run1", "run3") == -9
        assert publisher(tmp_path, "audiences", "run3") == -9
        assert publisher(tmp_path, "publications", "run3") == -9
        assert publisher(tmp_path, "none", "run3", "run4") == 0
    for reader in readers:
        assert reader.failure is None
        allowed = [[whole(reader.view, run)] for run in SIZES]
        assert [rows for rows in reader.seen if rows not in allowed] == []
        order = [rows[0][0] for rows in reader.seen]
        changes = [run for run, before in zip(order, [None, *order], strict=False) if run != before]
        assert changes[0] == "run0"
        assert len(changes) > 2, "it saw several publications"
    fresh = Lakehouse(spark, config_at(tmp_path))
    create_views(fresh)
    assert spark.table("current_publication").first()["run_id"] == "run4"
