"""Rows a second that ingestion takes in, and what a small increment costs on a long history.

Generates events as CSV; the same number gives the same rows. One in 1,000 is an exact copy of
another, one in 1,000 has a time that is none. Then, on a fresh lakehouse each time,

- beside each other a plain Spark read of the files, with a given schema, into a Delta table
  (the baseline); one pass that judges each row by itself and writes the good ones into
  ``clean.events`` with its CHECKs, which looks for no key and counts nothing; and the load of
  ``clean.events`` with all its rules;
- with --increments the same small increment after a history and after one ten times as long.

    ./spark-submit.sh benchmarks/ingest.py --events 10000000 --repeats 3
    ./spark-submit.sh benchmarks/ingest.py --increments --history 1000000 --increment 10000
"""

import argparse
import shutil
import time
from collections.abc import Callable
from datetime import date, datetime, timezone
from pathlib import Path
from statistics import median
from typing import TypeVar

from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.config import Config
from activityrec.ingest import Ingestion
from activityrec.ingest.judge import judge_rows
from activityrec.ingest.load import load_table
from activityrec.ingest.reading import read_all
from activityrec.ingest.sources import map_rows
from activityrec.job import set_up_logging
from activityrec.lakehouse import Lakehouse
from activityrec.session import get_spark

ROOT = Path(__file__).resolve().parents[1]
START = date(2020, 1, 1)
PRODUCTS = 1_000
ACTIVITIES = 20
WARM_UP = 10_000
COPY_OF = 500
"""How far before it the row is that a copy repeats."""
Result = TypeVar("Result")
SCHEMA = "id STRING, user STRING, product STRING, type STRING, at TIMESTAMP, units INT, paid DOUBLE"


def events(
    spark: SparkSession, first: int, until: int, users: int, per_day: int, files: int
) -> DataFrame:
    """The generated events with numbers in [first, until), as text columns in ``files`` tasks.

    Times go up with the number, ``per_day`` of them a day, as in a log.
    """
    number = F.col("id")
    place = F.pmod(number, F.lit(1_000))
    # The row that is copied is not one of those with a fault, nor itself a copy.
    rows = spark.range(first, until, 1, files).select(
        F.when(place == 999, number - COPY_OF).otherwise(number).alias("n"),
        (place == 250).alias("bad"),
    )

    def drawn(seed: int, below: int) -> Column:
        return F.pmod(F.xxhash64(F.lit(seed), "n"), F.lit(below))

    kind = drawn(1, 100)
    units = F.lit(1) + drawn(2, 3)
    cents = F.lit(199) + F.pmod(drawn(4, PRODUCTS) * 37, F.lit(5_000))
    start = F.unix_timestamp(F.lit(str(START)), "yyyy-MM-dd")
    seconds = start + F.floor(F.col("n") * 86_400 / per_day)
    at = F.date_format(F.timestamp_seconds(seconds), "yyyy-MM-dd'T'HH:mm:ss")
    bought = kind >= 85
    return rows.select(
        F.concat(F.lit("e"), "n").alias("id"),
        F.concat(F.lit("u"), drawn(3, users)).alias("user"),
        F.concat(F.lit("p"), drawn(4, PRODUCTS)).alias("product"),
        F.when(bought, "purchase").when(kind >= 80, "comment").otherwise("view").alias("type"),
        F.when(F.col("bad"), "yesterday").otherwise(at).alias("at"),
        F.when(bought, units).alias("units"),
        F.when(bought, units * cents / 100).alias("paid"),
    )


