"""Bayes: P(item | user) from what users are and buy."""

import numpy as np
import pyarrow as pa
from pyspark.ml.classification import NaiveBayes
from pyspark.ml.feature import OneHotEncoder
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec.config import BayesConfig
from activityrec.errors import StateError
from activityrec.retrieval.protocol import (
    ITEM_COLUMNS,
    Known,
    Vectors,
    dense_indices,
    sorted_terms,
    sparse,
)
from activityrec.retrieval.terms import category_weights, profile_terms


def fit_bayes(known: Known, config: BayesConfig) -> Vectors:
    """P(i | u) ∝ P(u | i) P(i), by MLlib's multinomial naive Bayes.

    A user is the counts of their terms: gender, age, attributes and, by ln(1 + weight), the
    categories that they bought. A class is an activity that users interacted with, or a category
    of products; a product has the class of its category, so that a new activity has that of what
    it covers. The score is ln P(i) + Σ x ln P(term | i); the kernel turns the scores of the live
    activities into probabilities that add up to one.

    Raises
    ------
    StateError
        There are no interactions, or nothing is known of users.
    """
    known.numbered(["product", "activity"])
    users, terms = _users(known, config)
    classes = known.keep(_classes(known))
    labels = _labels(classes, config)
    counts = (
        classes.join(F.broadcast(labels), on=["item_kind", "class"], how="inner")
        .join(users.select("user_id", F.inline("terms").alias("item", "x")), on="user_id",
              how="inner")
        .groupBy("label", "item")
        .agg(F.sum(F.col("weight") * F.col("x")).alias("weight"))
    )  # fmt: skip
    vectors = _class_vectors(labels, counts, terms, config.smoothing)
    # The last place is a one for everybody: it carries ln P(i).
    one = F.struct(F.lit(terms).alias("item"), F.lit(1.0).alias("weight"))
    sides = users.select("user_id", F.array_append("terms", one).alias("terms"))
    return Vectors(sides.select("user_id", *sparse("terms")), _items(known, vectors))


def _labels(classes: DataFrame, config: BayesConfig) -> DataFrame:
    """item_kind, class, label (0, 1, ...), ``prior``: the largest classes."""
    sums = classes.groupBy("item_kind", "class").agg(F.sum("weight").alias("_w"))
    rows = sums.orderBy(F.desc("_w"), "item_kind", "class").limit(config.max_classes).collect()
    total = sum(row["_w"] for row in rows) + config.smoothing * len(rows)
    return classes.sparkSession.createDataFrame(
        [
            (row["item_kind"], row["class"], float(place), (row["_w"] + config.smoothing) / total)
            for place, row in enumerate(rows)
        ],
        "item_kind STRING, class STRING, label DOUBLE, prior DOUBLE",
    )


def _class_vectors(labels: DataFrame, counts: DataFrame, terms: int, smoothing: float) -> DataFrame:
    """item_kind, class, ``vector``: ln P(term | class) of every term, then ln P(class).

    A multinomial model sees sums of counts alone: one row for each class and term is as good as
    one for each user.
    """
    # Every class and the last term are there, so that MLlib counts as many as there are.
    known = labels.select("label", F.lit(terms - 1).alias("item"), F.lit(0.0).alias("weight"))
    rows = counts.unionByName(known)
    encoder = OneHotEncoder(inputCol="item", outputCol="features", dropLast=False)
    encoded = encoder.fit(rows).transform(rows)
    model = NaiveBayes(smoothing=smoothing, weightCol="weight").fit(encoded)
    flat = model.theta.toArray()
    offsets = np.arange(len(flat) + 1, dtype=np.int32) * terms
    learnt = pa.table(
        {
            "label": pa.array(np.arange(len(flat), dtype=np.float64)),
            "theta": pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat.ravel())),
        }
    )
    vector = F.array_append("theta", F.log("prior")).cast("array<float>").alias("vector")
    joined = labels.join(labels.sparkSession.createDataFrame(learnt), on="label", how="inner")
    return joined.select("item_kind", "class", vector)


def _items(known: Known, vectors: DataFrame) -> DataFrame:
    """Products by their category, whether somebody bought them or not, activities by id."""
    products = known.products.select(
        F.lit("product").alias("item_kind"), F.col("product_id").alias("item_id"),
        F.col("category").alias("class"),
    )  # fmt: skip
    activities = known.activities.select(
        F.lit("activity").alias("item_kind"), F.col("activity_id").alias("item_id"),
        F.col("activity_id").alias("class"),
    )  # fmt: skip
    users = known.interactions.groupBy("item_kind", "item_id").agg(F.count("*").alias("users"))
    return (
        products.unionByName(activities)
        .join(F.broadcast(vectors), on=["item_kind", "class"], how="inner")
        .join(users, on=["item_kind", "item_id"], how="left")
        .fillna(1, subset=["users"])
        .withColumn("indices", dense_indices())
        .select(*ITEM_COLUMNS)
    )


def _users(known: Known, config: BayesConfig) -> tuple[DataFrame, int]:
    """user_id, ``terms``: (place, value) of each, ascending; and the number of places."""
    bought = category_weights(known).select(
        "user_id",
        F.concat(F.lit("bought="), "category").alias("term"),
        F.log1p("weight").alias("x"),
    )
    profiles = profile_terms(known).select("user_id", "term", F.lit(1.0).alias("x"))
    counted = known.keep(profiles.unionByName(bought))
    frequent = (
        counted.groupBy("term").count().orderBy(F.desc("count"), "term").limit(config.max_features)
    )
    places = [(row["term"], place) for place, row in enumerate(frequent.collect())]
    numbered = known.interactions.sparkSession.createDataFrame(places, "term STRING, item INT")
    found = (
        counted.join(F.broadcast(numbered), on="term", how="inner")
        .groupBy("user_id")
        .agg(sorted_terms("x").alias("t"))
    )
    # Numbers may be those of a later day.
    active = known.interactions.select("user_id")
    everyone = active.unionByName(known.users.select("user_id"))
    none = F.array().cast("array<struct<item: int, weight: double>>")
    if not places:
        raise StateError(
            "retrieval.bayes: users have no attributes, and what they bought has no category"
        )
    users = (
        everyone.distinct()
        .join(found, on="user_id", how="left")
        .select("user_id", F.coalesce("t", none).alias("terms"))
    )
    return users, len(places)


def _classes(known: Known) -> DataFrame:
    """user_id, item_kind, class, weight: activities by id, products by category."""
    activities = known.interactions.where("item_kind = 'activity'").select(
        "user_id", "item_kind", F.col("item_id").alias("class"), "weight"
    )
    products = category_weights(known).select(
        "user_id", F.lit("product").alias("item_kind"), F.col("category").alias("class"), "weight"
    )
    return activities.unionByName(products)
