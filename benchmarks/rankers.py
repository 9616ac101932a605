"""Compare the methods of ranking on the exposures after --as-of, with intervals.

The parameters of each method are those with the best mean average precision on validation windows
inside the training set, as in choose_parameters.py; then it is fitted on all of it and scores the
exposures that the evaluation at --as-of looks at. At last, by how much each differs from the
configured method in mean average precision on the windows, on the same users. Needs the tables and
models of a run at --as-of.

    ./spark-submit.sh --conf spark.sql.shuffle.partitions=1 benchmarks/rankers.py \
        --config conf/complete_journey.yaml \
        --as-of 2017-10-01 --windows 2017-05-08,2017-06-28,2017-08-08
"""

from functools import reduce
from importlib.util import find_spec
from typing import Any

from choose_parameters import windows_of
from intervals import BOOTSTRAP, METRICS, holdout, report
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec.config import Config
from activityrec.evaluation.draws import averaged, differences
from activityrec.evaluation.ranking_metrics import ranking_draws
from activityrec.job import Job, main
from activityrec.ranking.calibration import Later, calibrated, calibration_error
from activityrec.ranking.pipeline import fit_ranker, probabilities, weighted
from activityrec.tuning.measure import mean, ranker_metrics
from activityrec.tuning.windows import Window, closed_examples

GRIDS: dict[str, list[dict[str, Any]]] = {
    "logistic": [{"penalty": 33.3}, {"penalty": 113}, {"penalty": 33.3, "elastic_net": 0.5}],
    "naive_bayes": [{"kind": "gaussian"}, {"kind": "bernoulli"}],
    "random_forest": [{"depth": n, "min_leaf": leaf} for n, leaf in ((5, 10), (8, 30))],
    "gbt": [{"depth": n, "trees": trees} for n, trees in ((2, 40), (3, 20))],
    "xgboost": [{"depth": n, "trees": 60, "step": 0.05} for n in (2, 3)],
    "fm": [{"factors": 2, "reg": reg} for reg in (0.1, 1.0)],
}
CRITERION = "average_precision"


def compare(job: Job) -> None:
    windows = windows_of(job)
    examples = closed_examples(job).persist()
    later = holdout(job).persist()
    every = later.select("user_id", "activity_id", "label", F.lit("past_rate").alias("model"),
                         F.col("response_rate").alias("score"))  # fmt: skip
    notes: dict[str, str] = {}
    configs: dict[str, Config] = {}
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
        configs[method] = config
    report(every.repartition(4).persist(), "calibration", notes)
    beside(configs, job.config.ranker.method, examples, windows)


def beside(
    configs: dict[str, Config], usual: str, examples: DataFrame, windows: list[Window]
) -> None:
    """Print the differences from the usual method on the windows."""
    frames = []
    for method, config in configs.items():
        for window in windows:
            model = fit_ranker(window.training(examples), config)
            rows = probabilities(model, window.validation(examples)).select(
                "user_id", "label", F.lit(method).alias("model"),
                F.lit(str(window.first)).alias("window"), F.col("probability").alias("score"),
            )  # fmt: skip
            frames.append(rows.localCheckpoint())
    scores = weighted(reduce(DataFrame.unionByName, frames))
    draws = ranking_draws(scores, BOOTSTRAP, ["model", "window"])
    means = averaged(draws.where(F.col("metric") == CRITERION), ["model"])
    found = differences(means.localCheckpoint(), ["metric"]).where(F.col("baseline") == usual)
    print(f"\n{CRITERION} on the windows, less that of {usual}")
    for row in found.orderBy("model").collect():
        print(
            f"{row['model']:14s} {row['difference']:+.4f} [{row['low']:+.4f}, {row['high']:+.4f}]"
        )


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


if __name__ == "__main__":
    main(
        [],
        __doc__,
        finish=compare,
        options={"windows": "first days of the validation windows, comma separated"},
    )
