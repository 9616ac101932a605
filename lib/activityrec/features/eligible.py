"""What activities cover: their eligible products and the categories of these, numbered."""

from dataclasses import dataclass

import numpy as np
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from activityrec.features.affinity import ActivitySide, Ints, Ragged


@dataclass(frozen=True)
class EligibleItems:
    """The activity side on the driver, and the numbering of products and categories as tables.

    ``products``: (product_id, product_no) of eligible products; ``categories``: (product_id,
    category_no) of every product in a category that some activity covers.
    """

    side: ActivitySide
    product_ids: tuple[str, ...]
    products: DataFrame
    categories: DataFrame


def eligible_items(
    spark: SparkSession, activity_ids: list[str], activity_products: DataFrame, products: DataFrame
) -> EligibleItems:
    """Number the eligible products of ``activity_ids`` and their categories.

    The driver sees the eligible products of these activities, never those of all.
    """
    ids = spark.createDataFrame([(name,) for name in activity_ids], "activity_id STRING")
    covered = (
        activity_products.join(F.broadcast(ids), on="activity_id", how="left_semi")
        .select("activity_id", "product_id")
        .distinct()
        .join(products.select("product_id", "category"), on="product_id", how="left")
    ).toPandas()
    number = {name: place for place, name in enumerate(activity_ids)}
    columns = covered["activity_id"].map(number).to_numpy(dtype=np.int64)
    product_no, product_ids = covered["product_id"].factorize(sort=True)
    numbers: Ints = product_no.astype(np.int64)
    known = covered["category"].notna().to_numpy()
    category_no, categories = covered["category"][known].factorize(sort=True)
    by_category = np.unique(np.stack([category_no, columns[known]]), axis=1)
    side = ActivitySide(
        tuple(activity_ids),
        Ragged.from_pairs(numbers, np.asarray(columns), len(product_ids)),
        Ragged.from_pairs(by_category[0], by_category[1], len(categories)),
    )
    numbered = products.join(
        F.broadcast(_numbering(spark, list(categories), "category")), on="category", how="inner"
    )
    return EligibleItems(
        side,
        tuple(map(str, product_ids)),
        _numbering(spark, list(product_ids), "product"),
        numbered.select("product_id", "category_no"),
    )


def _numbering(spark: SparkSession, names: list[str], what: str) -> DataFrame:
    """(name, place) of each name; the name column is ``product_id`` or ``category``."""
    column = "product_id" if what == "product" else what
    rows = [(str(name), place) for place, name in enumerate(names)]
    return spark.createDataFrame(rows, f"{column} STRING, {what}_no INT")
