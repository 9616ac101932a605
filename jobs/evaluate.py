"""Evaluate: models frozen at as_of against what happened afterwards, beside the baselines.

The one stage that reads past as_of.
"""

import logging
from datetime import timedelta
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.errors import StateError
from activityrec.evaluation.baselines import affinity_amount, with_popularity
from activityrec.evaluation.draws import Bootstrap, differences, summarised
from activityrec.evaluation.exposures import scored_exposures
from activityrec.evaluation.findings import Findings, joined, of_exposures, shaped
from activityrec.evaluation.lists import list_counts, list_draws, list_hits, ranked_by
from activityrec.evaluation.metrics import long_scores
from activityrec.evaluation.policy_values import policy_values
from activityrec.features.history import last_day, read_history
from activityrec.features.outcomes import responses_of
from activityrec.job import Job, main
from activityrec.serving.anonymity import group_size, large_counts
from activityrec.serving.candidates import Serving, scored_candidates, sides
from activityrec.serving.load import load_serving

log = logging.getLogger("activityrec")


def run(job: Job) -> dict[str, int]:
    lakehouse, config = job.lakehouse, job.config
    serving, champion = load_serving(job)
    end = last_day(lakehouse.read(tables.EVENTS)) + timedelta(days=1)
    full = read_history(lakehouse, end)
    learnt = training_examples(job, serving)
    marks = {"run_id": F.lit(job.run_id), "as_of": F.lit(job.as_of)}
    where = f"run_id = '{job.run_id}'"

    scored = scored_exposures(serving, full, learnt).withColumns(marks)
    written = {"scored_exposures": lakehouse.replace(tables.SCORED_EXPOSURES, scored, where)}
    windows = full.activities.select("activity_id", "start_ts", "end_ts")
    exposures = lakehouse.read(tables.SCORED_EXPOSURES).where(where)
    scores = long_scores(exposures.join(F.broadcast(windows), on="activity_id", how="left"))
    scores = scores.persist()
    least = max(config.evaluate.min_slice_users, group_size(config))
    found = joined(
        [
            of_exposures(scores, "all", config.evaluate, least),
            of_exposures(scores.where("NOT censored"), "closed", config.evaluate, least),
            of_lists(job, serving, full.events, learnt),
        ]
    )
    metrics = large_counts(found.metrics, ["rows", "positives", "groups"], group_size(config))
    written["metrics"] = lakehouse.replace(tables.METRICS, metrics.withColumns(marks), where)
    # What is too small to be shown is not shown as a difference either.
    shown = lakehouse.read(tables.METRICS).where(where).where("value IS NOT NULL")
    pairs = found.comparisons
    for side in ("model", "baseline"):
        same = ["population", "metric", "slice", "slice_value"]
        known = shown.select(*[F.col(name).alias(f"_{name}") for name in (*same, "model")])
        on = reduce(
            Column.__and__, [F.col(name).eqNullSafe(F.col(f"_{name}")) for name in same]
        ) & (F.col(side) == F.col("_model"))
        pairs = pairs.join(known, on=on, how="left_semi")
    written["comparisons"] = lakehouse.replace(tables.COMPARISONS, pairs.withColumns(marks), where)
    points = large_counts(found.curves, ["rows", "positives"], group_size(config))
    written["curves"] = lakehouse.replace(tables.CURVES, points.withColumns(marks), where)
    values = policy_values(serving, full, exposures).withColumns(marks)
    written["policy_values"] = lakehouse.replace(tables.POLICY_VALUES, values, where)

    with job.tracking.run(
        f"{job.run_id} evaluation", job.as_of, {"model": str(champion)}, lakehouse.reads
    ):
        job.tracking.log_metrics(
            {
                f"{r['population']}/{r['model']}/{r['metric']}": r["value"]
                for r in shown.where("slice = 'all'").collect()
            }
        )
    return written


def training_examples(job: Job, serving: Serving) -> DataFrame | None:
    """What the frozen ranker learnt from; None without one."""
    if serving.ranker is None:
        return None
    table = tables.training_examples(job.config)
    return job.lakehouse.read(table).where(f"as_of = '{serving.fitted}'")


def of_lists(job: Job, serving: Serving, events: DataFrame, learnt: DataFrame | None) -> Findings:
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
    limits = job.config.evaluate
    draws = list_draws(hits, ks, Bootstrap(limits.replicates, limits.seed)).persist()
    k = F.split("metric", "@")[1].cast("int").alias("k")
    values = summarised(draws).select("*", k)
    counted = values.join(list_counts(hits, ks), on=["model", "k"], how="inner")
    compared = differences(draws, ["metric"]).select("*", k)
    return Findings(
        shaped(tables.METRICS, counted, population="lists"),
        shaped(tables.COMPARISONS, compared, population="lists"),
        job.spark.createDataFrame([], tables.CURVES.row_type).drop("run_id", "as_of"),
    )


if __name__ == "__main__":
    main([("evaluate", run)], __doc__)
