"""Exposures after ``as_of``, scored as production would have scored them."""

from dataclasses import dataclass
from datetime import timedelta

from pyspark.sql import Column, DataFrame
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

KEY = ["user_id", "activity_id", "exposure_ts"]


@dataclass(frozen=True)
class LaterExposures:
    """The exposures of the horizon with the features of their day, whatever model scores them.

    Features are those of the snapshot of the exposure's day: production computes them every
    day, the models now and then.
    """

    outcomes: DataFrame
    users: DataFrame
    activities: DataFrame
    pairs: DataFrame
    full: History

    @staticmethod
    def after(serving: Serving, full: History) -> "LaterExposures":
        """Those of the horizon after ``serving.as_of``.

        Parameters
        ----------
        full
            The clean tables to the end of the data.
        """
        config, as_of = serving.config, serving.as_of
        known = known_outcomes(full, config).persist()
        until = as_of + timedelta(days=config.evaluate.horizon_days)
        later = between(known, as_of, until)
        recent = full.events.where(F.col("event_ts") >= F.lit(as_of).cast("timestamp"))
        daily = serving.snapshots.daily.unionByName(user_daily(recent)).persist()
        snapshots = Snapshots(
            population(later), full, daily, known, serving.snapshots.log_start, config
        )
        return LaterExposures(
            later,
            snapshots.users(),
            snapshots.activities(),
            snapshots.pairs(exposed_pairs(later)),
            full,
        )

    def examples(self, serving: Serving) -> DataFrame:
        """As :func:`activityrec.ranking.examples.examples` gives them, with the scores of the
        retrievers of ``serving``."""
        config = serving.config
        scores = pair_scores(
            exposed_pairs(self.outcomes),
            [serving.fitted],
            serving.user_vectors,
            serving.activity_vectors,
            calendar(self.full.activities, config.recommend.planning_days),
            list(config.retrieval.weights),
        )
        scores = with_segment(scores, serving.segments, [serving.fitted])
        return examples(self.outcomes, self.users, self.activities, self.pairs, scores)


def scored_exposures(
    serving: Serving,
    later: DataFrame,
    full: History,
    learnt: DataFrame | None,
    champion: DataFrame | None = None,
) -> DataFrame:
    """Score every later exposure with the frozen models and with the baselines.

    Parameters
    ----------
    serving
        Models and tables as of T.
    later
        :meth:`LaterExposures.examples` of them.
    full
        The clean tables to the end of the data.
    learnt
        ``features.training_examples`` of the frozen ranker; None without one.
    champion
        KEY and ``champion``, as :func:`champion_scores` gives them; None without another model.

    Returns
    -------
    DataFrame
        ``serving.scored_exposures`` without run_id and as_of.
    """
    scored = _with_known(serving, later)
    if serving.ranker is not None:
        scored = probabilities(serving.ranker, scored)
    if champion is None:
        scored = scored.withColumn("champion", F.lit(None).cast("double"))
    else:
        scored = scored.join(champion, on=KEY, how="left")
    end = full.events.agg(F.max("event_ts").alias("_end"))
    return (
        with_popularity(scored, learnt)
        .join(F.broadcast(end), how="cross")
        .select(
            *KEY,
            "label",
            "weight",
            (F.col("closes_ts") > F.col("_end")).alias("censored"),
            _where(serving.ranker is not None, "probability").alias("ranker"),
            "champion",
            # Without examples popularity is a number of users, and no probability.
            _where(learnt is not None, "popularity").alias("popularity"),
            F.col("response_rate").alias("past_rate"),
            affinity_amount(serving.config.features).alias("affinity"),
            score_map(serving.config.retrieval).alias("scores"),
            slice_map(slice_columns(serving.config)).alias("slices"),
        )
    )


def champion_scores(champion: Serving, later: LaterExposures) -> DataFrame:
    """KEY and ``champion``: the probability by the ranker in use."""
    assert champion.ranker is not None
    scored = probabilities(champion.ranker, later.examples(champion))
    return scored.select(*KEY, F.col("probability").alias("champion"))


def _where(there: bool, column: str) -> Column:
    return F.col(column) if there else F.lit(None).cast("double")


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
