"""What the comparisons of rankers and of retrievers share: later exposures, and their metrics with
95 % intervals by 200 Poisson bootstraps of users (Chamandy et al. 2012)."""

from collections.abc import Mapping
from datetime import timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.evaluation.exposures import later_exposures
from activityrec.evaluation.metrics import exposure_metrics
from activityrec.features.history import last_day, read_history
from activityrec.job import Job
from activityrec.serving.load import load_serving

METRICS = ["auc", "auc_within_activity", "auc_within_user", "average_precision", "log_loss"]
DRAWS, SEED = 200, 17
POISSON = [0.3679, 0.7358, 0.9197, 0.9810, 0.9963, 0.9994]
"""Probability of at most 0, 1, 2, ... in a Poisson distribution of mean 1."""


def holdout(job: Job) -> DataFrame:
    """The exposures that the evaluation at --as-of looks at, with features."""
    serving, _ = load_serving(job)
    end = last_day(job.lakehouse.read(tables.EVENTS)) + timedelta(days=1)
    return later_exposures(serving, read_history(job.lakehouse, end))


def draws(rows: DataFrame) -> DataFrame:
    """``rows`` for each ``draw`` in which their user is drawn, with ``times``, how often."""
    every = rows.select("*", F.explode(F.sequence(F.lit(1), F.lit(DRAWS))).alias("draw"))
    uniform = F.pmod(F.xxhash64("user_id", "draw", F.lit(SEED)), F.lit(2**20)) / 2**20
    times: Column = sum([(uniform >= limit).cast("int") for limit in POISSON], F.lit(0))
    return every.withColumn("times", times).where("times > 0")


def bounds(values: DataFrame, *keys: str) -> DataFrame:
    """keys, low, high: of the values of all draws."""
    low, high = (F.percentile("value", F.lit(share)) for share in (0.025, 0.975))
    return values.groupBy(*keys).agg(low.alias("low"), high.alias("high"))


def report(scores: DataFrame, note: str, notes: Mapping[str, str]) -> None:
    """Print the metrics of every model with their intervals, and in the last column its note."""
    values = _metrics_of(scores)
    by_draw = _metrics_of(_repeated(scores)).withColumn("model", F.split("model", "#")[0])
    both = values.join(bounds(by_draw, "model", "metric"), on=["model", "metric"], how="left")
    rows = both.collect()
    found = {(row["model"], row["metric"]): row for row in rows}
    shown = METRICS[:4]
    print("\n| method |", " | ".join(shown), f"| {note} |")
    print("|---" * (len(shown) + 2) + "|")
    for model in sorted({row["model"] for row in rows}):
        cells = [found[model, metric] for metric in shown]
        text = [f"{c['value']:.4f} [{c['low']:.3f}, {c['high']:.3f}]" for c in cells]
        print(f"| {model} |", " | ".join(text), f"| {notes.get(model, '')} |", flush=True)


def _repeated(scores: DataFrame) -> DataFrame:
    """Each draw as one more model; a user who is drawn twice is two users."""
    rows = draws(scores).select("*", F.explode(F.sequence(F.lit(1), F.col("times"))).alias("copy"))
    return rows.withColumns(
        {
            "model": F.concat_ws("#", "model", "draw"),
            "user_id": F.concat_ws("#", "user_id", "copy"),
        }
    )


def _metrics_of(scores: DataFrame) -> DataFrame:
    metrics = exposure_metrics(scores, threshold=0.5, min_answers=5)
    return metrics.where(F.col("metric").isin(METRICS)).select("model", "metric", "value")
