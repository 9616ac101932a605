"""What the comparisons of rankers and of retrievers share: later exposures, and tables of metrics
with 95 % intervals by the library's bootstrap of users."""

from collections.abc import Mapping
from datetime import timedelta

from pyspark.sql import DataFrame, Row

from activityrec import tables
from activityrec.evaluation.draws import Bootstrap
from activityrec.evaluation.exposures import LaterExposures
from activityrec.evaluation.metrics import exposure_metrics
from activityrec.features.history import last_day, read_history
from activityrec.job import Job
from activityrec.serving.load import load_serving

METRICS = ["auc", "auc_within_activity", "auc_within_user", "average_precision", "log_loss"]
BOOTSTRAP = Bootstrap(replicates=200, seed=17)


def holdout(job: Job) -> DataFrame:
    """The exposures that the evaluation at --as-of looks at, with features."""
    serving, _ = load_serving(job)
    end = last_day(job.lakehouse.read(tables.EVENTS)) + timedelta(days=1)
    return LaterExposures.after(serving, read_history(job.lakehouse, end)).examples(serving)


def report(scores: DataFrame, note: str, notes: Mapping[str, str]) -> None:
    """Print the metrics of every model with their intervals, and in the last column its note."""
    metrics = exposure_metrics(scores, threshold=0.5, min_answers=5, bootstrap=BOOTSTRAP)
    found = {(row["model"], row["metric"]): row for row in metrics.collect()}
    shown = METRICS[:4]
    print("\n| method |", " | ".join(shown), f"| {note} |")
    print("|---" * (len(shown) + 2) + "|")
    for model in sorted({model for model, _ in found}):
        cells = " | ".join(cell(found[model, metric]) for metric in shown)
        print(f"| {model} | {cells} | {notes.get(model, '')} |", flush=True)


def cell(row: Row) -> str:
    """A value with its interval."""
    return f"{row['value']:.4f} [{row['low']:.3f}, {row['high']:.3f}]"
