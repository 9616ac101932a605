"""MLlib's implicit ALS over users and items."""

from pyspark.ml.recommendation import ALS, ALSModel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec.config import AlsConfig
from activityrec.retrieval.protocol import (
    USER_COLUMNS,
    Known,
    Vectors,
    dense_indices,
    named_items,
)


def fit_als(known: Known, config: AlsConfig) -> Vectors:
    """Factorise interactions (Hu, Koren, Volinsky 2008: implicit feedback).

    Raises
    ------
    StateError
        There are no interactions.
    """
    rows = known.keep(_ordered(known.numbered(config.items), config))
    model = ALS(
        rank=config.rank,
        maxIter=config.max_iter,
        regParam=config.reg,
        alpha=config.alpha,
        implicitPrefs=True,
        numUserBlocks=config.blocks,
        numItemBlocks=config.blocks,
        seed=config.seed,
        userCol="user",
        itemCol="item",
        ratingCol="weight",
        # Where a checkpoint directory is set; without one the plan grows with the iterations.
        checkpointInterval=3,
    ).fit(rows)
    vector = F.col("features").alias("vector")
    users = model.userFactors.join(
        known.numbers.users, on=F.col("id") == F.col("user_id_no"), how="inner"
    ).select("user_id", dense_indices(), vector)
    items = model.itemFactors.select(F.col("id").alias("item"), dense_indices(), vector)
    return Vectors(
        users.select(*USER_COLUMNS), named_items(known, items, rows), _without_users(model)
    )


def _ordered(rows: DataFrame, config: AlsConfig) -> DataFrame:
    """The result of ALS depends on the order of its input: a fixed one makes it repeatable."""
    return rows.repartition(config.blocks, "user").sortWithinPartitions("user", "item")


def _without_users(model: ALSModel) -> ALSModel:
    """The model is kept in MLflow, where erasing a user cannot reach. It still finds similar
    items."""
    factors = model.userFactors
    jvm = factors.sparkSession._jvm
    assert jvm is not None
    bare = jvm.org.apache.spark.ml.recommendation.ALSModel(
        model.uid, model.rank, factors.limit(0)._jdf, model.itemFactors._jdf
    )
    return model._copyValues(ALSModel(bare))
