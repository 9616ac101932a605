"""Popularity: what most users do, overall or in the user's segment."""

from pyspark.sql import functions as F

from activityrec.config import PopularityConfig
from activityrec.retrieval.protocol import Known, Vectors, named_items


def fit_popularity(known: Known, config: PopularityConfig) -> Vectors:
    """Score an item by the weight of all interactions with it, faded as these are.

    By segment a user is the unit vector of their segment, and an item has a value for each: the
    share of the segment's weight, so that large segments do not drown small ones.

    Raises
    ------
    StateError
        There are no interactions.
    """
    rows = known.keep(known.numbered(["product", "activity"]))
    if not config.by_segment:
        everyone = known.interactions.select("user_id").distinct()
        segments = everyone.withColumn("segment", F.lit(0))
    else:
        assert known.segments is not None, "the configuration has segments"
        segments = known.segments
    of_user = known.numbers.users.join(segments, on="user_id", how="inner").select(
        F.col("user_id_no").alias("user"), "user_id", "segment"
    )
    weighed = rows.join(of_user, on="user", how="inner")
    totals = weighed.groupBy("segment").agg(F.sum("weight").alias("_total"))
    shares = (
        weighed.groupBy("item", "segment")
        .agg(F.sum("weight").alias("weight"))
        .join(F.broadcast(totals), on="segment", how="inner")
        .withColumn("weight", F.col("weight") / F.col("_total"))
        .groupBy("item")
        .agg(F.sort_array(F.collect_list(F.struct("segment", "weight"))).alias("terms"))
        .select(
            "item",
            F.col("terms.segment").alias("indices"),
            F.col("terms.weight").cast("array<float>").alias("vector"),
        )
    )
    one = F.array(F.lit(1.0)).cast("array<float>").alias("vector")
    users = of_user.select("user_id", F.array("segment").alias("indices"), one)
    return Vectors(users, named_items(known, shares, rows))
