"""Dense numbers for ids: MLlib's ALS knows 32-bit integers only, and sparse vectors need places."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import IntegerType, StructField, StructType

from activityrec.retrieval.protocol import Numbers

PAIR = StructType([StructField("user", IntegerType()), StructField("item", IntegerType())])
"""What a model of MLlib reads, which knows users and items by number alone."""


def number_ids(interactions: DataFrame) -> Numbers:
    """Number the users and the items of interactions."""
    users = number(interactions.select("user_id").distinct(), ["user_id"])
    items = number(interactions.select("item_kind", "item_id").distinct(), ["item_kind", "item_id"])
    return Numbers(users.persist(), items.persist())


def number(rows: DataFrame, key: list[str]) -> DataFrame:
    """Add ``<last of key>_no``: 0, 1, 2, ... in the order of the key, without a global sort.

    Each range partition is numbered by itself and shifted by the sizes of those before it;
    the driver sees one count a partition.
    """
    placed = (
        rows.repartitionByRange(*key)
        .withColumn("_part", F.spark_partition_id())
        .withColumn("_row", F.row_number().over(Window.partitionBy("_part").orderBy(*key)))
        .persist()
    )
    sizes = placed.groupBy("_part").count().orderBy("_part").collect()
    starts, total = [], 0
    for size in sizes:
        starts.append((size["_part"], total))
        total += size["count"]
    shifts = rows.sparkSession.createDataFrame(starts, "_part INT, _shift INT")
    numbered = F.col("_row") - 1 + F.col("_shift")
    return (
        placed.join(F.broadcast(shifts), on="_part", how="inner")
        .withColumn(f"{key[-1]}_no", numbered.cast("int"))
        .drop("_part", "_row", "_shift")
    )
