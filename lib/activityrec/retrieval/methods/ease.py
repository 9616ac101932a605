"""EASE, the closed-form item-item autoencoder."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec.config import EaseConfig
from activityrec.errors import ConfigError
from activityrec.retrieval.gram import Block, gram
from activityrec.retrieval.protocol import Known, Vectors, dense_indices, interests, named_items

Matrix = npt.NDArray[np.float64]


def fit_ease(known: Known, config: EaseConfig) -> Vectors:
    """Learn the item-item weights with a zero diagonal that best rebuild users (Steck 2019).

    With the Gram matrix G = X'X of interests and P = (G + reg × I)^-1, B = -P / diag(P)
    outside the diagonal; a user x scores x B. The Gram matrix is made in Spark, its inverse on
    the driver.

    Raises
    ------
    StateError
        There are no interactions.
    ConfigError
        More than ``max_items`` items.
    """
    weight = F.pow("weight", F.lit(config.power))
    rows = known.keep(known.numbered(config.items).withColumn("weight", weight))
    numbers = [row["item"] for row in rows.select("item").distinct().orderBy("item").collect()]
    if len(numbers) > config.max_items:
        raise ConfigError(
            f"retrieval.ease: {len(numbers):,} items before {known.day}, more than max_items "
            f"{config.max_items:,}: its matrix would not fit the driver; choose items: [activity], "
            "or another retriever"
        )
    spark = rows.sparkSession
    places = spark.createDataFrame(list(zip(numbers, range(len(numbers)), strict=True)),
                                   "item INT, place INT")  # fmt: skip
    placed = rows.join(F.broadcast(places), on="item", how="inner")
    placed = placed.select("user", F.col("place").alias("item"), "weight")
    weights = item_weights(_gram_matrix(placed, len(numbers)), config.reg)
    users = interests(known, placed)
    items = spark.createDataFrame(_columns(numbers, weights)).withColumn("indices", dense_indices())
    return Vectors(users, named_items(known, items, rows))


def _columns(numbers: list[int], weights: Matrix) -> pa.Table:
    flat = pa.array(weights.T.astype(np.float32).ravel())
    offsets = np.arange(len(numbers) + 1, dtype=np.int32) * len(numbers)
    vectors = pa.ListArray.from_arrays(pa.array(offsets), flat)
    return pa.table({"item": pa.array(numbers, pa.int32()), "vector": vectors})


def _gram_matrix(rows: DataFrame, items: int) -> Matrix:
    """X'X on the driver."""
    G = np.empty((items, items))
    for part in gram(rows, _dense, "item INT, products ARRAY<DOUBLE>").toArrow().to_batches():
        lines = part.column("products").flatten().to_numpy()
        G[part.column("item").to_numpy()] = lines.reshape(part.num_rows, items)
    return G


def _dense(block: Block) -> pa.RecordBatch:
    """The rows of a block as they are."""
    height, width = block.products.shape
    offsets = pa.array(np.arange(height + 1, dtype=np.int32) * width)
    values = pa.ListArray.from_arrays(offsets, pa.array(block.products.toarray().ravel()))
    items = pa.array(block.items, pa.int32())
    return pa.RecordBatch.from_arrays([items, values], names=["item", "products"])


def item_weights(G: Matrix, reg: float) -> Matrix:
    """B of the closed form, see :func:`fit_ease`."""
    P = np.linalg.inv(G + reg * np.eye(len(G)))
    B = -P / np.diag(P)
    np.fill_diagonal(B, 0.0)
    return B
