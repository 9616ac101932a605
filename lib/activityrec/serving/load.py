"""What serving and evaluation share: the champion and the tables, as of one day."""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.errors import StateError
from activityrec.features.history import first_day, read_history
from activityrec.features.sampled import known_outcomes
from activityrec.features.snapshots import Snapshots
from activityrec.job import Job
from activityrec.retrieval.activities import activity_vectors
from activityrec.retrieval.fold_in import fold_in
from activityrec.retrieval.interactions import interactions
from activityrec.retrieval.segments import with_segment
from activityrec.serving.candidates import Serving
from activityrec.tracking import ORDERED_BY, Champion


def load_serving(job: Job) -> tuple[Serving, Champion]:
    """The champion with the features and factors that it scores, as of the job's day.

    Raises
    ------
    StateError
        No champion, no snapshot at the day, or the champion's factors are gone.
    """
    lakehouse, config, as_of = job.lakehouse, job.config, job.as_of
    history = read_history(lakehouse, as_of)
    retrieval = job.tracking.champion("retrieval", as_of, load=False)
    ranker = None
    if _has_ranker(job, retrieval.as_of):
        ranker = job.tracking.champion("ranker", as_of)
    snapshot = F.col("snapshot_date") == F.lit(as_of)
    users = lakehouse.read(tables.user_features(config)).where(snapshot)
    if users.isEmpty() or not _without(history.users, users).isEmpty():
        raise StateError(
            f"table features.user_features has no snapshot of {as_of} with every user: "
            "run features at it first"
        )
    fitted = F.col("fitted_date") == F.lit(retrieval.as_of)
    segments = None
    if config.retrieval.segments is not None:
        segments = lakehouse.read(tables.USER_SEGMENTS).where(fitted)
    item_vectors = lakehouse.read(tables.ITEM_VECTORS).where(fitted)
    if item_vectors.isEmpty():
        raise StateError(
            f"table features.item_vectors has no fit of {retrieval.as_of}, the champion's: "
            "run train"
        )
    serving = Serving(
        as_of=as_of,
        fitted=retrieval.as_of,
        config=config,
        history=history,
        snapshots=Snapshots(
            users.select("snapshot_date", "user_id"),
            history,
            lakehouse.read(tables.USER_DAILY).where(F.col("event_date") < F.lit(as_of)),
            known_outcomes(history, config),
            first_day(history.events),
            config,
        ),
        users=with_segment(users, segments, [retrieval.as_of]),
        activities=lakehouse.read(tables.activity_features(config)).where(snapshot),
        user_vectors=_with_new_users(
            lakehouse.read(tables.USER_VECTORS).where(fitted), item_vectors, job, retrieval.as_of
        ),
        item_vectors=item_vectors,
        activity_vectors=activity_vectors(
            item_vectors,
            history.activity_products,
            config.retrieval.own_prior,
            config.retrieval.summed,
        ),
        segments=segments,
        ranker=ranker.model if ranker else None,
        ordered_by=ranker.tags.get(ORDERED_BY, "probability") if ranker else "list_score",
    )
    return serving, ranker or retrieval


def _with_new_users(
    vectors: DataFrame, item_vectors: DataFrame, job: Job, fitted: date
) -> DataFrame:
    """Also those whom ALS does not know, where it was fitted on an earlier day."""
    config = job.config
    if fitted == job.as_of or "als" not in config.retrieval.weights:
        return vectors
    daily = job.lakehouse.read(tables.USER_DAILY)
    done = interactions(daily, job.as_of, config.interactions)
    known = vectors.where("retriever = 'als'").select("user_id")
    new = fold_in(
        done.join(known, on="user_id", how="left_anti"), item_vectors, config.retrieval.als
    )
    marks = {"fitted_date": F.lit(fitted), "retriever": F.lit("als")}
    return vectors.unionByName(new.withColumns(marks))


def _without(known: DataFrame, users: DataFrame) -> DataFrame:
    """The known users who are not among ``users``."""
    return known.join(users.select("user_id"), on="user_id", how="left_anti")


def _has_ranker(job: Job, fitted: date) -> bool:
    """Whether training had something to learn from: an exposure whose window had closed."""
    table = tables.training_examples(job.config)
    if not job.lakehouse.exists(table):
        return False
    return not job.lakehouse.read(table).where(F.col("as_of") == F.lit(fitted)).isEmpty()
