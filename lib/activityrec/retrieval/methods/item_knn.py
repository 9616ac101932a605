"""Neighbourhoods of items by cosine."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from activityrec.config import ItemKnnConfig
from activityrec.retrieval.protocol import Known, Vectors, interests, named_items, sparse


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
    near = (
        _neighbours(rows, config)
        .groupBy("item")
        .agg(
            F.sort_array(F.collect_list(F.struct(F.col("other").alias("item"), "weight"))).alias(
                "near"
            )
        )
    )
    items = near.select("item", *sparse("near"))
    return Vectors(interests(known, rows), named_items(known, items, rows))


def _neighbours(rows: DataFrame, config: ItemKnnConfig) -> DataFrame:
    """item, other, weight: the most similar others of each item, itself among none."""
    norms = (
        rows.groupBy("item")
        .agg(F.sqrt(F.sum(F.col("weight") ** 2)).alias("norm"), F.count("*").alias("_n"))
        .where(F.col("_n") >= config.min_users)
        .drop("_n")
    )
    # A user with very many items says little about any two, and costs their square.
    strongest = Window.partitionBy("user").orderBy(F.desc("weight"), "item")
    kept = (
        rows.withColumn("_place", F.row_number().over(strongest))
        .where(F.col("_place") <= config.max_items_per_user)
        .drop("_place")
        .join(norms, on="item", how="inner")
        .select("user", "item", (F.col("weight") / F.col("norm")).alias("weight"))
    )
    other = kept.select("user", F.col("item").alias("other"), F.col("weight").alias("_weight"))
    shared = (
        kept.join(other, on="user", how="inner")
        .where("item != other")
        .groupBy("item", "other")
        .agg(F.sum(F.col("weight") * F.col("_weight")).alias("cosine"), F.count("*").alias("n"))
        .where(F.col("n") >= config.min_users)
    )
    damped = F.col("cosine") * F.col("n") / (F.col("n") + config.shrinkage)
    nearest = Window.partitionBy("item").orderBy(F.desc("weight"), "other")
    return (
        shared.select("item", "other", damped.alias("weight"))
        .withColumn("_place", F.row_number().over(nearest))
        .where(F.col("_place") <= config.neighbours)
        .select("item", "other", "weight")
    )
