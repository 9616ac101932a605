"""What it takes to write and to publish the lists of millions of users: seconds and memory.

Two runs a size, each a lakehouse of its own: lists of ten of 500 live activities for every user,
and audiences. The first is there already; of the second the writing, as `recommend` writes it, and
the publication are measured: the audit with its drift from the first, the commit, the views. At the
end the current view is counted.

    ./spark-submit.sh benchmarks/publication.py --users 500000 5000000
"""

import argparse
import os
import shutil
import time
from collections.abc import Callable
from datetime import date, datetime, timezone
from pathlib import Path

from memory import Peak
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.config import Config
from activityrec.job import set_up_logging
from activityrec.lakehouse import Lakehouse
from activityrec.serving.publication import commit, publish
from activityrec.serving.views import create_views
from activityrec.session import get_spark
from activityrec.tables import Table

ROOT = Path(__file__).resolve().parents[1]
AS_OF = date(2024, 5, 1)
LENGTH, ACTIVITIES, AUDIENCE = 10, 500, 1_000
MODEL = "benchmark-ranker/1"


def configuration(folder: Path) -> Config:
    # Publishing reads no source: a configuration has some.
    source = {"format": "parquet", "path": "-", "columns": {"user_id": "id"}}
    needs = {"activity_id": "id", "activity_type": "id", "start_ts": "id"}
    event = {"event_id": "id", "user_id": "id", "event_type": "id", "event_ts": "id"}
    return Config.model_validate(
        {
            "name": "benchmark",
            "lakehouse": {"root": str(folder / "lakehouse")},
            "tracking": {"uri": f"sqlite:///{folder}/mlflow.db"},
            "sources": {
                "users": [source],
                "activities": [{**source, "columns": needs}],
                "events": [{**source, "columns": event}],
            },
            "response": {"event_types": ["answer"]},
            "interactions": {"weights": {"answer": 1.0}},
            "features": {"event_types": ["answer"]},
        }
    )


def whole(table: Table, rows: DataFrame) -> DataFrame:
    """``rows`` with all columns of the table: NULL where they have none and may, or else empty."""
    for column in table.columns:
        if column.name not in rows.columns:
            empty = F.array() if column.type.startswith("ARRAY") else F.lit("0")
            value = empty if column.required else F.lit(None)
            rows = rows.withColumn(column.name, value.cast(column.type))
    return rows.select(table.column_names)


