"""Dense numbers for ids."""

from pyspark.sql import SparkSession

from activityrec.retrieval.numbers import number


def test_ids_are_numbered_without_gaps_in_their_order(spark: SparkSession) -> None:
    names = [f"n{place:03d}" for place in range(50)]
    rows = spark.createDataFrame([(name,) for name in reversed(names)], "id STRING").repartition(4)
    found = {row["id"]: row["id_no"] for row in number(rows, ["id"]).collect()}
    assert found == {name: place for place, name in enumerate(names)}


def test_numbers_go_on_from_partition_to_partition(spark: SparkSession) -> None:
    names = [(kind, f"n{place:03d}") for kind in ("activity", "product") for place in range(40)]
    rows = spark.createDataFrame(names[::-1], "kind STRING, id STRING")
    key = "spark.sql.shuffle.partitions"
    before = spark.conf.get(key)
    spark.conf.set(key, "5")
    try:
        numbered = number(rows, ["kind", "id"])
        found = {(row["kind"], row["id"]): row["id_no"] for row in numbered.collect()}
        assert numbered.rdd.getNumPartitions() > 1
    finally:
        spark.conf.set(key, before)
    assert found == {name: place for place, name in enumerate(names)}
