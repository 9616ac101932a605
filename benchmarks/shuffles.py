"""What a stage shuffles, by what: MB written by the exchanges of its plans, from its event log.

.venv/bin/python benchmarks/scale.py --folder .data/scale --users 10000
.venv/bin/python benchmarks/shuffles.py .data/scale/10000/events/recommend/*
"""

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WRITTEN = "shuffle bytes written"


def exchanges(plan: dict[str, Any]) -> Iterator[tuple[int, str]]:
    """The accumulator of the bytes of each exchange of a plan, and its partitioning."""
    for metric in plan["metrics"]:
        if metric["name"] == WRITTEN:
            partitioning = plan["simpleString"].split(", ENSURE_REQ")[0].split(", REPARTITION")[0]
            yield metric["accumulatorId"], re.sub(r"#\d+L?|^Exchange ", "", partitioning)
    for child in plan["children"]:
        yield from exchanges(child)


def shuffled(log: Path) -> tuple[Counter[str], int]:
    """Bytes by partitioning, and of all tasks."""
    partitionings: dict[int, str] = {}
    updates: Counter[int] = Counter()
    total = 0
    with log.open() as lines:
        for line in lines:
            if '"sparkPlanInfo"' in line:
                partitionings |= dict(exchanges(json.loads(line)["sparkPlanInfo"]))
            elif line.startswith('{"Event":"SparkListenerTaskEnd"'):
                event = json.loads(line)
                metrics = event.get("Task Metrics") or {}
                total += metrics.get("Shuffle Write Metrics", {}).get("Shuffle Bytes Written", 0)
                for one in event["Task Info"]["Accumulables"]:
                    if one.get("Name") == WRITTEN:
                        updates[one["ID"]] += int(one.get("Update", 0))
    found: Counter[str] = Counter()
    for accumulator, written in updates.items():
        found[partitionings.get(accumulator, "of no plan in the log")] += written
    return found, total


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("log", type=Path, help="an event log of one file, not compressed")
    found, total = shuffled(parser.parse_args().log)
    print(f"{total / 1e6:10.2f} MB in all")
    for partitioning, written in found.most_common():
        print(f"{written / 1e6:10.2f} {partitioning}")


if __name__ == "__main__":
    main()
