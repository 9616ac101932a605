"""Train: features → vectors of retrievers, training_examples, the ranker; models in MLflow."""

import logging
from dataclasses import dataclass
from datetime import date, timedelta

from pyspark.ml import PipelineModel, Transformer
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from activityrec import tables
from activityrec.errors import StateError
from activityrec.features.history import between, first_day, read_history
from activityrec.features.sampled import known_outcomes
from activityrec.features.snapshots import exposed_pairs
from activityrec.job import HELD_OUT, Job, main
from activityrec.ranking.calibration import Later, calibrated
from activityrec.ranking.examples import examples
from activityrec.ranking.parts import best_order
from activityrec.ranking.pipeline import coefficients, fit_ranker, ranker_params, training_auc
from activityrec.retrieval.fits import fit_dates, settings_of
from activityrec.retrieval.known import known_before
from activityrec.retrieval.numbers import PAIR
from activityrec.retrieval.past_scores import past_scores
from activityrec.retrieval.protocol import Vectors
from activityrec.retrieval.registry import retrievers
from activityrec.retrieval.segments import with_segments
from activityrec.serving.contest import kept_settings
from activityrec.tracking import (
    CHALLENGER,
    HAS_RANKER,
    ORDERED_BY,
    RETRIEVAL_VERSION,
    SETTINGS,
)

log = logging.getLogger("activityrec")


@dataclass(frozen=True)
class Trained:
    """A model and what its MLflow run tells of it."""

    part: str
    model: PipelineModel
    params: dict[str, object]
    metrics: dict[str, float]
    tags: dict[str, str]
    inputs: StructType | None = None


def run(job: Job) -> dict[str, int]:
    lakehouse, config, as_of = job.lakehouse, job.config, job.as_of
    table = tables.training_examples(config)
    if lakehouse.exists(table):
        # One of another configuration is refused now, and not after all fits.
        lakehouse.read(table)
    history = read_history(lakehouse, as_of)
    known = known_outcomes(history, config)
    start = first_day(history.events) + timedelta(days=config.ranker.min_history_days)
    if config.ranker.train_days is not None:
        start = max(start, as_of - timedelta(days=config.ranker.train_days))
    closed = between(known, start, as_of).where(F.col("closes_ts") <= F.lit(as_of)).persist()
    first = closed.agg(F.to_date(F.min("exposure_ts"))).first()

    dates = fit_dates(as_of, first[0] if first else None, config.retrieval.refit_days)
    with lakehouse.checkpoints():
        written, retrieval = train_retrievers(job, dates)
    if closed.isEmpty():
        if lakehouse.exists(table):
            examples = lakehouse.read(table).limit(0)
            lakehouse.replace(table, examples, f"as_of = '{as_of}'")
        register(job, retrieval, None)
        return written | {table.name: 0}
    ranker = train_ranker(job, closed, dates)
    register(job, retrieval, ranker)
    return written | {table.name: int(ranker.metrics["examples"])}


def register(job: Job, retrieval: Trained, ranker: Trained | None) -> None:
    """Register what was trained; all of it becomes the challenger, or nothing does."""
    versions: dict[str, str] = {}
    for trained in filter(None, (retrieval, ranker)):
        tags = trained.tags
        if trained is retrieval:
            tags = tags | {HAS_RANKER: "true" if ranker else "false"}
        else:
            tags = tags | {RETRIEVAL_VERSION: versions["retrieval"]}
        name = f"{job.run_id} {trained.part}"
        with job.tracking.run(name, job.as_of, trained.params, job.lakehouse.reads):
            job.tracking.log_metrics(trained.metrics)
            version = job.tracking.register(
                trained.part, trained.model, job.as_of, tags, trained.inputs
            )
        versions[trained.part] = version
    job.tracking.point(CHALLENGER, versions)


def train_retrievers(job: Job, dates: list[date]) -> tuple[dict[str, int], Trained]:
    """Fit the retrievers as of each date; the model is the last fit, of the whole history."""
    lakehouse, config = job.lakehouse, job.config
    # Who and what is known at as_of covers every earlier day.
    numbers = known_before(lakehouse, config, job.as_of).numbers
    settings = settings_of(config)
    written = {"user_vectors": 0, "item_vectors": 0}
    fits: list[str] = []
    models: list[Transformer] = []
    for day in dates:
        known = known_before(lakehouse, config, day, numbers)
        if day != job.as_of and known.interactions.isEmpty():
            continue
        known = with_segments(known, config)
        if known.segments is not None:
            marks = {"fitted_date": F.lit(day), "settings": F.lit(settings)}
            count = lakehouse.replace(
                tables.USER_SEGMENTS,
                known.segments.withColumns(marks),
                f"fitted_date = '{day}' AND settings = '{settings}'",
            )
            written["user_segments"] = written.get("user_segments", 0) + count
        for name, fit in retrievers(config.retrieval).items():
            try:
                vectors = fit(known)
            except StateError as error:
                if day == job.as_of:
                    raise
                log.info("%s cannot be fitted at %s: its scores are 0: %s", name, day, error)
                continue
            fits.append(f"'{day}/{name}'")
            for table, count in write_vectors(job, day, name, vectors).items():
                written[table] += count
            if day == job.as_of and vectors.model is not None:
                models.append(vectors.model)
            known.release()
        known.interactions.unpersist()
    drop_others(job, dates, fits)
    params: dict[str, object] = {"half_life_days": config.interactions.half_life_days}
    for name in config.retrieval.weights:
        params |= {f"{name}.{key}": value for key, value in getattr(config.retrieval, name)}
    metrics = {name: float(count) for name, count in written.items()}
    tags = {SETTINGS: settings}
    return written, Trained("retrieval", PipelineModel(models), params, metrics, tags, PAIR)


