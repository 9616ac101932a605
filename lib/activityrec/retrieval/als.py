"""MLlib's implicit ALS over users and items, and the activity vectors that follow from it."""

from dataclasses import dataclass
from datetime import date

from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.ml.recommendation import ALS, ALSModel
from pyspark.ml.stat import Summarizer
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from activityrec.config import AlsConfig
from activityrec.errors import StateError


@dataclass(frozen=True)
class Numbers:
    """``users``: (user_id, user_id_no); ``items``: (item_kind, item_id, item_id_no)."""

    users: DataFrame
    items: DataFrame


@dataclass(frozen=True)
class AlsFit:
    """A fitted model and its factors under the ids of the business.

    Attributes
    ----------
    model
        MLlib's model, over dense numbers, without its user factors: it is kept in MLflow, where
        erasing a user cannot reach. It finds similar items, or folds in a user from what they did.
    users
        ``features.user_vectors``.
    items
        ``features.item_vectors``.
    """

    model: ALSModel
    users: DataFrame
    items: DataFrame


def fit_als(
    interactions: DataFrame, fitted: date, config: AlsConfig, numbers: Numbers | None = None
) -> AlsFit:
    """Factorise interactions (Hu, Koren, Volinsky 2008: implicit feedback).

    Parameters
    ----------
    interactions
        user_id, item_kind, item_id, weight, as
        :func:`activityrec.retrieval.interactions.interactions` gives them.
    fitted
        The day before which they happened: kept with the factors.
    numbers
        Of these users and items, and perhaps of more; without them they are made.

    Raises
    ------
    StateError
        There are no interactions.
    """
    if interactions.isEmpty():
        raise StateError(
            f"no interactions before {fitted}: none of the event types in interactions.weights "
            "happened on a product or an activity"
        )
    numbers = numbers or number_ids(interactions)
    numbered = (
        interactions.join(numbers.users, on="user_id", how="inner")
        .join(numbers.items, on=["item_kind", "item_id"], how="inner")
        .select(F.col("user_id_no").alias("user"), F.col("item_id_no").alias("item"), "weight")
        # The result of ALS depends on the order of its input: a fixed one makes it repeatable.
        .repartition(config.blocks, "user")
        .sortWithinPartitions("user", "item")
        .persist()
    )
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
    ).fit(numbered)
    day, vector = F.lit(fitted).alias("fitted_date"), F.col("features").alias("vector")
    users = model.userFactors.join(
        numbers.users, on=F.col("id") == F.col("user_id_no"), how="inner"
    )
    item_users = numbered.groupBy("item").agg(F.count("*").alias("users"))
    items = model.itemFactors.join(
        numbers.items, on=F.col("id") == F.col("item_id_no"), how="inner"
    ).join(item_users, on=F.col("id") == F.col("item"), how="inner")
    return AlsFit(
        _without_users(model),
        users.select(day, "user_id", vector),
        items.select(day, "item_kind", "item_id", "users", vector),
    )


def _without_users(model: ALSModel) -> ALSModel:
    factors = model.userFactors
    jvm = factors.sparkSession._jvm
    assert jvm is not None
    bare = jvm.org.apache.spark.ml.recommendation.ALSModel(
        model.uid, model.rank, factors.limit(0)._jdf, model.itemFactors._jdf
    )
    return model._copyValues(ALSModel(bare))


def number_ids(interactions: DataFrame) -> Numbers:
    """Number the users and the items of interactions: ALS knows 32-bit integers only."""
    users = number(interactions.select("user_id").distinct(), ["user_id"])
    items = number(interactions.select("item_kind", "item_id").distinct(), ["item_kind", "item_id"])
    return Numbers(users.persist(), items.persist())