class Shop:
    """One generated data set in a folder, and its lakehouses."""

    def __init__(self, spark: SparkSession, folder: Path, per_day: int, users: int) -> None:
        self.spark, self.folder = spark, folder
        self.per_day, self.users = max(1, per_day), users
        self.written = 0
        shutil.rmtree(folder, ignore_errors=True)

    def add(self, count: int, files: int) -> None:
        """Write further events as new files."""
        first, self.written = self.written, self.written + count
        rows = events(self.spark, first, self.written, self.users, self.per_day, files)
        rows.write.mode("append").option("header", "true").csv(str(self.folder / "events"))

    def size(self) -> int:
        return sum(file.stat().st_size for file in (self.folder / "events").glob("*.csv"))

    def baseline(self) -> None:
        """Read the files with their schema and write a Delta table, with no rule at all."""
        target = self.folder / "baseline"
        shutil.rmtree(target, ignore_errors=True)
        read = self.spark.read.schema(SCHEMA).option("header", "true")
        read.csv(str(self.folder / "events")).write.format("delta").save(str(target))

    def fresh(self) -> None:
        """Let the next ingestion find no lakehouse and no progress."""
        for name in ("lakehouse", "checkpoints"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def ingestion(self) -> Ingestion:
        config = Config.model_validate(self.configuration())
        lakehouse = Lakehouse(self.spark, config)
        return Ingestion(self.spark, lakehouse, config, datetime.now(timezone.utc))

    def one_pass(self) -> None:
        """The least that a load can do which judges rows: nothing is looked at twice."""
        ingestion, table = self.ingestion(), tables.EVENTS
        (source,) = ingestion.sources(table)
        mapped = map_rows(table, source, read_all(self.spark, table, source))
        marks = {
            "flags": F.col("_flags"),
            "source": F.lit(source.label),
            "source_order": F.col("_order"),
            "batch_id": F.lit("one-pass"),
        }
        good = judge_rows(ingestion, table, mapped, 0).where("_bad IS NULL").withColumns(marks)
        ingestion.lakehouse.create(table)
        ingestion.lakehouse.append(table, good.select(*table.column_names))

    def ingest(self) -> Row:
        """Load what is new; return what ``clean.batches`` says of it."""
        ingestion = self.ingestion()
        load_table(ingestion, tables.EVENTS, [])
        batches = ingestion.lakehouse.read(tables.BATCHES)
        batch = batches.orderBy(F.desc("loaded_ts")).first()
        assert batch is not None
        return batch

    def configuration(self) -> dict:
        def source(name: str, form: str = "json", /, **columns: str) -> dict:
            return {"format": form, "path": str(self.folder / name), "columns": columns}

        events = source(
            "events",
            "csv",
            event_id="id",
            user_id="user",
            event_type="type",
            event_ts="at",
            product_id="product",
            quantity="units",
            amount="paid",
        )
        # A configuration has these; they are not read here.
        activities = source("-", activity_id="id", activity_type="id", start_ts="id")
        return {
            "name": "benchmark",
            "lakehouse": {"root": str(self.folder / "lakehouse")},
            "tracking": {"uri": f"sqlite:///{self.folder}/mlflow.db"},
            "sources": {
                "users": [source("-", user_id="id")],
                "activities": [activities],
                "events": [{**events, "load": "append", "options": {"header": "true"}}],
            },
            "ingest": {"checkpoints": str(self.folder / "checkpoints")},
            "response": {"event_types": ["purchase"]},
            "interactions": {"weights": {"purchase": 1.0}},
            "features": {"event_types": ["view", "comment", "purchase"]},
        }


def timed(work: Callable[[], Result]) -> tuple[float, Result]:
    """Seconds that it takes, and what it returns."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def throughput(spark: SparkSession, options: argparse.Namespace) -> None:
    """Baseline and load in turn on the same files."""
    alternate(Shop(spark, options.folder / "warm-up", WARM_UP // 90, options.users), WARM_UP, 2, 1)
    shop = Shop(spark, options.folder / "events", options.events // 90, options.users)
    taken = alternate(shop, options.events, options.files, options.repeats)
    print(f"{shop.written:,} events, {options.files} files, {shop.size() / 1e6:,.0f} MB")
    for what, times in taken.items():
        each = ", ".join(f"{t:.1f}" for t in times)
        rate = shop.written / median(times)
        print(f"{what:10s}{rate:12,.0f} rows/s, median of {len(times)}: {each} s")
    for what in ("one pass", "ingest"):
        ratio = median(taken[what]) / median(taken["baseline"])
        print(f"{what} takes {ratio:.2f} times as long as the baseline", flush=True)


def alternate(shop: Shop, count: int, files: int, repeats: int) -> dict[str, list[float]]:
    shop.add(count, files)
    taken: dict[str, list[float]] = {"baseline": [], "one pass": [], "ingest": []}
    for _ in range(repeats):
        taken["baseline"].append(timed(shop.baseline)[0])
        shop.fresh()
        taken["one pass"].append(timed(shop.one_pass)[0])
        shop.fresh()
        spent, batch = timed(shop.ingest)
        check(batch, count)
        taken["ingest"].append(spent)
    return taken


def check(batch: Row, count: int) -> None:
    """A benchmark of a stage that loses rows would be of no use."""
    found = [batch["rows"], batch["copies"], batch["refused"]]
    faults = count // 1_000
    if found != [count, faults, faults]:
        raise SystemExit(f"rows, copies, refused are {found}, not {[count, faults, faults]}")


def increments(spark: SparkSession, options: argparse.Namespace) -> None:
    """The same increment on a history and on a long one of the same rate, in more days."""
    sizes = [("warm-up", WARM_UP, 1), ("short", options.history, options.repeats)]
    sizes.append(("long", 10 * options.history, options.repeats))
    medians = []
    for name, history, repeats in sizes:
        shop = Shop(spark, options.folder / name, options.history // 90, options.users)
        shop.add(history, options.files)
        loaded, batch = timed(shop.ingest)
        check(batch, history)
        taken = []
        for _ in range(repeats):
            shop.add(options.increment, 1)
            spent, batch = timed(shop.ingest)
            check(batch, options.increment)
            taken.append(spent)
        each = ", ".join(f"{t:.2f}" for t in taken)
        print(
            f"{name:8s}{history:12,} events in {loaded:.1f} s; increments of "
            f"{options.increment:,} in {each} s; the last read {batch['files']} files and "
            f"{batch['rows']:,} rows",
            flush=True,
        )
        medians.append(median(taken))
    print(f"an increment on the long history takes {medians[2] / medians[1]:.2f} times as long")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=ROOT / ".build/benchmarks/ingest")
    parser.add_argument("--events", type=int, default=10_000_000, help="a multiple of 1,000")
    parser.add_argument("--files", type=int, default=16, help="files of the events or the history")
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--increments", action="store_true", help="time increments instead")
    parser.add_argument("--history", type=int, default=1_000_000, help="the short history")
    parser.add_argument("--increment", type=int, default=10_000)
    arguments = parser.parse_args()
    arguments.folder = arguments.folder.resolve()
    set_up_logging()
    measure = increments if arguments.increments else throughput
    measure(get_spark("benchmark-ingest"), arguments)
