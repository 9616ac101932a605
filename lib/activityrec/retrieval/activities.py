"""Activities as vectors: their own, blended with those of their products."""

from collections.abc import Sequence

from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.ml.stat import Summarizer
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

KEY = ["fitted_date", "retriever", "activity_id"]


def activity_vectors(
    items: DataFrame, activity_products: DataFrame, own_prior: float, summed: Sequence[str] = ()
) -> DataFrame:
    """Vectors of activities: their own blended with their products' pooled ones.

    An activity that n users interacted with has (n × own + m × pooled) / (n + m), m being
    ``own_prior``; one that has not started yet has the pooled vector alone. Products are pooled
    by the number of their users.

    For the retrievers ``summed`` the products' vectors are added up instead: an activity of many
    liked products is worth more than one of few.

    Parameters
    ----------
    items
        ``features.item_vectors`` of one or more fits.
    activity_products
        ``clean.activity_products``, of all activities or of some.

    Returns
    -------
    DataFrame
        fitted_date, retriever, activity_id, ``indices`` (NULL: dense), ``vector`` (doubles).
        Activities without any history and without products with one are absent.
    """
    covered = activity_products.select("activity_id", "product_id").distinct()
    products = items.where("item_kind = 'product'").withColumnRenamed("item_id", "product_id")
    share = F.when(F.col("retriever").isin(*summed), 1.0).otherwise(F.col("users"))
    eligible = covered.join(products, on="product_id", how="inner").withColumn("_share", share)
    own = items.where("item_kind = 'activity'").withColumnRenamed("item_id", "activity_id")
    dense, sparse = F.col("indices").isNull(), F.col("indices").isNotNull()
    total = F.when(F.col("retriever").isin(*summed), 1.0).otherwise(F.sum("_share")).alias("_total")
    totals = eligible.groupBy(*KEY).agg(total)
    return _dense(eligible.where(dense), own.where(dense), totals, own_prior).unionByName(
        _sparse(eligible.where(sparse), own.where(sparse), totals, own_prior)
    )


def _dense(eligible: DataFrame, own: DataFrame, totals: DataFrame, prior: float) -> DataFrame:
    vector = array_to_vector(F.col("vector"))
    pooled = eligible.groupBy(*KEY).agg(
        Summarizer.sum(vector, F.col("_share").cast("double")).alias("_pooled")
    )
    mine = own.select(*KEY, F.col("vector").cast("array<double>").alias("_own"), "users")
    sums = F.when(F.col("_pooled").isNotNull(), vector_to_array(F.col("_pooled")))
    together = (
        pooled.join(totals, on=KEY, how="inner")
        .join(mine, on=KEY, how="full")
        .withColumn("_pooled", F.transform(sums, lambda value: value / F.col("_total")))
    )
    blend = F.zip_with("_own", "_pooled", lambda own, other: _blend(own, other, prior))
    return together.select(
        *KEY,
        F.lit(None).cast("array<int>").alias("indices"),
        F.coalesce(blend, "_own", "_pooled").alias("vector"),
    )


def _sparse(eligible: DataFrame, own: DataFrame, totals: DataFrame, prior: float) -> DataFrame:
    """The same, value by value: a place that a vector does not have is a zero."""
    terms = F.arrays_zip("indices", "vector").alias("term")
    exploded = eligible.select(*KEY, "_share", F.explode(terms).alias("term"))
    pooled = (
        exploded.groupBy(*KEY, "term.indices")
        .agg(F.sum(F.col("_share") * F.col("term.vector")).alias("_sum"))
        .join(totals, on=KEY, how="inner")
        .select(
            *KEY,
            F.col("indices").alias("place"),
            (F.col("_sum") / F.col("_total")).alias("_pooled"),
        )
    )
    mine = own.select(*KEY, "users", F.explode(terms).alias("term")).select(
        *KEY,
        F.col("term.indices").alias("place"),
        F.col("term.vector").cast("double").alias("_own"),
    )
    known = own.select(*KEY, "users")
    together = (
        pooled.join(mine, on=[*KEY, "place"], how="full")
        .join(known, on=KEY, how="left")
        .join(totals, on=KEY, how="left")
        .fillna(0.0, subset=["_pooled", "_own"])
    )
    value = (
        F.when(F.col("users").isNull(), F.col("_pooled"))
        .when(F.col("_total").isNull(), F.col("_own"))
        .otherwise(_blend(F.col("_own"), F.col("_pooled"), prior))
    )
    return (
        together.select(*KEY, F.struct("place", value.alias("value")).alias("term"))
        .groupBy(*KEY)
        .agg(F.sort_array(F.collect_list("term")).alias("terms"))
        .select(*KEY, F.col("terms.place").alias("indices"), F.col("terms.value").alias("vector"))
    )


def _blend(own: Column, pooled: Column, prior: float) -> Column:
    users = F.col("users")
    return (users * own + prior * pooled) / (users + prior)
