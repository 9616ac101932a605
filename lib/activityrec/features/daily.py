"""``features.user_daily``: events folded by day, so that no snapshot reads them one by one."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def user_daily(events: DataFrame) -> DataFrame:
    """Fold events by day, user, type, product and activity.

    Parameters
    ----------
    events
        ``clean.events``.

    Returns
    -------
    DataFrame
        ``features.user_daily``; quantity and amount are 0 where the events have none.
    """
    day = F.to_date("event_ts").alias("event_date")
    return events.groupBy(day, "user_id", "event_type", "product_id", "activity_id").agg(
        F.count("*").alias("events"),
        F.coalesce(F.sum("quantity"), F.lit(0.0)).alias("quantity"),
        F.coalesce(F.sum("amount"), F.lit(0.0)).alias("amount"),
        F.coalesce(F.sum(F.when(F.col("quantity") > 0, F.col("amount"))), F.lit(0.0)).alias(
            "priced_amount"
        ),
    )
