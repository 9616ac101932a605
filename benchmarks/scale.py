"""What each stage takes at growing numbers of users: seconds, memory, shuffle, files, growth.

A planted world of each size is generated (jobs/generate.py), and the stages run on it one by one,
each by spark-submit as a scheduler starts it, on a fresh lakehouse. Seconds are those of the
stage's own log line, without the start of Spark; memory is the most that the JVM and the Python
processes had together; bytes are from Spark's event log; files are those added under the
lakehouse. The growth of a stage is the exponent b of seconds ~ users^b between the smallest and
the largest size.

    .venv/bin/python benchmarks/scale.py --users 10000 100000
    .venv/bin/python benchmarks/scale.py --users 100000 1000000 --stages recommend --keep

Above some 100,000 users with ``--conf spark.sql.shuffle.partitions=N``, N as jobs/plan.py says.
Other arguments of jobs/generate.py after --: ``-- --activities 500 --products 100000``, which are
the defaults here.
"""

import argparse
import json
import math
import re
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from event_logs import TASK, events, shuffled_and_spilled
from memory import watched

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("ingest", "features", "train", "evaluate", "promote", "recommend", "publish", "report")
WORLD = ("--activities", "500", "--products", "100000")
SECONDS = re.compile(r"\[1/1\] \w+: .* \(([0-9.]+) s\)$", re.MULTILINE)


@dataclass
class Cost:
    """Of one stage at one size."""

    users: int
    stage: str
    seconds: float
    peak_mb: float
    shuffle_mb: float
    spilled_mb: float
    files: int


class Benchmark:
    """One folder: a world for each size, its lakehouse, the event logs of its stages."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.folder = options, options.folder.resolve()

    def submit(self, folder: Path, name: str, *job: str) -> tuple[str, float, Path]:
        """Run a job; return what it logged, its peak of memory, and its event log."""
        events = folder / "events" / name
        shutil.rmtree(events, ignore_errors=True)
        events.mkdir(parents=True)
        confs = {
            "spark.master": self.options.master,
            "spark.driver.memory": self.options.driver_memory,
            "spark.eventLog.enabled": "true",
            "spark.eventLog.rolling.enabled": "false",
            "spark.eventLog.compress": "false",
            "spark.eventLog.dir": events.as_uri(),
        }
        pairs = [f"{key}={value}" for key, value in confs.items()] + self.options.conf
        flags = [part for pair in pairs for part in ("--conf", pair)]
        command = [str(ROOT / "spark-submit.sh"), *flags, *job]
        log = folder / f"{name}.log"
        status, _, peak = watched(command, log)
        if status:
            sys.exit(f"{name} failed, see {log}:\n{log.read_text()[-2000:]}")
        return log.read_text(), peak, next(iter(events.iterdir()))

    def generate(self, users: int) -> tuple[Path, str]:
        """The folder of a world and its ``as_of``; made anew unless it is there and --keep."""
        folder = self.folder / str(users)
        truth = folder / "truth/truth.json"
        if not (self.options.keep and (folder / "world.yaml").exists()):
            shutil.rmtree(folder, ignore_errors=True)
            where = ("--folder", str(folder), "--users", str(users))
            job = str(ROOT / "jobs/generate.py")
            self.submit(folder, "generate", job, *where, *WORLD, *self.options.world)
        return folder, json.loads(truth.read_text())["as_of"]

    def run(self, users: int) -> list[Cost]:
        folder, as_of = self.generate(users)
        if not self.options.keep:
            for name in ("lakehouse", "mlflow", "mlflow.db"):
                shutil.rmtree(folder / name, ignore_errors=True)
        costs = []
        for stage in self.options.stages:
            config = ("--config", str(folder / "world.yaml"), "--as-of", as_of)
            # The gate's verdict is of no matter here.
            job = (str(ROOT / f"jobs/{stage}.py"), *config, *["--force"] * (stage == "promote"))
            before = files_in(folder / "lakehouse")
            log, peak, event_log = self.submit(folder, stage, *job)
            shuffle, spilled = bytes_of(event_log)
            found = SECONDS.search(log)
            assert found is not None, log
            added = files_in(folder / "lakehouse") - before
            cost = Cost(users, stage, float(found[1]), peak, shuffle, spilled, added)
            print(json.dumps(asdict(cost)), flush=True)
            costs.append(cost)
        return costs


def files_in(folder: Path) -> int:
    return sum(1 for _ in folder.rglob("*.parquet"))


def bytes_of(log: Path) -> tuple[float, float]:
    """MB that tasks wrote into shuffles, and MB that they spilled to disk."""
    shuffle = spilled = 0
    for task in events(log, TASK):
        written, to_disk = shuffled_and_spilled(task)
        shuffle, spilled = shuffle + written, spilled + to_disk
    return shuffle / 1e6, spilled / 1e6


def table(costs: list[Cost]) -> str:
    """Markdown: a row for each stage and size, and the growth at the largest."""
    lines = [
        "| stage | users | seconds | peak MB | shuffle MB | spilled MB | files | growth |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for stage in dict.fromkeys(cost.stage for cost in costs):
        rows = sorted((c for c in costs if c.stage == stage), key=lambda cost: cost.users)
        for row in rows:
            first = rows[0]
            growth = ""
            if row is rows[-1] and row is not first:
                exponent = math.log(row.seconds / first.seconds) / math.log(row.users / first.users)
                growth = f"{exponent:.2f}"
            lines.append(
                f"| {stage} | {row.users:,} | {row.seconds:,.1f} | {row.peak_mb:,.0f} | "
                f"{row.shuffle_mb:,.1f} | {row.spilled_mb:,.1f} | {row.files} | {growth} |"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=ROOT / ".build/benchmarks/scale")
    parser.add_argument("--users", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES)
    parser.add_argument("--keep", action="store_true", help="go on with the worlds that are there")
    parser.add_argument("--master", default="local[2]")
    parser.add_argument("--driver-memory", default="6g")
    parser.add_argument("--conf", action="append", default=[], help="KEY=VALUE of Spark")
    parser.add_argument("world", nargs="*", help="further arguments of jobs/generate.py, after --")
    benchmark = Benchmark(parser.parse_args())
    costs = [cost for users in benchmark.options.users for cost in benchmark.run(users)]
    print(table(costs))


if __name__ == "__main__":
    main()
