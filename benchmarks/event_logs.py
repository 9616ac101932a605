"""Spark's event logs, of one file each and not compressed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FIRST = '{"Event":"SparkListenerLogStart"'
TASK = "SparkListenerTaskEnd"
PLANS = tuple(
    f"org.apache.spark.sql.execution.ui.SparkListenerSQL{name}"
    for name in ("ExecutionStart", "AdaptiveExecutionUpdate")
)
"""A plan when it starts, and each time that it is changed."""


def events(log: Path, *names: str) -> Iterator[dict[str, Any]]:
    """The events of these names, in order.

    Raises
    ------
    ValueError
        It is no event log, or a line is not whole.
    """
    wanted = tuple(f'{{"Event":"{name}"' for name in names)
    with log.open(encoding="utf-8") as lines:
        if not next(lines, "").startswith(FIRST):
            raise ValueError("no event log of Spark, of one file and not compressed")
        for line in lines:
            if line.startswith(wanted):
                yield json.loads(line)


def shuffled_and_spilled(task: dict[str, Any]) -> tuple[int, int]:
    """Bytes that a task wrote for a shuffle, and that it spilled to disk."""
    metrics = task.get("Task Metrics") or {}
    shuffle = metrics.get("Shuffle Write Metrics", {}).get("Shuffle Bytes Written", 0)
    return shuffle, metrics.get("Disk Bytes Spilled", 0)