def number(rows: DataFrame, key: list[str]) -> DataFrame:
    """Add ``<last of key>_no``: 0, 1, 2, ... in the order of the key, without a global sort.

    Each range partition is numbered by itself and shifted by the sizes of those before it;
    the driver sees one count a partition.
    """
    placed = (
        rows.repartitionByRange(*key)
        .withColumn("_part", F.spark_partition_id())
        .withColumn("_row", F.row_number().over(Window.partitionBy("_part").orderBy(*key)))
        .persist()
    )
    sizes = placed.groupBy("_part").count().orderBy("_part").collect()
    starts, total = [], 0
    for size in sizes:
        starts.append((size["_part"], total))
        total += size["count"]
    shifts = rows.sparkSession.createDataFrame(starts, "_part INT, _shift INT")
    numbered = F.col("_row") - 1 + F.col("_shift")
    return (
        placed.join(F.broadcast(shifts), on="_part", how="inner")
        .withColumn(f"{key[-1]}_no", numbered.cast("int"))
        .drop("_part", "_row", "_shift")
    )


def activity_vectors(
    items: DataFrame, activity_products: DataFrame, own_factor_prior: float
) -> DataFrame:
    """Vectors of activities: their own factor blended with their products' pooled factors.

    An activity that n users interacted with has (n × own + m × pooled) / (n + m), m being
    ``own_factor_prior``; one that has not started yet has the pooled factor alone. Products
    are pooled by the number of their users.

    Parameters
    ----------
    items
        ``features.item_vectors`` of one or more fits.
    activity_products
        ``clean.activity_products``.

    Returns
    -------
    DataFrame
        fitted_date, activity_id, ``vector``: array of doubles. Activities without any history
        and without products with one are absent.
    """
    key = ["fitted_date", "activity_id"]
    vectors = items.withColumn("vector", array_to_vector(F.col("vector")))
    weight = F.col("users").cast("double")
    pooled = (
        activity_products.select("activity_id", "product_id")
        .distinct()
        .join(
            vectors.where("item_kind = 'product'").withColumnRenamed("item_id", "product_id"),
            on="product_id",
            how="inner",
        )
        .groupBy(*key)
        .agg(Summarizer.mean(F.col("vector"), weight).alias("_pooled"))
    )
    own = vectors.where("item_kind = 'activity'").select(
        "fitted_date",
        F.col("item_id").alias("activity_id"),
        F.col("vector").alias("_own"),
        F.col("users").alias("_n"),
    )
    together = pooled.join(own, on=key, how="full").select(
        *key,
        F.when(F.col("_pooled").isNotNull(), vector_to_array(F.col("_pooled"))).alias("_pooled"),
        F.when(F.col("_own").isNotNull(), vector_to_array(F.col("_own"))).alias("_own"),
        "_n",
    )
    blend = F.zip_with(
        "_own",
        "_pooled",
        lambda own, pooled: (
            (F.col("_n") * own + own_factor_prior * pooled) / (F.col("_n") + own_factor_prior)
        ),
    )
    return together.select(*key, F.coalesce(blend, "_own", "_pooled").alias("vector"))


def als_scores(pairs: DataFrame, users: DataFrame, activities: DataFrame) -> DataFrame:
    """Add ``als_score``, the dot product of user and activity vector, to pairs.

    Parameters
    ----------
    pairs
        With fitted_date, user_id, activity_id: which fit is to score whom on what. A NULL
        date, or a user or activity that the fit does not know, scores 0.
    users
        ``features.user_vectors``.
    activities
        As :func:`activity_vectors` gives them.
    """
    product = F.zip_with("_user", "_activity", lambda u, a: u.cast("double") * a)
    dot = F.aggregate(product, F.lit(0.0), lambda total, term: total + term)
    return (
        pairs.join(
            users.withColumnRenamed("vector", "_user"), on=["fitted_date", "user_id"], how="left"
        )
        .join(
            F.broadcast(activities.withColumnRenamed("vector", "_activity")),
            on=["fitted_date", "activity_id"],
            how="left",
        )
        .withColumn("als_score", F.coalesce(dot, F.lit(0.0)))
        .drop("_user", "_activity")
    )


def fit_dates(as_of: date, first_exposure: date | None, refit_days: int) -> list[date]:
    """The days at which ALS is fitted: ``as_of``, and every ``refit_days`` back from it until
    the first exposure that is learnt from has a fit before it; earliest first."""
    dates = [as_of]
    while first_exposure is not None and dates[-1] > first_exposure:
        earlier = date.fromordinal(dates[-1].toordinal() - refit_days)
        dates.append(earlier)
    return dates[::-1]
