"""What intervals cost: metrics of many lists with and without bootstrap replicates, and by MLlib's
RankingEvaluator, one call a metric and k, on the same lists in the same run.

    ./spark-submit.sh benchmarks/metrics.py --users 2000000 --replicates 50
    ./spark-submit.sh benchmarks/metrics.py --users 200000 --replicates 50

Lists have 10 of 500 activities; every user answered one to three. Lists are read from Parquet by
all of them. Printed are seconds, the median of --repeats, and the largest resident memory that the
JVM and the Python processes had so far, added up.
"""

import argparse
import resource
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from pyspark.ml.evaluation import RankingEvaluator
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from activityrec.evaluation.draws import Bootstrap, summarised
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


def ours(lists: DataFrame, relevant: DataFrame, replicates: int) -> dict[str, float]:
    draws = list_draws(list_hits(lists, relevant), KS, Bootstrap(replicates, 17))
    rows = summarised(draws).collect()
    return {row["metric"]: row["value"] for row in rows}


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


def peak() -> float:
    """MB: the most that the JVM and its children ever had."""
    found = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text, command = status.read_text(), (status.parent / "cmdline").read_text()
        except OSError:
            continue
        if "java" in command or "pyspark" in command:
            found += sum(int(line.split()[1]) for line in text.splitlines() if "VmHWM" in line)
    return found / 1024 + resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(work: Callable[[], dict[str, float]], repeats: int) -> tuple[list[float], dict]:
    taken, result = [], {}
    for _ in range(repeats):
        started = time.perf_counter()
        result = work()
        taken.append(time.perf_counter() - started)
    return taken, result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=ROOT / ".build/benchmarks/metrics")
    parser.add_argument("--users", type=int, default=200_000)
    parser.add_argument("--replicates", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=["ours"])
    options = parser.parse_args()
    set_up_logging()
    spark = get_spark("benchmark-metrics")
    folder = options.folder.resolve()
    generate(spark, folder, options.users)
    lists, relevant = (spark.read.parquet(str(folder / name)) for name in ("lists", "relevant"))
    print(f"{lists.count():,} rows of lists, {options.replicates} replicates", flush=True)
    contenders: dict[str, Callable[[], dict[str, float]]] = {
        "values": lambda: ours(lists, relevant, 0),
        "with intervals": lambda: ours(lists, relevant, options.replicates),
    }
    if options.only is None:
        contenders["RankingEvaluator"] = lambda: mllib(lists, relevant)
    first: tuple[float, dict[str, float]] | None = None
    for name, work in contenders.items():
        taken, found = timed(work, options.repeats)
        first = first or (median(taken), found)
        shared = [metric for metric in found if metric in first[1]]
        gap = max(abs(found[metric] - first[1][metric]) for metric in shared)
        each = ", ".join(f"{seconds:.1f}" for seconds in taken)
        print(
            f"{name:18s}{median(taken):7.1f} s of {each}; {median(taken) / first[0]:.2f} times the "
            f"first; {len(found)} metrics, {gap:.1e} apart; peak {peak():,.0f} MB",
            flush=True,
        )


if __name__ == "__main__":
    main()
