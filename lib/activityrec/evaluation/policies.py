"""What a policy would have shown in each decision of the log.

Both policies are greedy. At position p they show the p-th of their order among the activities
that were available, see :func:`activityrec.evaluation.decisions.with_available`; an exposure
without a position is the decision which one activity this user gets.
"""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F


def popular_choice(log: DataFrame) -> DataFrame:
    """Add ``chosen``: the most popular of what was available; NULL where that is too little."""
    return log.withColumn("chosen", _at_position(F.col("available")))


def recommended_choice(log: DataFrame, lists: DataFrame) -> DataFrame:
    """Add ``chosen``: the best in the user's list of what was available.

    NULL where the list has too little of it. To a user without a list the policy shows what is
    popular.

    Parameters
    ----------
    log
        user_id, ``position``, ``available``.
    lists
        user_id, activity_id, ``rank`` from 1.
    """
    shown = log.select(F.explode("available").alias("activity_id")).distinct()
    # Users keep an empty list where the log shows nothing that is in theirs.
    entry = F.when(F.col("_shown"), F.struct("rank", "activity_id"))
    by_user = (
        lists.join(
            F.broadcast(shown.withColumn("_shown", F.lit(True))), on="activity_id", how="left"
        )
        .groupBy("user_id")
        .agg(F.sort_array(F.collect_list(entry))["activity_id"].alias("_list"))
    )
    possible = F.coalesce(F.array_intersect("_list", "available"), "available")
    joined = log.join(by_user, on="user_id", how="left")
    return joined.withColumn("chosen", _at_position(possible)).drop("_list")


def _at_position(ordered: Column) -> Column:
    return F.get(ordered, F.col("position") - 1)


def with_targets(log: DataFrame, activities: Sequence[str]) -> DataFrame:
    """Add what :func:`activityrec.evaluation.off_policy.off_policy_estimates` asks of a policy.

    Parameters
    ----------
    log
        activity_id, ``propensity`` and ``chosen``.
    activities
        The order of ``policy``.

    Returns
    -------
    DataFrame
        The log, ``target`` and ``unsupported_mass`` (0 or 1), ``policy`` (ARRAY<DOUBLE>). The log
        does not support a decision for which the policy has nothing, nor one that differs from
        what was certain: where the propensity is 1 all others were 0.
    """

    def is_chosen(activity: Column) -> Column:
        return F.coalesce(activity == F.col("chosen"), F.lit(False)).cast("double")

    other = (F.col("propensity") >= 1) & (F.col("chosen") != F.col("activity_id"))
    unsupported = F.col("chosen").isNull() | F.coalesce(other, F.lit(False))
    every = F.array(*map(F.lit, activities)).cast("array<string>")
    return log.withColumns(
        {
            "target": is_chosen(F.col("activity_id")),
            "unsupported_mass": unsupported.cast("double"),
            "policy": F.transform(every, is_chosen),
        }
    )
