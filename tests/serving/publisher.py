"""A process that makes and publishes runs, and may be killed (SIGKILL, the JVM too) meanwhile.

Run as ``python -m tests.serving.publisher ROOT TABLE STEP...`` in a process group of its own. It is
killed in the last step as soon as files of TABLE appear that were not there before; with ``none``
it is not. A step is a run to be made and published, or ``back:RUN``.
"""

import sys
import threading
from datetime import datetime, timezone
from pathlib import Path

from activityrec.lakehouse import Lakehouse
from activityrec.serving.publication import roll_back
from tests.conftest import new_session
from tests.killed import kill
from tests.serving.published import config_at, make_run, publish_run

SIZES = {"run0": 30, "run1": 50, "run2": 26, "run3": 40, "run4": 35}
"""Users with a list, by run: a part or a mix of runs has another number."""


def lists_of(run: str) -> dict[str, str]:
    """Two activities for each user of a run."""
    return {f"u{number}": "ab" for number in range(SIZES[run])}


def kill_once_files_appear(folder: Path) -> None:
    before = set(folder.glob("*.parquet"))

    def watch() -> None:
        while set(folder.glob("*.parquet")) == before:
            pass
        kill()

    threading.Thread(target=watch, daemon=True).start()


def main(root: str, table: str, *steps: str) -> None:
    spark = new_session(Path(root))
    for number, step in enumerate(steps, start=1):
        if table != "none" and number == len(steps):
            kill_once_files_appear(Path(root) / "serving" / table)
        lakehouse, now = Lakehouse(spark, config_at(Path(root))), datetime.now(timezone.utc)
        if step.startswith("back:"):
            roll_back(lakehouse, step.removeprefix("back:"), now)
        else:
            make_run(lakehouse, step, lists_of(step))
            publish_run(lakehouse, step, now)


if __name__ == "__main__":
    main(*sys.argv[1:])
