"""Compare parameters of retrievers and of the ranker on validation windows inside the training set.

Every window trains on the exposures whose response window closed before its first day, and
validates on those sent from that day on; all of them closed before --as-of, so nothing that
the evaluation at --as-of looks at is touched. Needs the tables of a run at --as-of.

    ./spark-submit.sh benchmarks/choose_parameters.py --config conf/complete_journey.yaml \
        --as-of 2017-10-01 --windows 2017-05-08,2017-06-28,2017-08-08
"""

from collections.abc import Iterator
from datetime import date
from itertools import chain
from typing import Any

from pyspark.sql import DataFrame

from activityrec.config import Config
from activityrec.job import Job, main
from activityrec.ranking.methods import LogisticConfig
from activityrec.tuning.measure import (
    Metrics,
    baseline_metrics,
    mean,
    ranker_metrics,
    retriever_metrics,
)
from activityrec.tuning.scores import KEY, fitted_scores
from activityrec.tuning.windows import Window, closed_examples

RETRIEVER_GRID: list[tuple[str, dict[str, object]]] = [
    *[
        ("als", {"rank": rank, "alpha": alpha, "reg": reg})
        for rank, alpha, reg in [
            (8, 10, 0.1), (16, 10, 0.1), (32, 10, 0.1),
            (16, 1, 0.1), (16, 40, 0.1), (16, 10, 0.01), (16, 10, 1.0),
        ]
    ],
    *[("item_knn", {"neighbours": n, "shrinkage": s}) for n, s in [(50, 10.0), (200, 10.0)]],
    ("history", {}),
]  # fmt: skip
RANKER_GRID = [3.3, 10.0, 33.3, 100.0, 330.0]
METRICS = ["auc", "auc_within_activity", "auc_within_user", "average_precision", "log_loss"]


def validate(job: Job) -> None:
    windows = windows_of(job)
    examples = closed_examples(job).localCheckpoint()
    scored = chain(
        baselines(job.config, examples, windows),
        rankers(job.config, examples, windows),
        retrievers(job, examples, windows),
    )
    found: dict[str, list[Metrics]] = {}
    for name, metrics in scored:
        found.setdefault(name, []).append(metrics)
        # What one fit kept in memory is of no use to the next one.
        job.spark.catalog.clearCache()
    print(f"{'mean over the windows':32s}", *[f"{metric:>20s}" for metric in METRICS])
    for name, values in found.items():
        means = [mean(values, metric) for metric in METRICS]
        shown = [f"{'' if value is None else format(value, '.4f'):>20s}" for value in means]
        print(f"{name:32s}", *shown, flush=True)


def windows_of(job: Job) -> list[Window]:
    """Those of ``--windows``, each until ``--as-of``."""
    days = (job.options["windows"] or "").split(",")
    return [Window(date.fromisoformat(day), job.as_of) for day in days]


def rankers(
    config: Config, examples: DataFrame, windows: list[Window]
) -> Iterator[tuple[str, Metrics]]:
    scores = {name: f"{name}_score" for name in config.retrieval.weights}
    with_scores = {**config.ranker.inputs, **scores}
    variants: list[tuple[str, dict[str, Any]]] = [
        (f"ranker penalty={p}", {"logistic": LogisticConfig(penalty=p)}) for p in RANKER_GRID
    ]
    variants.append(("ranker with the retrievers' scores", {"inputs": with_scores}))
    for name, change in variants:
        changed = config.ranker.model_copy(update=change)
        for window in windows:
            with_change = config.model_copy(update={"ranker": changed})
            yield name, ranker_metrics(with_change, examples, window)


def baselines(
    config: Config, examples: DataFrame, windows: list[Window]
) -> Iterator[tuple[str, Metrics]]:
    for window in windows:
        yield from baseline_metrics(config, examples, window).items()


def retrievers(
    job: Job, examples: DataFrame, windows: list[Window]
) -> Iterator[tuple[str, Metrics]]:
    """Each retriever fitted at the window's first day, on the examples from that day on."""
    for name, change in RETRIEVER_GRID:
        section = getattr(job.config.retrieval, name).model_copy(update=change)
        retrieval = job.config.retrieval.model_copy(update={name: section})
        config = job.config.model_copy(update={"retrieval": retrieval})
        label = " ".join([name, *(f"{key}={value}" for key, value in change.items())])
        for window in windows:
            rows = window.validation(examples).select(*KEY, "label")
            scores = fitted_scores(job, config, name, window.first, rows)
            scored = rows.join(scores, on=KEY, how="inner")
            yield label, retriever_metrics(config, scored, name)


if __name__ == "__main__":
    main(
        [],
        __doc__,
        finish=validate,
        options={"windows": "first days of the validation windows, comma separated"},
    )
