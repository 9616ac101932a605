"""Interactions: events folded into one weight for each user and item."""

from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec.config import InteractionsConfig


def interactions(daily: DataFrame, until: date, config: InteractionsConfig) -> DataFrame:
    """Fold the events before a day into weights of users on products and on activities.

    The weight is ln(1 + Σ w(type) × events × 2^(-age / half-life)): later events count for
    more, and the hundredth purchase for less than the first.

    Parameters
    ----------
    daily
        ``features.user_daily``.
    until
        Days from this one on are left out.

    Returns
    -------
    DataFrame
        user_id, ``item_kind`` (product or activity), item_id, ``weight`` > 0. An event that
        concerns both counts for both.
    """
    weight = F.lit(None).cast("double")
    for kind, value in config.weights.items():
        weight = F.when(F.col("event_type") == kind, F.lit(value)).otherwise(weight)
    age = F.datediff(F.lit(until), F.col("event_date"))
    decay = F.pow(F.lit(2.0), -age / F.lit(config.half_life_days))
    items = F.array(
        F.when(F.col("product_id").isNotNull(), _item("product")),
        F.when(F.col("activity_id").isNotNull(), _item("activity")),
    )
    return (
        daily.where((F.col("event_date") < F.lit(until)) & weight.isNotNull())
        .select(
            "user_id",
            F.explode(F.array_compact(items)).alias("item"),
            (weight * F.col("events") * decay).alias("weight"),
        )
        .groupBy("user_id", "item.item_kind", "item.item_id")
        .agg(F.log1p(F.sum("weight")).alias("weight"))
    )


def _item(kind: str) -> Column:
    return F.struct(F.lit(kind).alias("item_kind"), F.col(f"{kind}_id").alias("item_id"))
