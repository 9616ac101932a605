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
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.config import Config
from activityrec.evaluation.metrics import exposure_metrics
from activityrec.features.history import before, read_history
from activityrec.features.sampled import known_outcomes
from activityrec.job import Job, main
from activityrec.ranking.methods import LogisticConfig
from activityrec.ranking.pipeline import fit_ranker, probabilities
from activityrec.retrieval.activities import activity_vectors
from activityrec.retrieval.interactions import interactions
from activityrec.retrieval.numbers import number_ids
from activityrec.retrieval.pairs import calendar, pair_scores
from activityrec.retrieval.protocol import Known
from activityrec.retrieval.registry import RETRIEVERS

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
RANKER_GRID = [0.001, 0.003, 0.0088, 0.03, 0.1]
KEY = ["snapshot_date", "user_id", "activity_id"]
METRICS = ["auc", "auc_within_activity", "auc_within_user", "average_precision", "log_loss"]


def validate(job: Job) -> None:
    windows = [date.fromisoformat(text) for text in (job.options["windows"] or "").split(",")]
    examples = closed_examples(job)
    scored = chain(
        baselines(examples, windows),
        ranker_scores(job.config, examples, windows),
        retriever_scores(job, examples, windows),
    )
    found: dict[str, list[dict[str, float]]] = {}
    for name, _, rows in scored:
        # Only the ranker has a log loss.
        named = rows.withColumn("model", F.lit("ranker" if "ranker" in name else name))
        metrics = exposure_metrics(named, threshold=0.5, min_answers=5).collect()
        found.setdefault(name, []).append({row["metric"]: row["value"] for row in metrics})
        # What one fit kept in memory is of no use to the next one.
        job.spark.catalog.clearCache()
    print(f"{'mean over the windows':32s}", *[f"{metric:>20s}" for metric in METRICS])
    for name, values in found.items():
        print(f"{name:32s}", *[f"{mean(values, metric):20.4f}" for metric in METRICS], flush=True)


def mean(values: list[dict[str, float]], metric: str) -> float:
    """Mean over the windows in which the metric is defined."""
    known = [row[metric] for row in values if row.get(metric) is not None]
    return sum(known) / len(known) if known else float("nan")


def closed_examples(job: Job) -> DataFrame:
    """The training examples with the end of their response window."""
    history = read_history(job.lakehouse, job.as_of)
    known = known_outcomes(history, job.config).select(
        "user_id", "activity_id", "exposure_ts", "closes_ts"
    )
    table = tables.training_examples(job.config)
    rows = job.lakehouse.read(table).where(f"as_of = '{job.as_of}'")
    return rows.join(known, on=["user_id", "activity_id", "exposure_ts"], how="inner")


def validation(examples: DataFrame, window: date) -> DataFrame:
    return examples.where(F.col("exposure_ts") >= F.lit(window))


def ranker_scores(
    config: Config, examples: DataFrame, windows: list[date]
) -> Iterator[tuple[str, date, DataFrame]]:
    retrievers = {name: f"{name}_score" for name in config.retrieval.weights}
    with_scores = {**config.ranker.inputs, **retrievers}
    variants: list[tuple[str, dict[str, Any]]] = [
        (f"ranker reg={reg}", {"logistic": LogisticConfig(reg=reg)}) for reg in RANKER_GRID
    ]
    variants.append(("ranker with the retrievers' scores", {"inputs": with_scores}))
    for name, change in variants:
        changed = config.ranker.model_copy(update=change)
        for window in windows:
            known = examples.where(F.col("closes_ts") <= F.lit(window))
            model = fit_ranker(known, config.model_copy(update={"ranker": changed}))
            scored = probabilities(model, validation(examples, window))
            yield name, window, scored.withColumn("score", F.col("probability"))


def baselines(examples: DataFrame, windows: list[date]) -> Iterator[tuple[str, date, DataFrame]]:
    for name, column in (("past_rate", "response_rate"), ("popularity", "type_response_rate")):
        for window in windows:
            yield name, window, validation(examples, window).withColumn("score", F.col(column))


def retriever_scores(
    job: Job, examples: DataFrame, windows: list[date]
) -> Iterator[tuple[str, date, DataFrame]]:
    """Each retriever fitted at the window's first day, on the examples from that day on."""
    config = job.config
    daily = job.lakehouse.read(tables.USER_DAILY)
    products = job.lakehouse.read(tables.ACTIVITY_PRODUCTS)
    when = calendar(job.lakehouse.read(tables.ACTIVITIES), config.recommend.planning_days)
    for window in windows:
        rows = interactions(daily, window, config.interactions).persist()
        read = job.lakehouse.read
        clean = (read(tables.USERS), read(tables.PRODUCTS), read(tables.ACTIVITIES))
        past = daily.where(before("event_date", window))
        known = Known(window, rows, number_ids(rows), past, *clean)
        pairs = validation(examples, window).select(*KEY, "label", "exposure_ts")
        for name, change in RETRIEVER_GRID:
            section = getattr(config.retrieval, name).model_copy(update=change)
            vectors = RETRIEVERS[name](known, section)
            marks = {"fitted_date": F.lit(window), "retriever": F.lit(name)}
            scores = pair_scores(
                pairs.select(*KEY).distinct(),
                [window],
                vectors.users.withColumns(marks),
                activity_vectors(
                    vectors.items.withColumns(marks),
                    products,
                    config.retrieval.own_prior,
                    [name] if section.pooling == "sum" else [],
                ),
                when,
                [name],
            )
            scored = pairs.join(scores, on=KEY, how="inner")
            label = " ".join([name, *(f"{key}={value}" for key, value in change.items())])
            yield label, window, scored.withColumn("score", F.col(f"{name}_score"))


if __name__ == "__main__":
    main(
        [],
        __doc__,
        finish=validate,
        options={"windows": "first days of the validation windows, comma separated"},
    )
