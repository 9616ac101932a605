"""Backtest: rolling origins. Features, training and evaluation at several days, one table of all.

Each day is a run of its own, ``<name>-backtest-<YYYYMMDD>``, whose rows in serving.metrics stand
beside those of other runs. Champion and challenger stay what they are.
"""

import logging
from dataclasses import replace
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

import evaluate
import features
import train
from activityrec import tables
from activityrec.config_file import parse_as_of
from activityrec.errors import ConfigError
from activityrec.job import Job, main, run_stages
from activityrec.tracking import CHALLENGER, PARTS

log = logging.getLogger("activityrec")

STAGES = [("features", features.run), ("train", train.run), ("evaluate", evaluate.run)]
SHOWN = ("auc", "average_precision", "auc_within_user", "ndcg@{k}")


def backtest(job: Job) -> None:
    """Run the stages at each day, log the metrics of each as a step, and print the trend."""
    days = origins(job)
    before = {part: job.tracking.version(part, CHALLENGER) for part in PARTS}
    try:
        for day in days:
            run_id = backtest_id(job, day)
            run_stages(replace(job, as_of=day, run_id=run_id, until=job.as_of), STAGES)
    finally:
        job.tracking.unpoint(CHALLENGER)
        known = {part: version.version for part, version in before.items() if version}
        job.tracking.point(CHALLENGER, known)
    log_steps(job, days)
    trend(job, days).show(200, truncate=False)


def origins(job: Job) -> list[date]:
    """The days of ``--dates``, earliest first.

    Raises
    ------
    ConfigError
        There are none, or one is not before ``--as-of``.
    """
    given = [text for text in (job.options.get("dates") or "").split(",") if text.strip()]
    days = sorted({parse_as_of(text.strip()) for text in given})
    if not days or days[-1] >= job.as_of:
        raise ConfigError(
            f"--dates: give one or more days before --as-of ({job.as_of}), comma separated"
        )
    return days


def backtest_id(job: Job, day: date) -> str:
    return f"{job.config.name}-backtest-{day:%Y%m%d}"


def of_runs(job: Job, days: list[date]) -> DataFrame:
    """The metrics of the whole populations of these days' runs."""
    runs = [backtest_id(job, day) for day in days]
    whole = F.col("run_id").isin(runs) & (F.col("slice") == "all") & F.col("value").isNotNull()
    return job.lakehouse.read(tables.METRICS).where(whole)


def log_steps(job: Job, days: list[date]) -> None:
    """One MLflow run whose metrics have a step for each day, 0 being the first."""
    rows = of_runs(job, days).collect()
    params = {"days": ", ".join(map(str, days))}
    with job.tracking.run(f"{job.run_id} backtest", job.as_of, params, job.lakehouse.reads):
        for step, day in enumerate(days):
            job.tracking.log_metrics(
                {
                    f"{row['population']}/{row['model']}/{row['metric']}": row["value"]
                    for row in rows
                    if row["as_of"] == day
                },
                step=step,
            )


def trend(job: Job, days: list[date]) -> DataFrame:
    """One row for each metric and model, one column for each day."""
    ks = [k for k in job.config.evaluate.k if k <= job.config.recommend.k]
    longest = max(ks or [job.config.recommend.k])
    shown = [name.format(k=longest) for name in SHOWN]
    interval = F.format_string("%.4f [%.3f, %.3f]", "value", "low", "high")
    cell = F.when(F.col("low").isNull(), F.format_string("%.4f", "value")).otherwise(interval)
    return (
        of_runs(job, days)
        .where(F.col("metric").isin(shown) & F.col("population").isin("all", "lists"))
        .groupBy("metric", "model")
        .pivot("as_of", [str(day) for day in days])
        .agg(F.first(cell))
        .orderBy("metric", "model")
    )


if __name__ == "__main__":
    main([], __doc__, finish=backtest, options={"dates": "the days, comma separated"})
