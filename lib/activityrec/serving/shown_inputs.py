"""What the ranker in use learnt from, and what it is shown now."""

import logging
from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.errors import StateError
from activityrec.features.history import History, between
from activityrec.features.sampled import known_outcomes
from activityrec.features.snapshots import exposed_pairs
from activityrec.job import Job
from activityrec.ranking.examples import examples
from activityrec.retrieval.fits import settings_of
from activityrec.retrieval.past_scores import past_scores
from activityrec.tracking import HAS_RANKER, SETTINGS

log = logging.getLogger("activityrec")


def shown_inputs(job: Job, history: History, days: int) -> tuple[DataFrame, DataFrame]:
    """The champion's training examples, and the exposures of the last ``days`` days before the
    job's day with the features of their day and scores of fits before it.

    Training examples of these very days are left out.

    Returns
    -------
    tuple of DataFrame
        Both with the columns of ``features.training_examples``; the label of an exposure whose
        window is open means nothing.

    Raises
    ------
    StateError
        There is no champion, it has no ranker, is one of another configuration, or what it learnt
        from is gone; or ``features`` has not run.
    """
    lakehouse, config, as_of = job.lakehouse, job.config, job.as_of
    model = job.tracking.model("retrieval", as_of, load=False)
    if model.tags.get(HAS_RANKER) == "false":
        raise StateError(f"model {model} has no ranker")
    settings = settings_of(config)
    if model.tags.get(SETTINGS) != settings:
        raise StateError(f"model {model} was made with other settings of retrieval: run train")
    since = as_of - timedelta(days=days)
    learnt = lakehouse.read(tables.training_examples(config)).where(
        (F.col("as_of") == F.lit(model.as_of))
        & (F.col("exposure_ts") < F.lit(since).cast("timestamp"))
    )
    if learnt.isEmpty():
        raise StateError(
            f"table features.training_examples has none of {model.as_of}, the day of {model}, "
            f"before {since}"
        )
    vectors = lakehouse.read(tables.USER_VECTORS)
    mine = (F.col("settings") == settings) & (F.col("fitted_date") <= F.lit(as_of))
    fits = [row[0] for row in vectors.where(mine).select("fitted_date").distinct().collect()]
    shown = between(known_outcomes(history, config), since, as_of).persist()
    recent = examples(
        shown,
        lakehouse.read(tables.user_features(config)),
        lakehouse.read(tables.activity_features(config)),
        lakehouse.read(tables.user_activity_features(config.features)),
        past_scores(lakehouse, config, exposed_pairs(shown), fits, settings),
    ).persist()
    if lacking := shown.count() - recent.count():
        log.warning(
            "monitor: %s of the exposures since %s have no features and are left out of their "
            "drift: run features at %s",
            f"{lacking:,}",
            since,
            as_of,
        )
    return learnt, recent
