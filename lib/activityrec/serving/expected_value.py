"""What a recommendation is worth: the probability of a response times its margin, less the cost."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def with_expected_value(lists: DataFrame, activities: DataFrame, margin: str | None) -> DataFrame:
    """Add ``expected_value`` = probability × margin - cost, in the currency of the data.

    Parameters
    ----------
    lists
        activity_id and ``probability``.
    activities
        ``clean.activities``; its ``cost`` is that of one exposure, 0 where it is NULL.
    margin
        Spark SQL over its columns: what a response is worth. None: nothing is known of it.

    Returns
    -------
    DataFrame
        NULL where the margin or the probability is.
    """
    if margin is None:
        return lists.withColumn("expected_value", F.lit(None).cast("double"))
    worth = activities.select(
        "activity_id",
        F.expr(margin).cast("double").alias("_margin"),
        F.coalesce(F.col("cost").cast("double"), F.lit(0.0)).alias("_cost"),
    )
    value = F.col("probability") * F.col("_margin") - F.col("_cost")
    return (
        lists.join(F.broadcast(worth), on="activity_id", how="left")
        .withColumn("expected_value", value)
        .drop("_margin", "_cost")
    )
