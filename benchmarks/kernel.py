"""The retrieval kernel beside MLlib's recommendForAllUsers, plain NumPy and, where it is
installed, `implicit`: the same factors, the same lists, in the same run.

    ./spark-submit.sh benchmarks/kernel.py --users 50000 --items 5000
    ./spark-submit.sh benchmarks/kernel.py --users 500000 --items 5000 --only kernel

Factors are random, the ALS model is made of them; nothing has been seen and everything is allowed,
because recommendForAllUsers cannot leave anything out. Lists are compared where no two scores tie.
"""

import argparse
import time
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
from pyspark.ml.recommendation import ALS
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from activityrec.features.affinity import ActivitySide, Ragged
from activityrec.job import set_up_logging
from activityrec.retrieval.kernel import LiveActivities, candidate_mapper
from activityrec.retrieval.scores import ActivitySideVectors
from activityrec.retrieval.spread import spread
from activityrec.session import get_spark

RANK = 64
K = 20


def vectors(number: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(number, RANK)).astype(np.float32)


def frame(spark: SparkSession, matrix: np.ndarray, key: str) -> DataFrame:
    offsets = np.arange(len(matrix) + 1, dtype=np.int32) * RANK
    flat = pa.ListArray.from_arrays(pa.array(offsets), pa.array(matrix.ravel()))
    ids = pa.array(np.arange(len(matrix), dtype=np.int32))
    return spark.createDataFrame(pa.table({key: ids, "features": flat}))


def users_of(spark: SparkSession, users: np.ndarray, parts: int) -> DataFrame:
    """Users as retrieval has them: vector, nothing answered, no target group, no history."""
    return (
        frame(spark, users, "user_id")
        .repartition(parts)
        .select(
            "user_id",
            F.expr("CAST(NULL AS ARRAY<INT>)").alias("als_indices"),
            F.col("features").alias("als_vector"),
            F.expr("CAST(array() AS ARRAY<INT>)").alias("answered_activities"),
            F.expr("CAST(array() AS ARRAY<INT>)").alias("capped_activities"),
            F.expr("CAST(array() AS ARRAY<INT>)").alias("barred_by"),
            F.expr("CAST(array() AS ARRAY<STRUCT<product_no: INT>>)").alias("by_product"),
            F.expr("CAST(array() AS ARRAY<STRUCT<category_no: INT>>)").alias("by_category"),
            F.expr("named_struct('_', 0)").alias("totals"),
        )
        .persist()
    )


def kernel(users: DataFrame, items: np.ndarray) -> DataFrame:
    """user_id, items: the K best of each user, best first."""
    nothing = Ragged(np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.int64))
    ids = tuple(str(number) for number in range(len(items)))
    live = LiveActivities(
        ActivitySide(ids, nothing, nothing),
        {"als": ActivitySideVectors.dense(items)},
        {"als": 1.0},
        np.zeros(len(items)),
    )
    fields = "activity_id: STRING, als_score: DOUBLE, als_rank: DOUBLE, list_score: DOUBLE"
    schema = f"user_id INT, candidates ARRAY<STRUCT<{fields}>>"
    mapper = candidate_mapper(spread(users.sparkSession, live), ["user_id"], [], K, ranks=False)
    found = users.mapInArrow(mapper, schema)
    return found.select(
        "user_id", F.col("candidates.activity_id").cast("array<int>").alias("items")
    )


def plain_numpy(users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """One thread block after the other: GEMM, partition, sort."""
    lists = np.empty((len(users), K), dtype=np.int64)
    for start in range(0, len(users), 2_000):
        scores = users[start : start + 2_000] @ items.T
        best = np.argpartition(scores, len(items) - K, axis=1)[:, -K:]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
        lists[start : start + 2_000] = np.take_along_axis(best, order, axis=1)
    return lists


def by_implicit(users: np.ndarray, items: np.ndarray) -> np.ndarray | None:
    try:
        from implicit.cpu.topk import topk
    except ImportError:
        return None
    ids, _ = topk(items, users, K, num_threads=2)
    return np.asarray(ids)


def mllib(spark: SparkSession, users: np.ndarray, items: np.ndarray) -> Callable[[], DataFrame]:
    """recommendForAllUsers of a model with these factors."""
    tiny = spark.createDataFrame([(0, 0, 1.0)], "user INT, item INT, rating FLOAT")
    shape = ALS(rank=RANK, maxIter=1, numUserBlocks=1, numItemBlocks=1).fit(tiny)
    jvm = spark._jvm
    assert jvm is not None
    parts = [frame(spark, matrix, "id").repartition(8).persist() for matrix in (users, items)]
    for part in parts:
        part.count()
    model = jvm.org.apache.spark.ml.recommendation.ALSModel(
        shape.uid, RANK, parts[0]._jdf, parts[1]._jdf
    )
    shape._java_obj.copyValues(model, jvm.org.apache.spark.ml.param.ParamMap.empty())
    return lambda: DataFrame(model.recommendForAllUsers(K), spark)


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def agreement(spark: SparkSession, found: DataFrame, wanted: np.ndarray) -> float:
    """Share of users whose list is that of plain NumPy."""
    rows = found.orderBy("user_id").toArrow()
    lists = np.stack(rows.column("items").to_numpy(zero_copy_only=False))
    return float((lists == wanted[rows.column("user_id").to_numpy()]).all(axis=1).mean())


def contenders(
    spark: SparkSession, options: argparse.Namespace
) -> Iterator[tuple[str, Callable[[], object], Callable[[], float]]]:
    users, items = vectors(options.users, 1), vectors(options.items, 2)
    wanted = plain_numpy(users[:1_000], items)
    sides = users_of(spark, users, options.parts)
    sides.count()

    def noop(rows: DataFrame) -> None:
        rows.write.format("noop").mode("overwrite").save()

    def some(rows: DataFrame) -> DataFrame:
        return rows.where("user_id < 1000")

    yield (
        "kernel",
        lambda: noop(kernel(sides, items)),
        lambda: agreement(spark, some(kernel(sides, items)), wanted),
    )
    if options.only == "kernel":
        return
    yield "plain NumPy", lambda: plain_numpy(users, items), lambda: 1.0
    if by_implicit(users[:10], items) is not None:
        yield (
            "implicit",
            lambda: by_implicit(users, items),
            lambda: float((by_implicit(users[:1_000], items) == wanted).all(axis=1).mean()),
        )
    recommend = mllib(spark, users, items)

    def lists() -> DataFrame:
        made = recommend().withColumnRenamed("user", "user_id")
        return some(made).select("user_id", F.col("recommendations.item").alias("items"))

    yield (
        "recommendForAllUsers",
        lambda: noop(recommend()),
        lambda: agreement(spark, lists(), wanted),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=50_000)
    parser.add_argument("--items", type=int, default=5_000)
    parser.add_argument("--parts", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=["kernel"])
    options = parser.parse_args()
    set_up_logging()
    spark = get_spark("benchmark-kernel")
    print(f"{options.users:,} users, {options.items:,} items, rank {RANK}, k = {K}")
    best: dict[str, float] = {}
    for name, work, same in contenders(spark, options):
        work()
        taken = [timed(work) for _ in range(options.repeats)]
        best[name] = sorted(taken)[len(taken) // 2]
        each = ", ".join(f"{seconds:.2f}" for seconds in taken)
        print(
            f"{name:22s}{best[name]:8.2f} s, median of {each}; {best[name] / best['kernel']:.2f} "
            f"times the kernel's; {same():.1%} of 1,000 lists equal",
            flush=True,
        )


if __name__ == "__main__":
    main()
