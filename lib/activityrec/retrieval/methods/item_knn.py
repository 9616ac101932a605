"""Neighbourhoods of items by cosine."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from activityrec.config import ItemKnnConfig
from activityrec.retrieval.gram import Block, gram
from activityrec.retrieval.protocol import Known, Vectors, interests, named_items


def fit_item_knn(known: Known, config: ItemKnnConfig) -> Vectors:
    """Score an item by the user's interest in items like it (Sarwar et al. 2001).

    score(u, i) = Σ_j weight(u, j) × sim(j, i) over the ``neighbours`` items most like i; sim is
    the cosine of the items' columns in the user-item matrix, times n / (n + ``shrinkage``) for
    n shared users (Bell and Koren 2007).

    Raises
    ------
    StateError
        There are no interactions.
    """
    rows = known.keep(known.numbered(config.items))
    schema = "item INT, indices ARRAY<INT>, vector ARRAY<FLOAT>"
    near = gram(known.keep(_columns(rows, config)), _nearest(config), schema)
    return Vectors(interests(known, rows), named_items(known, near, rows))


def _columns(rows: DataFrame, config: ItemKnnConfig) -> DataFrame:
    """user, item, weight: the columns of items that enough users have, each of length 1."""
    norms = (
        rows.groupBy("item")
        .agg(F.sqrt(F.sum(F.col("weight") ** 2)).alias("norm"), F.count("*").alias("_n"))
        .where(F.col("_n") >= config.min_users)
        .drop("_n")
    )
    # A user with very many items says little about any two, and costs their square.
    strongest = Window.partitionBy("user").orderBy(F.desc("weight"), "item")
    return (
        rows.withColumn("_place", F.row_number().over(strongest))
        .where(F.col("_place") <= config.max_items_per_user)
        .drop("_place")
        .join(norms, on="item", how="inner")
        .select("user", "item", (F.col("weight") / F.col("norm")).alias("weight"))
    )


def _nearest(config: ItemKnnConfig) -> Callable[[Block], pa.RecordBatch]:
    """For each item of a block the most similar others, itself among none."""

    def finish(block: Block) -> pa.RecordBatch:
        items, indices, vectors = [], [], []
        for place, item in enumerate(block.items):
            others, cosine, n = block.row(place)
            kept = (n >= config.min_users) & (others != item)
            others, cosine, n = others[kept], cosine[kept], n[kept]
            # As they are kept: what differs in the last bits of a sum is a tie.
            similarity = (cosine * n / (n + config.shrinkage)).astype(np.float32)
            nearest = np.lexsort((others, -similarity))[: config.neighbours]
            if len(nearest):
                nearest = nearest[np.argsort(others[nearest])]
                items.append(item)
                indices.append(others[nearest])
                vectors.append(similarity[nearest])
        return pa.RecordBatch.from_arrays(
            [
                pa.array(items, pa.int32()),
                pa.array(indices, pa.list_(pa.int32())),
                pa.array(vectors, pa.list_(pa.float32())),
            ],
            names=["item", "indices", "vector"],
        )

    return finish
