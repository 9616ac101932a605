"""Metrics of lists: what was recommended at ``as_of`` against what users then answered."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F


def ranked_by(candidates: DataFrame, scores: dict[str, str]) -> DataFrame:
    """Order the same candidates by several scores.

    Parameters
    ----------
    candidates
        user_id, activity_id and the score columns.
    scores
        Model name to score column.

    Returns
    -------
    DataFrame
        model, user_id, activity_id, ``rank`` from 1; ties by activity_id.
    """
    columns = [F.col(column).cast("double").alias(model) for model, column in scores.items()]
    long = candidates.select("user_id", "activity_id", *columns).unpivot(
        ["user_id", "activity_id"], list(scores), "model", "score"
    )
    order = Window.partitionBy("model", "user_id").orderBy(F.desc("score"), "activity_id")
    return long.where("score IS NOT NULL").select(
        "model", "user_id", "activity_id", F.row_number().over(order).alias("rank")
    )


def list_metrics(lists: DataFrame, relevant: DataFrame, ks: list[int]) -> DataFrame:
    """``ndcg@k`` and ``recall@k``, averaged over the users who have something relevant.

    NDCG with binary gain: Σ 1 / log2(1 + rank) over hits, divided by that of the best list
    (Järvelin and Kekäläinen 2002). A user without a list counts as 0.

    Parameters
    ----------
    lists
        model, user_id, activity_id, rank.
    relevant
        (user_id, activity_id): what was answered, among what could be recommended.

    Returns
    -------
    DataFrame
        model, metric, k, value, rows (of lists up to k), positives, groups (users).
    """
    models = lists.select("model").distinct()
    wanted = relevant.distinct()
    users = wanted.groupBy("user_id").agg(F.count("*").alias("_relevant"))
    hits = lists.join(wanted, on=["user_id", "activity_id"], how="inner")
    rows = lists.join(users, on="user_id", how="left_semi")
    result = None
    for k in ks:
        gained = (
            hits.where(F.col("rank") <= k)
            .groupBy("model", "user_id")
            .agg(
                F.sum(1 / F.log2(F.col("rank") + 1)).alias("_dcg"),
                F.count("*").alias("_hits"),
            )
        )
        best = sum(
            (
                F.when(F.col("_relevant") >= place, 1 / F.log2(F.lit(place + 1.0))).otherwise(0.0)
                for place in range(1, k + 1)
            ),
            F.lit(0.0),
        )
        by_user = (
            F.broadcast(models)
            .join(users, how="cross")
            .join(gained, on=["model", "user_id"], how="left")
            .fillna(0, subset=["_dcg", "_hits"])
        )
        seen = rows.where(F.col("rank") <= k).groupBy("model").agg(F.count("*").alias("rows"))
        averages = by_user.groupBy("model").agg(
            F.avg(F.col("_dcg") / best).alias("ndcg"),
            F.avg(F.col("_hits") / F.col("_relevant")).alias("recall"),
            F.sum("_relevant").alias("positives"),
            F.count("*").alias("groups"),
        )
        stacked = (
            averages.join(F.broadcast(seen), on="model", how="left")
            .fillna(0, subset=["rows"])
            .unpivot(
                ["model", "rows", "positives", "groups"], ["ndcg", "recall"], "metric", "value"
            )
            .withColumn("metric", F.concat("metric", F.lit(f"@{k}")))
            .withColumn("k", F.lit(k))
        )
        result = stacked if result is None else result.unionByName(stacked)
    assert result is not None
    return result
