"""Evaluate: models frozen at as_of against what happened afterwards, beside the baselines.

The one stage that reads past as_of.
"""

import logging
from datetime import timedelta
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.errors import StateError
from activityrec.evaluation.baselines import affinity_amount, with_popularity
from activityrec.evaluation.draws import Bootstrap, differences, summarised
from activityrec.evaluation.exposures import scored_exposures
from activityrec.evaluation.lists import list_counts, list_draws, list_hits, ranked_by
from activityrec.evaluation.metrics import exposure_draws, long_scores, with_counts
from activityrec.features.history import last_day, read_history
from activityrec.features.outcomes import responses_of
from activityrec.job import Job, main
from activityrec.serving.anonymity import group_size, large_counts
from activityrec.serving.candidates import Serving, scored_candidates, sides
from activityrec.serving.load import load_serving

log = logging.getLogger("activityrec")


def run(job: Job) -> dict[str, int]:
    lakehouse = job.lakehouse
    serving, champion = load_serving(job)
    end = last_day(lakehouse.read(tables.EVENTS)) + timedelta(days=1)
    full = read_history(lakehouse, end)
    learnt = training_examples(job, serving)
    marks = {"run_id": F.lit(job.run_id), "as_of": F.lit(job.as_of)}
    where = f"run_id = '{job.run_id}'"

    scored = scored_exposures(serving, full, learnt).withColumns(marks)
    written = {"scored_exposures": lakehouse.replace(tables.SCORED_EXPOSURES, scored, where)}
    scores = long_scores(lakehouse.read(tables.SCORED_EXPOSURES).where(where)).persist()
    found = [
        of_exposures(job, scores, "all"),
        of_exposures(job, scores.where("NOT censored"), "closed"),
        of_lists(job, serving, full.events, learnt),
    ]
    metrics, pairs = (reduce(DataFrame.unionByName, part) for part in zip(*found, strict=True))
    metrics = large_counts(metrics, ["rows", "positives", "groups"], group_size(job.config))
    written["metrics"] = lakehouse.replace(tables.METRICS, metrics.withColumns(marks), where)
    # What is too small to be shown is not shown as a difference either.
    shown = lakehouse.read(tables.METRICS).where(where).where("value IS NOT NULL")
    for side in ("model", "baseline"):
        sides = shown.select("population", "metric", F.col("model").alias(side))
        pairs = pairs.join(sides, on=["population", "metric", side], how="left_semi")
    written["comparisons"] = lakehouse.replace(tables.COMPARISONS, pairs.withColumns(marks), where)

    with job.tracking.run(
        f"{job.run_id} evaluation", job.as_of, {"model": str(champion)}, lakehouse.reads
    ):
        job.tracking.log_metrics(
            {f"{r['population']}/{r['model']}/{r['metric']}": r["value"] for r in shown.collect()}
        )
    return written


def of_exposures(job: Job, scores: DataFrame, population: str) -> tuple[DataFrame, DataFrame]:
    """Metrics of these exposures, and the differences of every two models."""
    limits = job.config.evaluate
    draws = exposure_draws(scores, limits.threshold, limits.min_answers, bootstrap(job)).persist()
    values = with_counts(summarised(draws, ["model", "metric"]), scores, limits.min_answers)
    marks = {"population": F.lit(population), "k": F.lit(None).cast("int")}
    return values.withColumns(marks), differences(draws, ["metric"]).withColumns(marks)


def bootstrap(job: Job) -> Bootstrap:
    return Bootstrap(job.config.evaluate.replicates, job.config.evaluate.seed)


def training_examples(job: Job, serving: Serving) -> DataFrame | None:
    """What the frozen ranker learnt from; None without one."""
    if serving.ranker is None:
        return None
    table = tables.training_examples(job.config)
    return job.lakehouse.read(table).where(f"as_of = '{serving.fitted}'")


def of_lists(
    job: Job, serving: Serving, events: DataFrame, learnt: DataFrame | None
) -> tuple[DataFrame, DataFrame]:
    """Metrics of the lists made at as_of, beside other orders of the same candidates."""
    made = job.lakehouse.read(tables.RECOMMENDATIONS).where(f"run_id = '{job.run_id}'")
    if made.isEmpty():
        raise StateError(
            f"table serving.recommendations has no rows of run {job.run_id}: run recommend first"
        )
    since = F.lit(job.as_of).cast("timestamp")
    until = F.lit(job.as_of + timedelta(days=job.config.evaluate.horizon_days)).cast("timestamp")
    during = (F.col("event_ts") >= since) & (F.col("event_ts") < until)
    answered = responses_of(events.where(during), job.config.response)
    answered = answered.select("user_id", "activity_id").distinct()
    asked = serving.only(answered.select("user_id").distinct())
    scored = with_popularity(scored_candidates(asked, sides(asked)), learnt)
    affinity = affinity_amount(job.config.features).alias("affinity")
    retrievers = job.config.retrieval.score_columns
    candidates = scored.select(
        "user_id", "activity_id", "popularity", affinity, "list_score", *retrievers.values()
    )
    candidates = candidates.persist()
    relevant = answered.join(
        candidates.select("user_id", "activity_id"), on=["user_id", "activity_id"], how="left_semi"
    )
    orders = {"popularity": "popularity", "affinity": "affinity", **retrievers}
    if serving.ranker is not None and len(retrievers) > 1:
        orders["retrieval"] = "list_score"
    name = "retrieval" if serving.ranker is None else "ranker"
    lists = ranked_by(candidates, orders).unionByName(
        made.select(F.lit(name).alias("model"), "user_id", "activity_id", "rank")
    )
    ks = [k for k in job.config.evaluate.k if k <= job.config.recommend.k]
    hits = list_hits(lists, relevant).persist()
    draws = list_draws(hits, ks, bootstrap(job)).persist()
    k = F.split("metric", "@")[1].cast("int")
    marks = {"population": F.lit("lists"), "k": k}
    values = summarised(draws, ["model", "metric"]).withColumns(marks)
    counted = values.join(list_counts(hits, ks), on=["model", "k"], how="inner")
    return counted, differences(draws, ["metric"]).withColumns(marks)


if __name__ == "__main__":
    main([("evaluate", run)], __doc__)
