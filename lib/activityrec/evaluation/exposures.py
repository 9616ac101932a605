"""Exposures after ``as_of``, scored as production would have scored them."""

from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec.evaluation.baselines import affinity_amount, with_popularity
from activityrec.evaluation.slices import slice_columns, slice_map
from activityrec.features.daily import user_daily
from activityrec.features.history import History, between, population
from activityrec.features.sampled import known_outcomes
from activityrec.features.snapshots import Snapshots, exposed_pairs
from activityrec.ranking.examples import examples
from activityrec.ranking.pipeline import probabilities
from activityrec.retrieval.pairs import calendar, pair_scores, score_map
from activityrec.retrieval.segments import with_segment
from activityrec.serving.candidates import Serving


def scored_exposures(serving: Serving, full: History, learnt: DataFrame | None) -> DataFrame:
    """Score every later exposure with the frozen models and with the baselines.

    Features are those of the snapshot of the exposure's day: production computes them every
    day, the models now and then.

    Parameters
    ----------
    serving
        Models and tables as of T.
    full
        The clean tables to the end of the data.
    learnt
        ``features.training_examples`` of the frozen ranker; None without one.

    Returns
    -------
    DataFrame
        ``serving.scored_exposures`` without run_id and as_of.
    """
    scored = _with_known(serving, later_exposures(serving, full))
    if serving.ranker is not None:
        scored = probabilities(serving.ranker, scored)
    end = full.events.agg(F.max("event_ts").alias("_end"))
    return (
        with_popularity(scored, learnt)
        .join(F.broadcast(end), how="cross")
        .select(
            "user_id",
            "activity_id",
            "exposure_ts",
            "label",
            "weight",
            (F.col("closes_ts") > F.col("_end")).alias("censored"),
            (F.col("probability") if serving.ranker is not None else F.lit(None)).alias("ranker"),
            F.lit(None).cast("double").alias("champion"),
            # Without examples popularity is a number of users, and no probability.
            (F.col("popularity") if learnt is not None else F.lit(None)).alias("popularity"),
            F.col("response_rate").alias("past_rate"),
            affinity_amount(serving.config.features).alias("affinity"),
            score_map(serving.config.retrieval).alias("scores"),
            slice_map(slice_columns(serving.config)).alias("slices"),
        )
    )


def _with_known(serving: Serving, rows: DataFrame) -> DataFrame:
    """Add ``user_known``: whether a retriever knew the user, and ``activity_known``: whether
    anyone had been sent the activity, or answered it, before the models were made."""
    users = serving.user_vectors.select("user_id").distinct().withColumn("user_known", F.lit(True))
    history = serving.history
    seen = history.exposures.select("activity_id").unionByName(history.events.select("activity_id"))
    activities = seen.distinct().withColumn("activity_known", F.lit(True))
    return (
        rows.join(users, on="user_id", how="left")
        .join(F.broadcast(activities), on="activity_id", how="left")
        .fillna(False, subset=["user_known", "activity_known"])
    )


def later_exposures(serving: Serving, full: History) -> DataFrame:
    """The exposures of the horizon as :func:`activityrec.ranking.examples.examples` gives them."""
    config, as_of = serving.config, serving.as_of
    known = known_outcomes(full, config).persist()
    until = as_of + timedelta(days=config.evaluate.horizon_days)
    later = between(known, as_of, until)
    recent = full.events.where(F.col("event_ts") >= F.lit(as_of).cast("timestamp"))
    daily = serving.snapshots.daily.unionByName(user_daily(recent)).persist()
    snapshots = Snapshots(
        population(later), full, daily, known, serving.snapshots.log_start, config
    )
    scores = pair_scores(
        exposed_pairs(later),
        [serving.fitted],
        serving.user_vectors,
        serving.activity_vectors,
        calendar(full.activities, config.recommend.planning_days),
        list(config.retrieval.weights),
    )
    return examples(
        later,
        snapshots.users(),
        snapshots.activities(),
        snapshots.pairs(exposed_pairs(later)),
        with_segment(scores, serving.segments, [serving.fitted]),
    )
