"""What serving and evaluation share: a model and the tables, as of one day."""

from dataclasses import dataclass
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.errors import StateError
from activityrec.features.history import History, first_day, read_history
from activityrec.features.sampled import known_outcomes
from activityrec.features.snapshots import Snapshots
from activityrec.ingest.horizon import live_activities
from activityrec.job import Job
from activityrec.retrieval.activities import activity_vectors
from activityrec.retrieval.fold_in import fold_in
from activityrec.retrieval.interactions import interactions
from activityrec.retrieval.known import segments_of
from activityrec.retrieval.segments import with_segment
from activityrec.serving.candidates import Serving
from activityrec.serving.rules import check_rules
from activityrec.tracking import (
    CHAMPION,
    HAS_RANKER,
    ORDERED_BY,
    RETRIEVAL_VERSION,
    SETTINGS,
    ModelVersion,
)


def load_serving(job: Job, alias: str = CHAMPION) -> tuple[Serving, ModelVersion]:
    """A model with the features and factors that it scores, as of the job's day.

    Parameters
    ----------
    alias
        ``champion`` or ``challenger``.

    Returns
    -------
    tuple
        Also the version that stands for the model: that of the ranker, or of the retrieval model
        where no ranker was trained.

    Raises
    ------
    ConfigError
        An expression of ``rules`` is none over its table.
    StateError
        There is no such model, no snapshot at the day, or the model's factors are gone.
    """
    lakehouse, config, as_of = job.lakehouse, job.config, job.as_of
    history = read_history(lakehouse, as_of)
    check_rules(history, config)
    retrieval = job.tracking.model("retrieval", as_of, alias, load=False)
    ranker = _ranker_of(job, retrieval, alias)
    users = _users_now(job, history)
    fit = _fit(job, retrieval)
    serving = Serving(
        as_of=as_of,
        fitted=retrieval.as_of,
        config=config,
        history=history,
        snapshots=_snapshots(job, history, users),
        users=with_segment(users, fit.segments, [retrieval.as_of]),
        activities=_activities_now(job, history),
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


def fit_of(retrieval: ModelVersion) -> Column:
    """Condition on the tables of fits: the rows that belong to a retrieval model."""
    mine = F.col("settings") == retrieval.tags.get(SETTINGS, "")
    return (F.col("fitted_date") == F.lit(retrieval.as_of)) & mine


def _fit(job: Job, retrieval: ModelVersion) -> _Fit:
    lakehouse, day = job.lakehouse, retrieval.as_of
    fitted = fit_of(retrieval)
    items = lakehouse.read(tables.ITEM_VECTORS).where(fitted)
    if items.isEmpty():
        raise StateError(f"table features.item_vectors has no fit of {day}, the model's: run train")
    fits = {row["retriever"] for row in items.select("retriever").distinct().collect()}
    if lacking := [name for name in job.config.retrieval.weights if name not in fits]:
        raise StateError(
            f"retrieval.methods names {', '.join(lacking)}, not fitted at {day}, the model's "
            "day: run train"
        )
    users = _with_new_users(lakehouse.read(tables.USER_VECTORS).where(fitted), items, job, day)
    return _Fit(users, items, segments_of(lakehouse, job.config, fitted))


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


def _activities_now(job: Job, history: History) -> DataFrame:
    """The snapshot of every live activity at the job's day."""
    rows = job.lakehouse.read(tables.activity_features(job.config)).where(_now(job))
    live = live_activities(history.activities, job.as_of, job.config.recommend.planning_days)
    lacking = live.join(rows.select("activity_id"), on="activity_id", how="left_anti")
    if not lacking.isEmpty():
        raise StateError(
            f"table features.activity_features has no snapshot of {job.as_of} with every live "
            "activity: run features at it first"
        )
    return rows


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
        return vectors.drop("settings")
    daily = job.lakehouse.read(tables.USER_DAILY)
    done = interactions(daily, job.as_of, config.interactions)
    known = vectors.where("retriever = 'als'").select("user_id")
    new = fold_in(
        done.join(known, on="user_id", how="left_anti"), item_vectors, config.retrieval.als
    )
    marks = {"fitted_date": F.lit(fitted), "retriever": F.lit("als")}
    return vectors.drop("settings").unionByName(new.withColumns(marks))


def _without(known: DataFrame, users: DataFrame) -> DataFrame:
    """The known users who are not among ``users``."""
    return known.join(users.select("user_id"), on="user_id", how="left_anti")


def _ranker_of(job: Job, retrieval: ModelVersion, alias: str) -> ModelVersion | None:
    """The ranker that was trained with this retrieval; None where none was: there was no exposure
    whose window had closed."""
    if retrieval.tags.get(HAS_RANKER) == "false":
        return None
    ranker = job.tracking.model("ranker", job.as_of, alias)
    known = ranker.tags.get(RETRIEVAL_VERSION)
    if known != retrieval.version:
        raise StateError(
            f"model {ranker} was trained with version {known} of {retrieval.name}, whose {alias} "
            f"is {retrieval.version}: train or promote did not end, run it"
        )
    return ranker
