"""Evaluate: the challenger, frozen at as_of, against what happened afterwards, beside the champion
and the baselines; where nothing was trained since, the champion itself.

The one stage that reads past as_of.
"""

from dataclasses import dataclass
from datetime import timedelta

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.errors import first_line
from activityrec.evaluation.exposures import LaterExposures, champion_scores, scored_exposures
from activityrec.evaluation.findings import Findings, joined, of_exposures, only_shown
from activityrec.evaluation.input_checks import input_checks
from activityrec.evaluation.list_findings import of_lists
from activityrec.evaluation.metrics import long_scores
from activityrec.evaluation.policy_values import policy_values
from activityrec.features.history import last_day, read_history
from activityrec.job import HELD_OUT, Job, main
from activityrec.ranking.importance import importances
from activityrec.ranking.parts import RATES
from activityrec.ranking.pipeline import probabilities
from activityrec.serving.anonymity import group_size, large_counts
from activityrec.serving.attempts import new_run
from activityrec.serving.candidates import Serving
from activityrec.serving.contest import (
    EVALUATED_RUN,
    complete,
    evaluated_tags,
    load_champion,
    standing,
    under_test,
)
from activityrec.serving.load import load_serving
from activityrec.tables import Table
from activityrec.tracking import CHAMPION, ModelVersion


def run(job: Job) -> dict[str, int]:
    with job.lakehouse.checkpoints():
        return evaluated(job)


def evaluated(job: Job) -> dict[str, int]:
    lakehouse, config = job.lakehouse, job.config
    complete(job)
    serving, model = load_serving(job, under_test(job))
    # Until this evaluation is whole, nothing is known of the model.
    beside = standing(job, CHAMPION)
    job.tracking.tag_version(model, {EVALUATED_RUN: ""})
    end = last_day(lakehouse.read(tables.EVENTS)) + timedelta(days=1)
    full = read_history(lakehouse, min(end, job.until or end))
    learnt = training_examples(job, serving)

    exposures = LaterExposures.after(serving, full)
    later = exposures.examples(serving).checkpoint()
    rival = of_champion(job, model, exposures)
    scored = scored_exposures(serving, later, full, learnt, rival.scores)
    written = write(job, {tables.SCORED_EXPOSURES: scored})
    written |= write(job, {tables.INPUT_CHECKS: checked_inputs(job, serving, later, learnt)})
    # Every later plan is compared with all that is kept in memory.
    job.spark.catalog.clearCache()

    windows = full.activities.select("activity_id", "start_ts", "end_ts")
    rows = lakehouse.read(tables.SCORED_EXPOSURES).where(f"run_id = '{job.run_id}'")
    scores = long_scores(rows.join(F.broadcast(windows), on="activity_id", how="left"))
    least = max(config.evaluate.min_slice_users, group_size(config))
    populations = {"all": scores, "closed": scores.where("NOT censored")}
    found = [
        settled(job, of_exposures(some.persist(), name, config.evaluate, least))
        for name, some in populations.items()
    ]
    lists = of_lists(serving, full.events, learnt, rival.serving)
    written |= write_findings(job, joined([*found, settled(job, lists)]))
    written |= write(job, {tables.POLICY_VALUES: policy_values(serving, full, rows)})
    log_metrics(job, model)
    job.tracking.tag_version(model, evaluated_tags(job, beside, rival.reason))
    return written


def settled(job: Job, found: Findings) -> Findings:
    """The findings computed and written aside; what they were made of leaves the memory."""
    made = Findings(
        found.metrics.checkpoint(), found.comparisons.checkpoint(), found.curves.checkpoint()
    )
    job.spark.catalog.clearCache()
    return made


def write(job: Job, found: dict[Table, DataFrame]) -> dict[str, int]:
    """Replace what this run has written to these tables."""
    marks = {"run_id": F.lit(job.run_id), "as_of": F.lit(job.as_of)}
    where = f"run_id = '{job.run_id}'"
    return {
        table.name: job.lakehouse.replace(table, rows.withColumns(marks), where)
        for table, rows in found.items()
    }


def write_findings(job: Job, found: Findings) -> dict[str, int]:
    """Write what is about enough users; differences only of metrics that are shown."""
    least = group_size(job.config)
    metrics = large_counts(found.metrics, ["rows", "positives", "groups"], least)
    written = write(job, {tables.METRICS: metrics})
    points = without_gaps(large_counts(found.curves, ["users", "positives"], least), found.curves)
    pairs = only_shown(found.comparisons, shown(job))
    return written | write(job, {tables.COMPARISONS: pairs, tables.CURVES: points})


def without_gaps(points: DataFrame, every: DataFrame) -> DataFrame:
    """``captured`` is NULL in curves with a hidden bin: it would tell what is in it."""
    curve = ["model", "population", "curve"]
    hidden = every.join(points, on=[*curve, "bin"], how="left_anti").select(*curve).distinct()
    marked = points.join(hidden.withColumn("_hidden", F.lit(True)), on=curve, how="left")
    captured = F.when(F.col("_hidden").isNull(), F.col("captured"))
    return marked.withColumn("captured", captured).drop("_hidden")


def shown(job: Job) -> DataFrame:
    """The metrics that this run has written, where they are defined."""
    rows = job.lakehouse.read(tables.METRICS).where(f"run_id = '{job.run_id}'")
    return rows.where("value IS NOT NULL")


def log_metrics(job: Job, model: ModelVersion) -> None:
    """The metrics of whole populations, in an MLflow run."""
    params = {"model": str(model)}
    with job.tracking.run(f"{job.run_id} evaluation", job.as_of, params, job.lakehouse.reads):
        job.tracking.log_metrics(
            {
                f"{row['population']}/{row['model']}/{row['metric']}": row["value"]
                for row in shown(job).where("slice = 'all'").collect()
            }
        )


@dataclass(frozen=True)
class Rival:
    """The champion beside the model under test: what it serves with, the exposures by its ranker,
    and why it is not compared; all empty where there is none to compare."""

    serving: Serving | None = None
    scores: DataFrame | None = None
    reason: str = ""


def of_champion(job: Job, model: ModelVersion, exposures: LaterExposures) -> Rival:
    champion, reason = load_champion(job, model)
    if champion is None or champion.ranker is None:
        return Rival(champion, None, reason)
    try:
        return Rival(champion, champion_scores(champion, exposures))
    except AnalysisException as error:
        return Rival(reason=f"it does not fit this configuration: {first_line(error)}")


def checked_inputs(
    job: Job, serving: Serving, later: DataFrame, learnt: DataFrame | None
) -> DataFrame:
    """What each input and score says by itself; without a ranker there is nothing to check."""
    if serving.ranker is None or learnt is None:
        return job.spark.createDataFrame([], tables.INPUT_CHECKS.row_type).drop("run_id", "as_of")
    sides = [probabilities(serving.ranker, rows) for rows in (learnt, later)]
    scores = {"ranker": "probability", **RATES, **job.config.retrieval.score_columns}
    weights = importances(serving.ranker, job.config)
    return input_checks(sides[0], sides[1], scores, weights, job.config)


def training_examples(job: Job, serving: Serving) -> DataFrame | None:
    """What the frozen ranker learnt from; None without one."""
    if serving.ranker is None:
        return None
    table = tables.training_examples(job.config)
    return job.lakehouse.read(table).where(f"as_of = '{serving.fitted}'")


if __name__ == "__main__":
    main([("evaluate", run)], __doc__, flags=HELD_OUT, attempt=new_run)
