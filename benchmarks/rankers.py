"""Compare the methods of ranking on the exposures after --as-of, with intervals.

The parameters of each method are those with the best mean average precision on validation windows
inside the training set, as in choose_parameters.py; then it is fitted on all of it and scores the
exposures that the evaluation at --as-of looks at. Intervals are 95 %, by 200 Poisson bootstraps
of users (Chamandy et al. 2012). Needs the tables and models of a run at --as-of.

    ./spark-submit.sh --conf spark.sql.shuffle.partitions=1 benchmarks/rankers.py \
        --config conf/complete_journey.yaml \
        --as-of 2017-10-01 --windows 2017-05-08,2017-06-28,2017-08-08
"""

from datetime import timedelta
from importlib.util import find_spec
from typing import Any

from choose_parameters import windows_of
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.config import Config
from activityrec.evaluation.exposures import later_exposures
from activityrec.evaluation.metrics import exposure_metrics
from activityrec.features.history import last_day, read_history
from activityrec.job import Job, main
from activityrec.ranking.calibration import Later, calibrated, calibration_error
from activityrec.ranking.pipeline import fit_ranker, probabilities
from activityrec.serving.load import load_serving
from activityrec.tuning.measure import mean, ranker_metrics
from activityrec.tuning.windows import Window, closed_examples

GRIDS: dict[str, list[dict[str, Any]]] = {
    "logistic": [{"reg": 0.0088}, {"reg": 0.03}, {"reg": 0.0088, "elastic_net": 0.5}],
    "naive_bayes": [{"kind": "gaussian"}, {"kind": "bernoulli"}],
    "random_forest": [{"depth": n, "min_leaf": leaf} for n, leaf in ((5, 10), (8, 30))],
    "gbt": [{"depth": n, "trees": trees} for n, trees in ((2, 40), (3, 20))],
    "xgboost": [{"depth": n, "trees": 60, "step": 0.05} for n in (2, 3)],
    "fm": [{"factors": 2, "reg": reg} for reg in (0.1, 1.0)],
}
METRICS = ["auc", "auc_within_activity", "auc_within_user", "average_precision", "log_loss"]
CRITERION = "average_precision"
DRAWS, SEED = 200, 17
POISSON = [0.3679, 0.7358, 0.9197, 0.9810, 0.9963, 0.9994]
"""Probability of at most 0, 1, 2, ... in a Poisson distribution of mean 1."""


def compare(job: Job) -> None:
    windows = windows_of(job)
    examples = closed_examples(job).persist()
    later = holdout(job).persist()
    every = later.select("user_id", "activity_id", "label", F.lit("past_rate").alias("model"),
                         F.col("response_rate").alias("score"))  # fmt: skip
    notes: dict[str, str] = {}
    for method in GRIDS:
        if method == "xgboost" and find_spec("xgboost") is None:
            print("xgboost is not installed: left out")
            continue
        config = best_of(job, method, examples, windows)
        model, found = calibrated(fit_ranker(examples, config), Later(examples, config))
        scored = probabilities(model, later)
        error = calibration_error(scored)
        notes[method] = f"{found.decision} ({found.reason}), error {error:.3f} on the holdout"
        rows = scored.select("user_id", "activity_id", "label", F.lit(method).alias("model"),
                             F.col("probability").alias("score"))  # fmt: skip
        every = every.unionByName(rows.localCheckpoint())
    report(every.repartition(4).persist(), notes)


def holdout(job: Job) -> DataFrame:
    """The exposures that the evaluation at --as-of looks at, with features."""
    serving, _ = load_serving(job)
    end = last_day(job.lakehouse.read(tables.EVENTS)) + timedelta(days=1)
    return later_exposures(serving, read_history(job.lakehouse, end))


def best_of(job: Job, method: str, examples: DataFrame, windows: list[Window]) -> Config:
    """The configuration with the parameters that are best by the criterion's mean over windows."""
    best: tuple[float, Config] | None = None
    for change in GRIDS[method]:
        config = changed(job.config, method, change)
        found = [ranker_metrics(config, examples, window) for window in windows]
        means = {name: mean(found, name) for name in METRICS}
        shown = "  ".join(f"{name} {value or 0:.4f}" for name, value in means.items())
        print(f"{method:14s} {change}: {shown}", flush=True)
        if best is None or (means[CRITERION] or 0) > best[0]:
            best = means[CRITERION] or 0, config
    assert best is not None
    return best[1]


def changed(config: Config, method: str, change: dict[str, Any]) -> Config:
    parameters = getattr(config.ranker, method).model_copy(update=change)
    ranker = config.ranker.model_copy(update={"method": method, method: parameters})
    return config.model_copy(update={"ranker": ranker})


def drawn(scores: DataFrame) -> DataFrame:
    """``scores`` for each draw, as of one more model: rows of a user as often as it is drawn."""
    draws = F.explode(F.sequence(F.lit(1), F.lit(DRAWS))).alias("draw")
    rows = scores.select("*", draws)
    uniform = F.pmod(F.xxhash64("user_id", "draw", F.lit(SEED)), F.lit(2**20)) / 2**20
    times: Column = sum([(uniform >= limit).cast("int") for limit in POISSON], F.lit(0))
    rows = rows.withColumn("times", times).where("times > 0")
    rows = rows.select("*", F.explode(F.sequence(F.lit(1), F.col("times"))).alias("copy"))
    return rows.withColumns(
        {
            "model": F.concat_ws("#", "model", "draw"),
            # A user drawn twice is two users.
            "user_id": F.concat_ws("#", "user_id", "copy"),
        }
    )


def report(scores: DataFrame, notes: dict[str, str]) -> None:
    """Print the metrics of every model with their intervals."""
    values = metrics_of(scores)
    draws = metrics_of(drawn(scores)).withColumn("model", F.split("model", "#")[0])
    bounds = draws.groupBy("model", "metric").agg(
        F.percentile("value", F.lit(0.025)).alias("low"),
        F.percentile("value", F.lit(0.975)).alias("high"),
    )
    rows = values.join(bounds, on=["model", "metric"], how="left").collect()
    found = {(row["model"], row["metric"]): row for row in rows}
    shown = METRICS[:4]
    print("\n| method |", " | ".join(shown), "| calibration |")
    print("|---" * (len(shown) + 2) + "|")
    for model in sorted({row["model"] for row in rows}):
        cells = [found[model, metric] for metric in shown]
        text = [f"{c['value']:.4f} [{c['low']:.3f}, {c['high']:.3f}]" for c in cells]
        print(f"| {model} |", " | ".join(text), f"| {notes.get(model, '')} |", flush=True)


def metrics_of(scores: DataFrame) -> DataFrame:
    metrics = exposure_metrics(scores, threshold=0.5, min_answers=5)
    return metrics.where(F.col("metric").isin(METRICS)).select("model", "metric", "value")


if __name__ == "__main__":
    main(
        [],
        __doc__,
        finish=compare,
        options={"windows": "first days of the validation windows, comma separated"},
    )
