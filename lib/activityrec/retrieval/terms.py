"""What users and items are, as words: what content and Bayes retrievers look at."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec.retrieval.protocol import Known


def profile_terms(known: Known) -> DataFrame:
    """user_id, term: gender, decade of age and attributes of users; NULLs give no term."""
    parts = [_named("gender", F.col("gender")), _named("age", F.floor(F.col("age") / 10) * 10)]
    return known.users.select("user_id", F.explode(_terms(parts)).alias("term"))


def category_weights(known: Known) -> DataFrame:
    """user_id, category, weight: the interest in the products of each category, added up."""
    products = known.products.where("category IS NOT NULL")
    return (
        known.interactions.where("item_kind = 'product'")
        .join(products, on=F.col("item_id") == F.col("product_id"), how="inner")
        .groupBy("user_id", "category")
        .agg(F.sum("weight").alias("weight"))
    )


def item_terms(known: Known) -> DataFrame:
    """item_kind, item_id, ``terms``: category, brand, attributes and the words of the name of
    products; type, channel, attributes and words of activities."""
    products = known.products.select(
        F.lit("product").alias("item_kind"),
        F.col("product_id").alias("item_id"),
        _item_terms(["category", "brand"]).alias("terms"),
    )
    activities = known.activities.select(
        F.lit("activity").alias("item_kind"),
        F.col("activity_id").alias("item_id"),
        _item_terms(["activity_type", "channel"]).alias("terms"),
    )
    return products.unionByName(activities)


def _item_terms(columns: list[str]) -> Column:
    words = F.split(F.lower(F.coalesce("name", F.lit(""))), r"[^\p{L}\p{N}]+")
    return F.concat(
        _terms([_named(name, F.col(name)) for name in columns]),
        F.filter(words, lambda word: word != ""),
    )


def _terms(parts: list[Column]) -> Column:
    """The parts that are there, and the attributes."""
    attributes = F.map_entries(F.coalesce("attributes", F.create_map().cast("map<string,string>")))
    named = F.transform(attributes, lambda entry: _named_by(entry["key"], entry["value"]))
    return F.array_compact(F.concat(F.array(*parts), named))


def _named(name: str, value: Column) -> Column:
    return _named_by(F.lit(name), value.cast("string"))


def _named_by(name: Column, value: Column) -> Column:
    return F.concat(name, F.lit("="), F.lower(value))
