"""What a stage shuffles, by what: MB written by the exchanges of its plans, from its event log.
"outside plans" is what RDDs shuffle, as those of ALS.

.venv/bin/python benchmarks/scale.py --folder .data/scale --users 10000
.venv/bin/python benchmarks/shuffles.py .data/scale/10000/events/recommend/*
"""

import argparse
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from event_logs import PLANS, TASK, events, shuffled_and_spilled

WRITTEN = "shuffle bytes written"
OUTSIDE = "outside plans"


def exchanges(plan: dict[str, Any]) -> Iterator[tuple[int, str]]:
    """The accumulator of the bytes of each exchange of a plan, and its partitioning."""
    for metric in plan["metrics"]:
        if metric["name"] == WRITTEN:
            partitioning = plan["simpleString"].split(", ENSURE_REQ")[0].split(", REPARTITION")[0]
            yield metric["accumulatorId"], re.sub(r"#\d+L?|^Exchange ", "", partitioning)
    for child in plan["children"]:
        yield from exchanges(child)


def shuffled(log: Path) -> Counter[str]:
    """Bytes by partitioning; together they are what all tasks wrote."""
    partitionings: dict[int, str] = {}
    written: Counter[int] = Counter()
    total = 0
    for event in events(log, *PLANS, TASK):
        if event["Event"] in PLANS:
            partitionings |= dict(exchanges(event["sparkPlanInfo"]))
            continue
        total += shuffled_and_spilled(event)[0]
        for one in event["Task Info"]["Accumulables"]:
            if one.get("Name") == WRITTEN:
                written[one["ID"]] += int(one.get("Update", 0))
    found: Counter[str] = Counter()
    for accumulator, size in written.items():
        found[partitionings.get(accumulator, OUTSIDE)] += size
    found[OUTSIDE] += total - found.total()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("log", type=Path, help="an event log of one file, not compressed")
    log = parser.parse_args().log
    try:
        found = shuffled(log)
    except (OSError, ValueError) as error:
        parser.error(f"{log}: {error}")
    print(f"{found.total() / 1e6:10.2f} MB in all")
    for partitioning, size in found.most_common():
        print(f"{size / 1e6:10.2f} {partitioning}")


if __name__ == "__main__":
    main()
