"""k-anonymity of what analysts see: groups of fewer than k are left out (Sweeney 2002)."""

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from activityrec.config import Config


def group_size(config: Config) -> int:
    """The k of the deployment; 1 where it asks for none."""
    return config.privacy.k_anonymity if config.privacy is not None else 1


def large_counts(rows: DataFrame, counts: Sequence[str], k: int) -> DataFrame:
    """The rows of which no count is from 1 to k - 1: figures of so few tell of persons.

    A count of 0 or NULL is about nobody.
    """
    if k <= 1:
        return rows
    small = [F.coalesce(F.col(name).between(1, k - 1), F.lit(False)) for name in counts]
    return rows.where(~reduce(Column.__or__, small))


def large_groups(rows: DataFrame, group: str, k: int) -> DataFrame:
    """The rows of groups with k rows or more, each row being one user."""
    if k <= 1:
        return rows
    whole = Window.partitionBy(group).rowsBetween(
        Window.unboundedPreceding, Window.unboundedFollowing
    )
    size = F.count("*").over(whole)
    return rows.withColumn("_size", size).where(F.col("_size") >= k).drop("_size")
