"""The metrics of a configuration, and of the simple models, on validation windows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec.config import Config
from activityrec.evaluation.draws import Bootstrap
from activityrec.evaluation.metrics import exposure_draws
from activityrec.job import Job
from activityrec.ranking.pipeline import fit_ranker, probabilities
from activityrec.tuning.scores import Rescored, fit_spans
from activityrec.tuning.windows import Window

BASELINES = {"popularity": "type_response_rate", "past_rate": "response_rate"}
"""The simple models, and the columns of the examples that are their scores."""

ORDER_METRICS = ("auc", "average_precision", "auc_within_activity", "auc_within_user")
"""The metrics of the order of scores, whatever these are."""

NO_REPLICATES = Bootstrap(0, 0)

Metrics = dict[str, float]


def mean(values: Sequence[Mapping[str, float]], metric: str) -> float | None:
    """Mean over the windows in which the metric is defined; None where it is in none."""
    known = [row[metric] for row in values if row.get(metric) is not None]
    return sum(known) / len(known) if known else None


def metrics_of(config: Config, scores: DataFrame) -> dict[str, Metrics]:
    """Model to metric to value, of rows with model, score, label, user_id, activity_id; metrics
    that are not defined are left out."""
    limits = config.evaluate
    found: dict[str, Metrics] = {}
    draws = exposure_draws(scores, limits.threshold, limits.min_answers, NO_REPLICATES)
    for row in draws.collect():
        value = row["draws"][0]
        if value is not None:
            found.setdefault(row["model"], {})[row["metric"]] = value
    return found


def ranker_metrics(config: Config, examples: DataFrame, window: Window) -> Metrics:
    """The ranker fitted on what had closed before a window, on the exposures of the window."""
    model = fit_ranker(window.training(examples), config)
    scored = probabilities(model, window.validation(examples))
    named = scored.withColumns({"model": F.lit("ranker"), "score": F.col("probability")})
    return metrics_of(config, named)["ranker"]


def retriever_metrics(config: Config, rows: DataFrame, name: str) -> Metrics:
    """A retriever by its own score."""
    named = rows.withColumns({"model": F.lit(name), "score": F.col(f"{name}_score")})
    found = metrics_of(config, named)[name]
    # The retriever ``popularity`` gives no probability.
    return {metric: value for metric, value in found.items() if metric in ORDER_METRICS}


def baseline_metrics(config: Config, examples: DataFrame, window: Window) -> dict[str, Metrics]:
    """The simple models on a window: nothing is fitted."""
    rows = window.validation(examples)
    frames = [
        rows.select("user_id", "activity_id", "label",
                    F.lit(name).alias("model"), F.col(column).alias("score"))
        for name, column in BASELINES.items()
    ]  # fmt: skip
    scores = frames[0]
    for frame in frames[1:]:
        scores = scores.unionByName(frame)
    return metrics_of(config, scores)


@dataclass
class Measure:
    """Measures configurations on the windows of one search.

    Attributes
    ----------
    rescored
        The examples with the scores of retrievers that the search changes; None where it changes
        none, and the scores are those that the examples were stored with.
    """

    job: Job
    examples: DataFrame
    windows: list[Window]
    rescored: Rescored | None = None
    _kept: dict[tuple[str, Window], Metrics] = field(default_factory=dict)

    @staticmethod
    def of(job: Job, examples: DataFrame, windows: list[Window], changed: list[str]) -> "Measure":
        """For a search that changes these retrievers."""
        if not changed:
            return Measure(job, examples, windows)
        row = examples.agg(F.to_date(F.min("exposure_ts"))).first()
        assert row is not None
        spans = fit_spans(windows, row[0], job.as_of, job.config.retrieval.refit_days)
        return Measure(job, examples, windows, Rescored(job, examples, changed, spans))

    def __call__(self, config: Config) -> Iterator[Metrics]:
        """The metrics of each window in turn; those of an equal configuration are kept."""
        parts = (config.ranker, config.retrieval, config.interactions)
        key = " ".join(part.model_dump_json() for part in parts)
        for window in self.windows:
            if (key, window) not in self._kept:
                self._kept[key, window] = self._measured(config, window)
                # What one fit kept in memory is of no use to the next one.
                self.job.spark.catalog.clearCache()
            yield self._kept[key, window]

    def _measured(self, config: Config, window: Window) -> Metrics:
        examples = self.examples
        if self.rescored is not None:
            examples = self.rescored.until(config, window.until)
        model = config.tune.model
        if model == "ranker":
            return ranker_metrics(config, examples, window)
        return retriever_metrics(config, window.validation(examples), model)


ConfigMeasure = Callable[[Config], Iterator[Metrics]]
"""As :class:`Measure` does it."""
