"""The parts of the exposures: which metric is shown of them, and which differ from the whole."""

from collections.abc import Iterable, Sequence

from activityrec.evaluation.audience_metrics import SLICE as AUDIENCE
from activityrec.evaluation.report.data import Row
from activityrec.evaluation.report.measures import RANKER, main_population, metric_order
from activityrec.evaluation.slices import WHOLE

WEEK = "week"
SIDES = (WHOLE, AUDIENCE)
"""What is no part of the exposures: all of them, and the audiences of activities."""


def part_rows(metrics: Sequence[Row], model: str = RANKER) -> list[Row]:
    """The rows of a model's parts in the main population."""
    population = main_population(metrics)
    return [
        row
        for row in metrics
        if (row["population"], row["model"]) == (population, model) and row["slice"] not in SIDES
    ]


def part_metrics(metrics: Sequence[Row]) -> list[str]:
    """The metrics that parts have, in order."""
    return sorted({row["metric"] for row in part_rows(metrics)}, key=metric_order)


def part_metric(metrics: Sequence[Row]) -> str:
    """The metric by which parts are drawn."""
    return next(iter(part_metrics(metrics)), "auc")


def differing(metrics: Sequence[Row], metric: str) -> tuple[list[Row], list[Row]]:
    """The parts with a value of a metric, those that differ from the whole first; and these."""
    rows = [r for r in part_rows(metrics) if r["metric"] == metric and r["value"] is not None]
    rows = sorted(rows, key=lambda row: (not row["differs"], *_name(row)))
    return rows, [row for row in rows if row["differs"]]


def by_part(metrics: Sequence[Row]) -> list[tuple[str, str, dict[str, Row]]]:
    """Slice, value, and the ranker's rows by metric; parts where one differs come first."""
    found: dict[tuple[str, str], dict[str, Row]] = {}
    for row in part_rows(metrics):
        found.setdefault(_name(row), {})[row["metric"]] = row
    every = [(*key, rows) for key, rows in found.items()]
    return sorted(every, key=lambda part: (not _differ(part[2].values()), part[0], part[1]))


def audiences(metrics: Sequence[Row]) -> list[tuple[str, dict[tuple[str, str], Row]]]:
    """Activity, and its rows in the main population by model and metric."""
    population = main_population(metrics)
    found: dict[str, dict[tuple[str, str], Row]] = {}
    for row in metrics:
        if (row["population"], row["slice"]) == (population, AUDIENCE):
            mine = found.setdefault(row["slice_value"] or "", {})
            mine[row["model"], row["metric"]] = row
    return sorted(found.items())


def _differ(rows: Iterable[Row]) -> bool:
    return any(row["differs"] for row in rows)


def _name(row: Row) -> tuple[str, str]:
    return row["slice"], row["slice_value"] or ""