def lists(spark: SparkSession, users: int, run_id: str, parts: int) -> DataFrame:
    """As the kernel leaves them: a user's rows stand together, best first. Between two runs about
    a tenth of the users get other activities."""
    user = F.col("id")
    same = F.pmod(F.xxhash64("id", F.lit(run_id)), F.lit(10)) > 0
    seed = F.when(same, F.lit(0)).otherwise(F.xxhash64(F.lit(run_id)))
    places = F.explode(F.sequence(F.lit(1), F.lit(LENGTH)))
    rows = spark.range(0, users, 1, parts).select(user, seed.alias("seed"), places.alias("rank"))
    # Ten apart, so that a list has no activity twice.
    first = F.pmod(F.xxhash64("id", "seed"), F.lit(ACTIVITIES // LENGTH))
    activity = F.concat(F.lit("activity-"), first * LENGTH + F.col("rank"))
    probability = 0.2 / F.col("rank") + F.pmod(F.xxhash64("id"), F.lit(100)) / 10_000
    code = F.struct(
        F.lit("bought_products").alias("code"),
        F.create_map(F.lit("products"), F.lit(4.0)).alias("figures"),
        F.lit(0.3).alias("contribution"),
    )
    reason = F.struct(F.lit("affinity").alias("group"), F.lit(0.3).alias("contribution"))
    values: dict[str, Column] = {
        "run_id": F.lit(run_id),
        "as_of": F.lit(AS_OF),
        "user_id": F.sha1(user.cast("string")),
        "activity_id": activity,
        "score": probability,
        "probability": probability,
        "scores": F.create_map(F.lit("als"), probability, F.lit("history"), F.rand(7)),
        "offers": F.array().cast("array<string>"),
        "products": F.array(F.concat(F.lit("product-"), "rank"), F.lit("product-0")),
        "reasons": F.array(reason),
        "reason_codes": F.array(code),
        "reason_text": F.create_map(F.lit("en"), F.lit("bought 4 of its products")),
        "propensity": F.lit(1.0),
        "model": F.lit(MODEL),
    }
    columns = [value.alias(name) for name, value in values.items()]
    return whole(tables.RECOMMENDATIONS, rows.select("rank", *columns))


def audiences(spark: SparkSession, run_id: str) -> DataFrame:
    ranks = F.explode(F.sequence(F.lit(1), F.lit(AUDIENCE)))
    rows = spark.range(1, ACTIVITIES + 1).select("id", ranks.alias("rank"))
    return whole(
        tables.AUDIENCES,
        rows.select(
            F.lit(run_id).alias("run_id"),
            F.lit(AS_OF).alias("as_of"),
            F.concat(F.lit("activity-"), "id").alias("activity_id"),
            "rank",
            F.sha1(F.col("rank").cast("string")).alias("user_id"),
            (1 / F.col("rank")).alias("score"),
            (1 / F.col("rank")).alias("probability"),
            F.lit(MODEL).alias("model"),
        ),
    )


def plan(spark: SparkSession, lakehouse: Lakehouse, users: int) -> None:
    """The clean tables that an audit looks at."""
    known = spark.range(0, users).select(F.sha1(F.col("id").cast("string")).alias("user_id"))
    lakehouse.replace(tables.USERS, whole(tables.USERS, known))
    live = spark.range(1, ACTIVITIES + 1).select(
        F.concat(F.lit("activity-"), "id").alias("activity_id"),
        F.lit("campaign").alias("activity_type"),
        F.lit("2024-04-01").cast("timestamp").alias("start_ts"),
        F.lit("2024-06-01").cast("timestamp").alias("end_ts"),
    )
    lakehouse.replace(tables.ACTIVITIES, whole(tables.ACTIVITIES, live))


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and the most memory of the JVM and the Python processes, in MB."""
    started = time.perf_counter()
    with Peak(os.getppid()) as peak:
        work()
    return time.perf_counter() - started, peak.most


def measure(spark: SparkSession, folder: Path, users: int) -> dict[str, float]:
    shutil.rmtree(folder, ignore_errors=True)
    config = configuration(folder)
    plan(spark, Lakehouse(spark, config), users)
    parts = max(2, users * LENGTH // 1_000_000)

    def write(run_id: str) -> None:
        lakehouse = Lakehouse(spark, config)
        run = f"run_id = '{run_id}'"
        lakehouse.replace(tables.RECOMMENDATIONS, lists(spark, users, run_id, parts), run)
        lakehouse.replace(tables.AUDIENCES, audiences(spark, run_id), run)

    def published(run_id: str) -> None:
        lakehouse = Lakehouse(spark, config)
        assert publish(lakehouse, run_id, AS_OF, config, datetime.now(timezone.utc))
        create_views(lakehouse)

    write("benchmark-1")
    # Its audit would cost as much as the one that is measured.
    now = datetime.now(timezone.utc)
    row = ("benchmark-1", AS_OF, now, MODEL, users, users * LENGTH, ACTIVITIES * AUDIENCE)
    commit(Lakehouse(spark, config), row, None)
    found = {}
    for name, work in {"write": write, "publish": published}.items():
        found[name], peak = timed(lambda work=work: work("benchmark-2"))
        print(f"{users:>11,} users  {name:8s}{found[name]:8.1f} s  peak {peak:,.0f} MB", flush=True)
    rows = spark.table("current_recommendations").count()
    assert rows == users * LENGTH, f"the current view has {rows:,} rows"
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=ROOT / ".build/benchmarks/publication")
    parser.add_argument("--users", type=int, nargs="+", default=[500_000, 5_000_000])
    options = parser.parse_args()
    set_up_logging()
    spark = get_spark("publication")
    measure(spark, options.folder / "warm-up", 10_000)
    sizes = sorted(options.users)
    taken = {users: measure(spark, options.folder / str(users), users) for users in sizes}
    for name, least in taken[sizes[0]].items():
        ratio = taken[sizes[-1]][name] / least
        print(f"{name}: {sizes[-1] / sizes[0]:g} times the users take {ratio:.1f} times as long")
    shutil.rmtree(options.folder)


if __name__ == "__main__":
    main()
