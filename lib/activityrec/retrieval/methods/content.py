"""Content: what users liked is like what is offered."""

from pyspark.ml import Pipeline
from pyspark.ml.feature import IDF, HashingTF, Normalizer
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec.config import ContentConfig
from activityrec.retrieval.protocol import ITEM_COLUMNS, Known, Vectors, sorted_terms, sparse
from activityrec.retrieval.terms import item_terms


def fit_content(known: Known, config: ContentConfig) -> Vectors:
    """Cosine of the user's profile and an item's TF-IDF vector (Pazzani and Billsus 2007).

    An item is the unit vector of its words, categories and attributes; a user the unit vector of
    the items that they interacted with, added up by weight. An item that nobody has touched has
    a vector like any other.

    Raises
    ------
    StateError
        There are no interactions.
    """
    rows = known.numbered(["product", "activity"])
    terms = known.keep(_tf_idf(item_terms(known), config))
    weights = known.interactions.select("user_id", "item_kind", "item_id", "weight")
    places = (
        weights.join(terms.withColumnRenamed("weight", "_value"), on=["item_kind", "item_id"],
                     how="inner")
        .groupBy("user_id", "item")
        .agg(F.sum(F.col("weight") * F.col("_value")).alias("weight"))
    )  # fmt: skip
    norms = places.groupBy("user_id").agg(F.sqrt(F.sum(F.col("weight") ** 2)).alias("_norm"))
    users = (
        places.join(norms, on="user_id", how="inner")
        .withColumn("weight", F.col("weight") / F.col("_norm"))
        .groupBy("user_id")
        .agg(sorted_terms())
        .select("user_id", *sparse("terms"))
    )
    popular = rows.groupBy("item").agg(F.count("*").alias("_n"))
    popular = popular.join(
        known.numbers.items, on=F.col("item") == F.col("item_id_no"), how="inner"
    ).select("item_kind", "item_id", "_n")
    items = (
        terms.groupBy("item_kind", "item_id")
        .agg(sorted_terms())
        .join(popular, on=["item_kind", "item_id"], how="left")
        # The words of a product are known, whether somebody bought it or not.
        .withColumn("users", F.greatest(F.lit(1), F.coalesce("_n", F.lit(1))))
        .select("item_kind", "item_id", "users", *sparse("terms"))
    )
    return Vectors(users, items.select(*ITEM_COLUMNS))


def _tf_idf(items: DataFrame, config: ContentConfig) -> DataFrame:
    """item_kind, item_id, item (place), weight: the values of each item's unit vector."""
    pipeline = Pipeline(
        stages=[
            HashingTF(inputCol="terms", outputCol="_counts", numFeatures=config.features),
            IDF(inputCol="_counts", outputCol="_idf"),
            Normalizer(inputCol="_idf", outputCol="_unit"),
        ]
    )
    unit = (
        pipeline.fit(items)
        .transform(items)
        .select("item_kind", "item_id", F.unwrap_udt("_unit").alias("_v"))
    )
    return unit.select(
        "item_kind",
        "item_id",
        F.explode(F.arrays_zip("_v.indices", "_v.values")).alias("_term"),
    ).select(
        "item_kind",
        "item_id",
        F.col("_term.indices").alias("item"),
        F.col("_term.values").alias("weight"),
    )
