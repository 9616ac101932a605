"""What serving and evaluation share: the champion and the tables, as of one day."""

from dataclasses import dataclass
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.errors import StateError
from activityrec.features.history import History, first_day, read_history
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
    users = _users_now(job, history)
    fit = _fit(job, retrieval.as_of)
    serving = Serving(
        as_of=as_of,
        fitted=retrieval.as_of,
        config=config,
        history=history,
        snapshots=_snapshots(job, history, users),
        users=with_segment(users, fit.segments, [retrieval.as_of]),
        activities=lakehouse.read(tables.activity_features(config)).where(_now(job)),
        user_vectors=fit.users,
        item_vectors=fit.items,
        activity_vectors=activity_vectors(
            fit.items,
            history.activity_products,
            config.retrieval.own_prior,
            config.retrieval.summed,
        ),
        segments=fit.segments,
        ranker=ranker.model if ranker else None,
        ordered_by=ranker.tags.get(ORDERED_BY, "probability") if ranker else "list_score",
    )
    return serving, ranker or retrieval


@dataclass(frozen=True)
class _Fit:
    """What the retrievers of one day gave."""

    users: DataFrame
    items: DataFrame
    segments: DataFrame | None


def _fit(job: Job, day: date) -> _Fit:
    lakehouse = job.lakehouse
    fitted = F.col("fitted_date") == F.lit(day)
    items = lakehouse.read(tables.ITEM_VECTORS).where(fitted)
    if items.isEmpty():
        raise StateError(
            f"table features.item_vectors has no fit of {day}, the champion's: run train"
        )
    users = _with_new_users(lakehouse.read(tables.USER_VECTORS).where(fitted), items, job, day)
    segments = None
    if job.config.retrieval.segments is not None:
        segments = lakehouse.read(tables.USER_SEGMENTS).where(fitted)
    return _Fit(users, items, segments)


def _now(job: Job) -> Column:
    return F.col("snapshot_date") == F.lit(job.as_of)


def _users_now(job: Job, history: History) -> DataFrame:
    """The snapshot of every user at the job's day."""
    users = job.lakehouse.read(tables.user_features(job.config)).where(_now(job))
    if users.isEmpty() or not _without(history.users, users).isEmpty():
        raise StateError(
            f"table features.user_features has no snapshot of {job.as_of} with every user: "
            "run features at it first"
        )
    return users


def _snapshots(job: Job, history: History, users: DataFrame) -> Snapshots:
    daily = job.lakehouse.read(tables.USER_DAILY)
    return Snapshots(
        users.select("snapshot_date", "user_id"),
        history,
        daily.where(F.col("event_date") < F.lit(job.as_of)),
        known_outcomes(history, job.config),
        first_day(history.events),
        job.config,
    )


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
