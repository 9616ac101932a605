"""Compare the retrievers on the exposures after --as-of, with intervals; none of them saw one.

Each is fitted at --as-of with the parameters of the configuration, and scores the exposures that
the evaluation at --as-of looks at; with --windows the last column is its average precision on
validation windows before --as-of, fitted at their first day. ``popularity`` (response rate of the
activity's type), ``affinity`` (money spent on its products) and ``ranker`` are beside them.

Then the cold start: for every user who answered an activity that is new after --as-of, all the new
activities in order as of that day, and the share of the answered ones that is among the first k.
Needs the tables and models of a run at --as-of.

    ./spark-submit.sh benchmarks/retrievers.py --config conf/complete_journey.yaml \
        --as-of 2017-10-01 --windows 2017-05-08,2017-06-28,2017-08-08
"""

import time
from datetime import date
from functools import reduce

from choose_parameters import windows_of
from intervals import BOOTSTRAP, cell, holdout, report
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.errors import ConfigError
from activityrec.evaluation.baselines import affinity_amount, with_popularity
from activityrec.evaluation.draws import summarised
from activityrec.evaluation.lists import list_draws, list_hits
from activityrec.job import Job, main
from activityrec.ranking.pipeline import probabilities
from activityrec.retrieval.registry import RETRIEVERS
from activityrec.serving.load import load_serving
from activityrec.tuning.measure import mean, retriever_metrics
from activityrec.tuning.scores import fitted_scores
from activityrec.tuning.windows import Window as Span
from activityrec.tuning.windows import closed_examples

KEY = ["snapshot_date", "user_id", "activity_id"]
BASELINES = ("popularity", "affinity", "past_rate", "ranker")
FIRST = (1, 2, 3)


def compare(job: Job) -> None:
    examples = closed_examples(job).localCheckpoint()
    windows = windows_of(job) if job.options["windows"] else []
    later = baselines(job, holdout(job)).localCheckpoint()
    cold = new_activities(job, later).localCheckpoint()
    pairs = later.select(*KEY).unionByName(cold.select(*KEY))
    scores = [named(later, name, name) for name in BASELINES]
    lists = [named(cold, name, name) for name in ("popularity", "random")]
    notes: dict[str, str] = {}
    for name in (job.options["methods"] or ",".join(RETRIEVERS)).split(","):
        started, model = time.perf_counter(), f"{name} (retriever)"
        try:
            found = scored(job, name, job.as_of, pairs)
        except ConfigError as error:
            print(f"{name}: left out: {error}", flush=True)
            continue
        for rows, kept in ((later, scores), (cold, lists)):
            both = rows.drop(f"{name}_score").join(found, on=KEY, how="inner")
            kept.append(named(both, model, f"{name}_score").localCheckpoint())
        spent = time.perf_counter() - started
        if windows:
            notes[model] = on_windows(job, name, examples, windows)
        print(f"{name}: one fit and its scores in {spent:.0f} s", flush=True)
    report(union(scores).repartition(4).persist(), "average precision on windows", notes)
    recall(union(lists).repartition(4).persist())


def baselines(job: Job, later: DataFrame) -> DataFrame:
    """The exposures with the score of each simple model and of the registered ranker."""
    serving, _ = load_serving(job)
    if serving.ranker is not None:
        later = probabilities(serving.ranker, later)
    learnt = job.lakehouse.read(tables.training_examples(job.config))
    rows = with_popularity(later, learnt.where(f"as_of = '{job.as_of}'"))
    ranker = F.col("probability") if serving.ranker is not None else F.lit(None)
    return rows.withColumns(
        {
            "ranker": ranker.cast("double"),
            "past_rate": F.col("response_rate"),
            "affinity": affinity_amount(job.config.features),
        }
    )


def new_activities(job: Job, later: DataFrame) -> DataFrame:
    """KEY, label, popularity, random: everybody who answered an activity that is new after as_of,
    with all that are."""
    activities = job.lakehouse.read(tables.ACTIVITIES).where(F.col("start_ts") > F.lit(job.as_of))
    shown = later.join(activities.select("activity_id"), on="activity_id", how="left_semi")
    popularity = shown.groupBy("activity_id").agg(F.first("popularity").alias("popularity"))
    answered = shown.where("label = 1").select("user_id", "activity_id", F.lit(1).alias("label"))
    return (
        answered.select("user_id").distinct()
        .join(F.broadcast(popularity), how="cross")
        .join(answered, on=["user_id", "activity_id"], how="left")
        .fillna(0, subset=["label"])
        .withColumns(
            {
                "snapshot_date": F.lit(job.as_of),
                "random": F.xxhash64(F.lit(1), "user_id", "activity_id").cast("double"),
            }
        )
    )  # fmt: skip


def named(rows: DataFrame, model: str, column: str) -> DataFrame:
    """The scores of one model, as metrics take them."""
    score = F.col(column).cast("double").alias("score")
    return rows.select("user_id", "activity_id", "label", F.lit(model).alias("model"), score)


def scored(job: Job, name: str, day: date, pairs: DataFrame) -> DataFrame:
    """KEY and ``<name>_score`` of a retriever that is fitted on a day."""
    with job.lakehouse.checkpoints():
        found = fitted_scores(job, job.config, name, day, pairs).drop(f"{name}_rank")
        found = found.localCheckpoint()
    # What the fit kept; all else here is checkpointed.
    job.spark.catalog.clearCache()
    return found


def on_windows(job: Job, name: str, examples: DataFrame, windows: list[Span]) -> str:
    """The mean average precision of fits at the first day of each window."""
    metrics = []
    for window in windows:
        rows = window.validation(examples).drop(f"{name}_score", f"{name}_rank")
        found = rows.join(scored(job, name, window.first, rows), on=KEY, how="inner")
        metrics.append(retriever_metrics(job.config, found, name))
    return f"{mean(metrics, 'average_precision') or 0:.3f}"


def recall(lists: DataFrame) -> None:
    """Print, for each model, the share of what users answered among the first of their list."""
    best_first = Window.partitionBy("model", "user_id").orderBy(
        F.desc("score"), F.xxhash64(F.lit(2), "user_id", "activity_id")
    )
    placed = lists.withColumn("rank", F.row_number().over(best_first))
    answered = lists.where("label = 1").select("user_id", "activity_id").distinct()
    draws = list_draws(list_hits(placed, answered), FIRST, BOOTSTRAP)
    rows = summarised(draws).collect()
    found = {(row["model"], row["metric"]): row for row in rows}
    users, new = (lists.select(name).distinct().count() for name in ("user_id", "activity_id"))
    print(f"\n{users} users, {new} new activities")
    print("| method |", " | ".join(f"recall@{k}" for k in FIRST), "|")
    print("|---" * (len(FIRST) + 1) + "|")
    for model in sorted({model for model, _ in found}):
        cells = " | ".join(cell(found[model, f"recall@{k}"]) for k in FIRST)
        print(f"| {model} | {cells} |", flush=True)


def union(frames: list[DataFrame]) -> DataFrame:
    return reduce(DataFrame.unionByName, frames)


if __name__ == "__main__":
    main(
        [],
        __doc__,
        finish=compare,
        options={
            "windows": "first days of the validation windows, comma separated; none by default",
            "methods": "the retrievers, comma separated; all by default",
        },
    )
