"""What intervals cost: metrics of many lists with and without bootstrap replicates, and by MLlib's
RankingEvaluator, one call a metric and k, on the same lists in the same run.

    ./spark-submit.sh benchmarks/metrics.py --users 200000 2000000 --replicates 50

Lists have 10 of 500 activities; every user answered one to three. Lists are read from Parquet by
all of them. ``accuracy`` are the metrics that look at what was answered, ``lists`` those of what
lists are like. Printed are seconds, the median of --repeats after one that does not count (on a
tenth of the users), and the largest resident memory that the JVM and the Python processes had
meanwhile, added up (see memory.py).
"""

import argparse
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from memory import Peak
from pyspark.ml.evaluation import RankingEvaluator
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from activityrec.evaluation.beyond_accuracy import list_arrays, property_draws
from activityrec.evaluation.coverage import coverage_draws
from activityrec.evaluation.draws import Bootstrap, summarised
from activityrec.evaluation.listed import ListedActivities
from activityrec.evaluation.lists import list_draws, list_hits
from activityrec.job import set_up_logging
from activityrec.session import get_spark

ROOT = Path(__file__).resolve().parents[1]
LENGTH, ACTIVITIES = 10, 500
KS = [1, 3, 5, 10]
EVALUATOR: dict[str, Any] = {
    "precision": "precisionAtK",
    "recall": "recallAtK",
    "ndcg": "ndcgAtK",
    "map": "meanAveragePrecisionAtK",
}


def generate(spark: SparkSession, folder: Path, users: int) -> None:
    """``lists`` and ``relevant``: the same for the same number of users."""
    shutil.rmtree(folder, ignore_errors=True)
    rows = spark.range(users).select(F.concat(F.lit("u"), "id").alias("user_id"))

    def activity(seed: str) -> Column:
        return F.pmod(F.xxhash64("user_id", seed), F.lit(ACTIVITIES // LENGTH))

    ranks = rows.select("user_id", F.explode(F.sequence(F.lit(1), F.lit(LENGTH))).alias("rank"))
    # Each rank draws from its own activities, so that none comes twice.
    place = activity("rank") * LENGTH + F.col("rank") - 1
    lists = ranks.select(
        F.lit("m").alias("model"), "user_id", F.concat(F.lit("a"), place).alias("activity_id"),
        "rank",
    )  # fmt: skip
    lists.write.parquet(str(folder / "lists"))
    wanted = F.sequence(F.lit(1), 1 + F.pmod(F.xxhash64("user_id"), F.lit(3)).cast("int"))
    answered = rows.select("user_id", F.explode(wanted).alias("n"))
    # Half of them are in the list, at a random rank.
    rank = 1 + F.pmod(F.xxhash64("user_id", "n", F.lit(2)), F.lit(2 * LENGTH)).cast("int")
    found = answered.withColumn("rank", rank)
    place = activity("rank") * LENGTH + F.col("rank") - 1
    named = found.select("user_id", F.concat(F.lit("a"), place).alias("activity_id")).distinct()
    named.write.parquet(str(folder / "relevant"))


def accuracy(lists: DataFrame, relevant: DataFrame, replicates: int) -> dict[str, float]:
    draws = list_draws(list_hits(lists, relevant), KS, Bootstrap(replicates, 17))
    return {row["metric"]: row["value"] for row in summarised(draws).collect()}


def properties(lists: DataFrame, relevant: DataFrame, replicates: int) -> dict[str, float]:
    """Activities are known to a random share of users, and alike at random."""
    random, bootstrap = np.random.default_rng(1), Bootstrap(replicates, 17)
    vectors = random.random((ACTIVITIES, 16))
    vectors /= np.linalg.norm(vectors, axis=1)[:, None]
    names = tuple(f"a{n}" for n in range(ACTIVITIES))
    known = ListedActivities(names, random.uniform(0.01, 1, ACTIVITIES), vectors @ vectors.T)
    asked = relevant.groupBy("user_id").agg(F.count("*").cast("int").alias("relevant"))
    rows = list_arrays(lists, asked, names).persist()
    found = {}
    for draws in (
        property_draws(rows, known, KS, bootstrap),
        coverage_draws(rows, ACTIVITIES, KS, bootstrap),
    ):
        found |= {row["metric"]: row["value"] for row in summarised(draws).collect()}
    rows.unpersist()
    return found


def mllib(lists: DataFrame, relevant: DataFrame) -> dict[str, float]:
    """It takes arrays of numbers."""
    number = F.substring("activity_id", 2, 9).cast("double")
    made = lists.groupBy("user_id").agg(
        F.sort_array(F.collect_list(F.struct("rank", number.alias("a"))))["a"].alias("prediction")
    )
    wanted = relevant.groupBy("user_id").agg(F.collect_list(number).alias("label"))
    both = wanted.join(made, on="user_id", how="left").cache()
    found = {}
    for name, metric in EVALUATOR.items():
        for k in KS:
            evaluator = RankingEvaluator(metricName=metric, k=k)
            found[f"{name}@{k}"] = float(evaluator.evaluate(both))
    both.unpersist()
    return found


def timed(work: Callable[[], dict[str, float]], repeats: int) -> tuple[list[float], dict]:
    taken, result = [], {}
    for _ in range(repeats):
        started = time.perf_counter()
        result = work()
        taken.append(time.perf_counter() - started)
    return taken, result


def compare(spark: SparkSession, folder: Path, options: argparse.Namespace) -> None:
    lists, relevant = (spark.read.parquet(str(folder / name)) for name in ("lists", "relevant"))
    print(f"{lists.count():,} rows of lists, {options.replicates} replicates", flush=True)
    contenders: dict[str, Callable[[DataFrame, DataFrame], dict[str, float]]] = {
        "accuracy, values": lambda *frames: accuracy(*frames, 0),
        "accuracy, intervals": lambda *frames: accuracy(*frames, options.replicates),
        "RankingEvaluator": mllib,
        "lists, values": lambda *frames: properties(*frames, 0),
        "lists, intervals": lambda *frames: properties(*frames, options.replicates),
    }
    few = F.xxhash64("user_id") % 10 == 0
    first: float | None = None
    for name, work in contenders.items():
        if options.only is not None and not name.startswith(options.only):
            continue
        first = None if name == "lists, values" else first
        work(lists.where(few), relevant.where(few))
        with Peak(os.getppid()) as peak:
            taken, found = timed(lambda work=work: work(lists, relevant), options.repeats)
        first = first or min(taken)
        each = ", ".join(f"{seconds:.1f}" for seconds in taken)
        print(
            f"{name:20s}{min(taken):7.1f} s of {each}; {min(taken) / first:.2f} times the "
            f"values; {len(found)} metrics; peak {peak.most:,.0f} MB",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=ROOT / ".build/benchmarks/metrics")
    parser.add_argument("--users", type=int, nargs="+", default=[200_000])
    parser.add_argument("--replicates", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=["accuracy", "lists"])
    options = parser.parse_args()
    set_up_logging()
    spark = get_spark("benchmark-metrics")
    for users in options.users:
        folder = options.folder.resolve() / str(users)
        generate(spark, folder, users)
        compare(spark, folder, options)


if __name__ == "__main__":
    main()
