"""An ingestion that is killed (SIGKILL, the JVM too) at a point of its load of events.

Run as ``python -m tests.killed YAML POINT`` in a process group of its own.
"""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from activityrec.config_file import load_config
from activityrec.ingest import Ingestion
from activityrec.ingest.load import load_table, open_snapshots
from activityrec.lakehouse import Lakehouse
from activityrec.tables import EVENTS
from tests.conftest import new_session
from tests.ingest.test_load import NOW


def kill() -> None:
    os.killpg(0, signal.SIGKILL)


def kill_once_files_appear(folder: Path) -> None:
    """Kill as soon as a data file of a commit that has not happened yet is there."""
    before = set(folder.glob("*.parquet"))
    commits = len(list((folder / "_delta_log").glob("*.json")))

    def watch() -> None:
        while set(folder.glob("*.parquet")) == before:
            pass
        assert len(list((folder / "_delta_log").glob("*.json"))) == commits
        kill()

    threading.Thread(target=watch, daemon=True).start()


def main(path: str, point: str) -> None:
    config = load_config(path)
    merge = Lakehouse.merge

    def killed(self: Lakehouse, *args: Any, **kwargs: Any) -> None:
        if point == "during the merge":
            kill_once_files_appear(Path(config.lakehouse.root or "") / "clean/events")
        merge(self, *args, **kwargs)
        kill()

    Lakehouse.merge = killed  # type: ignore[method-assign]
    spark = new_session(Path(path).parent)
    ingestion = Ingestion(spark, Lakehouse(spark, config), config, NOW)
    load_table(ingestion, EVENTS, open_snapshots(ingestion, EVENTS))


if __name__ == "__main__":
    main(*sys.argv[1:])
