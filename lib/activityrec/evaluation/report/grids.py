"""The tables of the report: metrics by model, parts, and the points of curves."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from activityrec.evaluation.report import measures
from activityrec.evaluation.report.data import Row
from activityrec.evaluation.report.measures import RANKER
from activityrec.evaluation.report.parts import audiences, by_part, part_metrics
from activityrec.evaluation.report.words import (
    NONE,
    count,
    figure,
    interval,
    plain,
    several,
    share,
    title,
)


@dataclass(frozen=True)
class Cell:
    """One entry: its text, a smaller ``note`` beside it, and what marks it.

    ``mark`` is ``best``, ``differs``, ``alarm``, ``passed`` or empty; ``words`` says it to those
    who do not see it.
    """

    text: str
    note: str = ""
    mark: str = ""
    words: str = ""


@dataclass(frozen=True)
class Grid:
    """A table. The first column names the rows; ``text_columns`` are the others without numbers.

    With ``folded`` the table is opened by the reader.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    text_columns: frozenset[int] = field(default_factory=frozenset)
    folded: bool = False


def metric_grid(metrics: Sequence[Row], population: str) -> Grid | None:
    """The metrics of a population: one row a metric, one column a model, the best value marked."""
    rows = measures.whole(metrics, population)
    if not rows:
        return None
    models = measures.models_of(rows)
    names = sorted({row["metric"] for row in rows}, key=measures.metric_order)
    body = []
    for name in names:
        of = {row["model"]: row for row in rows if row["metric"] == name}
        best = measures.best_of(name, of.values())
        body.append(
            [
                Cell(title(name), measures.direction(name)),
                *[_value_cell(of.get(model), model in best) for model in models],
                *[
                    Cell(several(r[counted] for r in of.values()))
                    for counted in ("rows", "positives", "groups")
                ],
            ]
        )
    columns = ["Metric", *models, "Rows", "Answered", "Groups"]
    folded = population != measures.main_population(metrics)
    return Grid(f"Population {population}", columns, body, folded=folded)


def _value_cell(row: Row | None, best: bool) -> Cell:
    if row is None or row["value"] is None:
        return Cell(NONE)
    words = "the best of the row" if best else ""
    return Cell(figure(row["value"]), interval(row), "best" if best else "", words)


def parts_grid(metrics: Sequence[Row]) -> Grid | None:
    """The ranker's metrics of every part, those that differ from the whole first."""
    names = part_metrics(metrics)
    if not names:
        return None
    body = []
    for slice_name, value, rows in by_part(metrics):
        cells = [_part_cell(rows.get(name)) for name in names]
        counts = [
            Cell(several(row[counted] for row in rows.values()))
            for counted in ("rows", "positives", "groups")
        ]
        body.append([Cell(title(slice_name)), Cell(plain(value)), *cells, *counts])
    columns = ["Slice", "Part", *map(title, names), "Exposures", "Answered", "Users"]
    return Grid("Parts of the exposures", columns, body, frozenset({1}))


def audience_grid(metrics: Sequence[Row]) -> Grid | None:
    """What the best users of each activity by each model answered, beside all who were sent it."""
    found = audiences(metrics)
    keys = {key for _, rows in found for key in rows if key[1].startswith("response_rate@")}
    firsts = sorted(keys, key=lambda key: (measures.metric_order(key[1]), key[0] != RANKER, key[0]))
    if not firsts:
        return None
    body = []
    for activity, rows in found:
        shown = (row for (_, metric), row in rows.items() if metric == "response_rate")
        every = next(shown, None)
        if every is None:
            # Of so few that it is not shown.
            continue
        cells = [_part_cell(rows.get(key)) for key in firsts]
        body.append(
            [Cell(plain(activity)), Cell(count(every["groups"])), _part_cell(every), *cells]
        )
    named = [f"first {metric.partition('@')[2]} by {model}" for model, metric in firsts]
    return Grid("Answered share of audiences", ["Activity", "Users", "all", *named], body)


def _part_cell(row: Row | None) -> Cell:
    if row is None or row["value"] is None:
        return Cell(NONE)
    if row["differs"]:
        return Cell(figure(row["value"]), interval(row), "differs", "differs from the whole")
    return Cell(figure(row["value"]), interval(row))


def curve_grid(curves: Sequence[Row], population: str, curve: str, model: str) -> Grid | None:
    """The points of one model's curve."""
    points = [
        row
        for row in curves
        if (row["population"], row["curve"], row["model"]) == (population, curve, model)
    ]
    if not points:
        return None
    body = [
        [
            Cell(str(row["bin"])),
            Cell(figure(row["mean_score"])),
            Cell(figure(row["rate"]), interval(row)),
            Cell(figure(row["lift"], 2)),
            Cell(share(row["captured"])),
            Cell(count(row["rows"])),
            Cell(count(row["positives"])),
        ]
        for row in sorted(points, key=lambda row: row["bin"])
    ]
    columns = ["Bin", "Mean score", "Answered share", "Lift", "Captured", "Exposures", "Answered"]
    return Grid(f"{title(curve)} of {model}, in figures", columns, body, folded=True)


def comparison_grid(comparisons: Sequence[Row], population: str, model: str) -> Grid | None:
    """How much one model differs from each other one, on the same users."""
    rows = [row for row in measures.whole(comparisons, population) if row["model"] == model]
    if not rows:
        return None
    others = sorted({row["baseline"] for row in rows}, key=measures.model_order)
    names = sorted({row["metric"] for row in rows}, key=measures.metric_order)
    found = {(row["metric"], row["baseline"]): row for row in rows}
    body = [
        [Cell(title(name), measures.direction(name))]
        + [_difference_cell(found.get((name, other))) for other in others]
        for name in names
    ]
    caption = f"{model} less each other model, population {population}"
    return Grid(caption, ["Metric", *others], body, folded=True)


def _difference_cell(row: Row | None) -> Cell:
    if row is None or row["difference"] is None:
        return Cell(NONE)
    low, high = row["low"], row["high"]
    apart = low is not None and high is not None and (low > 0 or high < 0)
    words = "the interval leaves out 0" if apart else ""
    return Cell(figure(row["difference"]), interval(row), "differs" if apart else "", words)
