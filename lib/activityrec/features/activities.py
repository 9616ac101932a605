"""``features.activity_features``: activities at a snapshot."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec.config import AttributesConfig, Config, FeaturesConfig
from activityrec.features.attributes import (
    attribute_values,
    declared_columns,
    product_values,
    with_labels,
)
from activityrec.features.outcomes import closed_by
from activityrec.ingest.horizon import is_live

KEY = ["snapshot_date", "activity_id"]


def activity_features(
    snapshots: DataFrame,
    activities: DataFrame,
    activity_products: DataFrame,
    products: DataFrame,
    daily: DataFrame,
    outcomes: DataFrame,
    config: Config,
) -> DataFrame:
    """Type, length, size, price level, past response and attributes of the activities of each
    snapshot.

    Parameters
    ----------
    snapshots
        (snapshot_date): the days wanted.
    activities, activity_products, products
        Of the clean schema. Attributes have no dates: they, and the frequent values and quantiles
        that they are labelled by, are those of all activities as they are now.
    daily, outcomes
        ``features.user_daily`` and the outcomes of exposures; what happened on a snapshot's day
        or later does not touch its rows.

    Returns
    -------
    DataFrame
        ``features.activity_features``, one row for each activity that is live at the snapshot,
        starts within ``recommend.planning_days`` of it, or was sent to someone on its day.
    """
    known = activities_of(snapshots, activities, outcomes, config.recommend.planning_days)
    size = activity_products.groupBy("activity_id").agg(
        F.count_distinct("product_id").alias("eligible_products"),
        F.count_distinct("offer_id").alias("offers"),
    )
    prices = _price_level(known, activity_products, daily, config.features.purchase_type)
    responders = _responders(known, daily, config.response.event_types)
    rows = (
        known.join(F.broadcast(size), on="activity_id", how="left")
        .join(prices, on=KEY, how="left")
        .join(responders, on=KEY, how="left")
        .fillna(0, subset=["eligible_products", "offers", "responders"])
    )
    rows = _with_rates(rows, snapshots, outcomes, config.features)
    if not (config.attributes.activities or config.attributes.products):
        return rows
    labels = attribute_labels(activities, activity_products, products, config.attributes)
    return rows.join(F.broadcast(labels), on="activity_id", how="left")


def attribute_labels(
    activities: DataFrame,
    activity_products: DataFrame,
    products: DataFrame,
    attributes: AttributesConfig,
) -> DataFrame:
    """(activity_id, a label for each declared attribute of activities and of products)."""
    values = activities.select("activity_id", *attribute_values(attributes, "activities"))
    declared = declared_columns(attributes, "activities")
    if attributes.products:
        of_products = product_values(activity_products, products, attributes)
        values = values.join(of_products, on="activity_id", how="left")
        declared |= declared_columns(attributes, "products")
    # Few rows, which are read three times.
    return with_labels(values.persist(), declared)


def activities_of(
    snapshots: DataFrame, activities: DataFrame, outcomes: DataFrame, planning_days: int
) -> DataFrame:
    """The activities that each snapshot is about, with their type, length and age."""
    live = F.broadcast(activities).join(
        F.broadcast(snapshots), on=is_live(F.col("snapshot_date"), planning_days), how="inner"
    )
    sent = (
        outcomes.select(F.to_date("exposure_ts").alias("snapshot_date"), "activity_id")
        .join(F.broadcast(snapshots), on="snapshot_date", how="left_semi")
        .unionByName(live.select(*KEY))
        .distinct()
    )
    length = (F.unix_seconds("end_ts") - F.unix_seconds("start_ts")) / 86_400
    return sent.join(F.broadcast(activities), on="activity_id", how="inner").select(
        *KEY,
        "activity_type",
        length.alias("length_days"),
        F.datediff("snapshot_date", "start_ts").alias("days_since_start"),
    )


def _price_level(
    known: DataFrame, activity_products: DataFrame, daily: DataFrame, purchase_type: str | None
) -> DataFrame:
    """Mean over eligible products of ln(1 + unit price), a product's price being that of all
    units bought before the snapshot."""
    sold = (
        daily.where((F.col("event_type") == F.lit(purchase_type)) & (F.col("quantity") > 0))
        .groupBy("product_id", "event_date")
        .agg(F.sum("priced_amount").alias("amount"), F.sum("quantity").alias("quantity"))
    )
    eligible = activity_products.select("activity_id", "product_id").distinct()
    wanted = known.select(*KEY).join(eligible, on="activity_id", how="inner")
    prices = (
        wanted.select("snapshot_date", "product_id")
        .distinct()
        .join(sold, on="product_id", how="inner")
        .where(F.col("event_date") < F.col("snapshot_date"))
        .groupBy("snapshot_date", "product_id")
        .agg(F.log1p(F.sum("amount") / F.sum("quantity")).alias("_price"))
    )
    return (
        wanted.join(prices, on=["snapshot_date", "product_id"], how="inner")
        .groupBy(*KEY)
        .agg(F.avg("_price").alias("price_level"))
    )


def _with_rates(
    rows: DataFrame, snapshots: DataFrame, outcomes: DataFrame, features: FeaturesConfig
) -> DataFrame:
    """``rows`` with the past response of their type and of themselves.

    Each is smoothed towards the next above it, as in
    :func:`activityrec.features.users.response_history`: an activity without history has the rate
    of its type, a type without history that of all.
    """
    # Few rows, which are read three times.
    closed = closed_by(snapshots, outcomes, "activity_type", "activity_id").persist()
    keys = {"all": [], "type": ["activity_type"], "activity": ["activity_id"]}
    for level, columns in keys.items():
        counted = closed.groupBy("snapshot_date", *columns).agg(
            *[F.sum(name).alias(f"{level}_{name}") for name in ("exposures", "answered")]
        )
        rows = rows.join(counted, on=["snapshot_date", *columns], how="left")
        rows = rows.fillna(0, subset=[f"{level}_exposures", f"{level}_answered"])

    def rate(level: str, prior: float, above: Column) -> Column:
        answered, exposures = F.col(f"{level}_answered"), F.col(f"{level}_exposures")
        return (answered + prior * above) / (exposures + prior)

    # NULL where nothing has closed yet.
    of_all = F.try_divide("all_answered", "all_exposures")
    of_type = rate("type", features.type_rate_prior, of_all)
    of_activity = rate("activity", features.activity_rate_prior, F.col("type_response_rate"))
    rows = rows.withColumn("type_response_rate", of_type)
    rows = rows.withColumn("activity_response_rate", of_activity)
    return rows.drop("all_exposures", *[f"{level}_answered" for level in keys])


def _responders(known: DataFrame, daily: DataFrame, response_types: list[str]) -> DataFrame:
    responses = daily.where(
        F.col("event_type").isin(response_types) & F.col("activity_id").isNotNull()
    ).select("activity_id", "event_date", "user_id")
    return (
        responses.join(F.broadcast(known.select(*KEY)), on="activity_id", how="inner")
        .where(F.col("event_date") < F.col("snapshot_date"))
        .groupBy(*KEY)
        .agg(F.count_distinct("user_id").alias("responders"))
    )
