"""Segments: users who do similar things, by MLlib's KMeans."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from pyspark.ml import Pipeline
from pyspark.ml.clustering import KMeans
from pyspark.ml.evaluation import ClusteringEvaluator
from pyspark.ml.feature import StandardScaler, VectorAssembler
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec.config import Config, SegmentsConfig
from activityrec.retrieval.fits import last_fit
from activityrec.retrieval.protocol import Known
from activityrec.retrieval.terms import category_weights


def with_segments(known: Known, config: Config) -> Known:
    """Let retrievers know the segments, where the configuration has any."""
    wanted = config.retrieval.segments
    if wanted is None:
        return known
    found = fit_segments(known, wanted).localCheckpoint()
    known.release()
    return replace(known, segments=found)


def with_segment(rows: DataFrame, segments: DataFrame | None, fits: Sequence[date]) -> DataFrame:
    """Add ``segment``, that of the last fit by the snapshot's day, as text; NULL where that does
    not know the user.

    Parameters
    ----------
    rows
        With snapshot_date and user_id.
    segments
        ``features.user_segments`` of the fits; without them ``rows`` stay as they are.
    """
    if segments is None:
        return rows
    named = segments.select("fitted_date", "user_id", F.col("segment").cast("string"))
    fitted = rows.withColumn("fitted_date", last_fit(fits))
    return fitted.join(named, on=["fitted_date", "user_id"], how="left").drop("fitted_date")


def fit_segments(known: Known, config: SegmentsConfig) -> DataFrame:
    """user_id, ``segment`` (0, 1, ...): of the configured numbers the one whose segments are told
    apart best, by the silhouette (Rousseeuw 1987); one segment where there are too few users.

    Segments are in the order of how much their users do, the least first.

    Users are compared by how much of what they do goes to each event type and to each of the
    largest categories, on a logarithmic scale, each standardised.
    """
    rows = known.keep(_profiles(known, config))
    names = [name for name in rows.columns if name != "user_id"]
    features = Pipeline(
        stages=[
            VectorAssembler(inputCols=names, outputCol="_raw"),
            StandardScaler(inputCol="_raw", outputCol="features", withMean=True),
        ]
    )
    scaled = features.fit(rows).transform(rows).select("user_id", "features")
    # The first centres are drawn in the order of the rows.
    scaled = known.keep(scaled.repartition("user_id").sortWithinPartitions("user_id"))
    users = scaled.count()
    best, quality = None, float("-inf")
    for size in (size for size in config.sizes if size < users):
        model = KMeans(k=size, maxIter=config.max_iter, seed=config.seed).fit(scaled)
        found = model.transform(scaled)
        if found.select("prediction").distinct().count() < 2:
            continue
        silhouette = ClusteringEvaluator().evaluate(found)
        if silhouette > quality:
            best, quality = found, silhouette
    if best is None:
        return rows.select("user_id", F.lit(0).alias("segment"))
    return _in_order(best.select("user_id", "prediction"), rows)


def _in_order(found: DataFrame, profiles: DataFrame) -> DataFrame:
    done = [F.col(name) for name in profiles.columns if name.startswith("did_")]
    much = profiles.select("user_id", sum(done, F.lit(0.0)).alias("_much"))
    means = (
        found.join(much, on="user_id", how="inner")
        .groupBy("prediction")
        .agg(F.avg("_much").alias("_much"))
        .orderBy("_much", "prediction")
    ).collect()
    places = [(row["prediction"], place) for place, row in enumerate(means)]
    numbers = found.sparkSession.createDataFrame(places, "prediction INT, segment INT")
    joined = found.join(F.broadcast(numbers), on="prediction", how="inner")
    return joined.select("user_id", "segment")


def _profiles(known: Known, config: SegmentsConfig) -> DataFrame:
    """A row for each user with an interaction."""
    users = known.interactions.select("user_id").distinct()
    kinds = [row[0] for row in known.daily.select("event_type").distinct().orderBy("event_type")
             .collect()]  # fmt: skip
    done = known.daily.groupBy("user_id").agg(
        F.lit(0.0).alias("_"),
        *[
            F.log1p(F.sum(F.when(F.col("event_type") == kind, F.col("events")).otherwise(0)))
            .alias(f"did_{place}")
            for place, kind in enumerate(kinds)
        ],
    )  # fmt: skip
    weights = category_weights(known)
    largest = weights.groupBy("category").agg(F.sum("weight").alias("_w"))
    categories = [row[0] for row in largest.orderBy(F.desc("_w"), "category")
                  .limit(config.categories).collect()]  # fmt: skip
    bought = weights.groupBy("user_id").agg(
        F.lit(0.0).alias("_b"),
        *[
            F.log1p(F.sum(F.when(F.col("category") == name, F.col("weight")).otherwise(0.0)))
            .alias(f"bought_{place}")
            for place, name in enumerate(categories)
        ],
    )  # fmt: skip
    return (
        users.join(done, on="user_id", how="left").join(bought, on="user_id", how="left").fillna(0)
    )