def write_vectors(job: Job, day: date, retriever: str, vectors: Vectors) -> dict[str, int]:
    """Replace what is there of the same fit."""
    settings = settings_of(job.config)
    mine = f"fitted_date = '{day}' AND retriever = '{retriever}' AND settings = '{settings}'"
    marks = {
        "fitted_date": F.lit(day),
        "retriever": F.lit(retriever),
        "settings": F.lit(settings),
    }
    frames = {tables.USER_VECTORS: vectors.users, tables.ITEM_VECTORS: vectors.items}
    return {
        table.name: job.lakehouse.replace(table, frame.withColumns(marks), mine)
        for table, frame in frames.items()
    }


def drop_others(job: Job, dates: list[date], fits: list[str]) -> None:
    """Delete what there is of these dates but ``fits`` and those of models that may serve."""
    mine = settings_of(job.config)
    kept = {mine, *kept_settings(job)}
    days = ", ".join(f"'{day}'" for day in dates)
    names = ", ".join(f"'{name}'" for name in sorted(kept))
    gone = f"concat(fitted_date, '/', retriever) NOT IN ({', '.join(fits)})"
    for table in (tables.USER_VECTORS, tables.ITEM_VECTORS, tables.USER_SEGMENTS):
        if not job.lakehouse.exists(table):
            continue
        others = f"fitted_date IN ({days}) AND (settings NOT IN ({names})"
        has_retriever = "retriever" in table.column_names
        others += f" OR (settings = '{mine}' AND {gone}))" if has_retriever else ")"
        rows = job.lakehouse.read(table)
        if not rows.where(others).isEmpty():
            job.lakehouse.replace(table, rows.limit(0), others)


def train_ranker(job: Job, closed: DataFrame, fits: list[date]) -> Trained:
    """Assemble the point-in-time training set and fit the ranker on it."""
    config = job.config
    rows, count = write_examples(job, closed, fits)
    later = Later(rows, config)
    model, calibration = calibrated(fit_ranker(rows, config), later)
    order = best_order(later)
    if order.column != "probability":
        log.warning("the ranker is worse than %s, which orders the lists", order.column)
    params = ranker_params(config) | {
        "calibration_decision": calibration.decision,
        "calibration_reason": calibration.reason,
    }
    metrics = {
        "examples": float(count),
        "training_auc": training_auc(model, rows),
        **calibration.figures,
        **order.figures,
        **{f"weight_{name}": w for name, w in coefficients(model, config).items()},
    }
    key = ("as_of", "snapshot_date", "user_id", "activity_id", "exposure_ts", "label", "weight")
    tags = {ORDERED_BY: order.column}
    return Trained("ranker", model, params, metrics, tags, rows.drop(*key).schema)


def write_examples(job: Job, closed: DataFrame, fits: list[date]) -> tuple[DataFrame, int]:
    """The training examples, written, and their number."""
    lakehouse, config, as_of = job.lakehouse, job.config, job.as_of
    learnt = examples(
        closed,
        lakehouse.read(tables.user_features(config)),
        lakehouse.read(tables.activity_features(config)),
        lakehouse.read(tables.user_activity_features(config.features)),
        past_scores(lakehouse, config, exposed_pairs(closed), fits, settings_of(config)),
    )
    table = tables.training_examples(config)
    count = lakehouse.replace(
        table,
        learnt.drop("closes_ts").withColumn("as_of", F.lit(as_of)),
        f"as_of = '{as_of}'",
    )
    if count != closed.count():
        raise StateError(
            f"table features.user_features lacks snapshots of {closed.count() - count:,} of "
            f"{closed.count():,} exposures before {as_of}: run features at {as_of} first"
        )
    return lakehouse.read(table).where(f"as_of = '{as_of}'"), count


if __name__ == "__main__":
    main([("train", run)], __doc__, flags=HELD_OUT)
