"""Plots of parts of the exposures: by slice, by week."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from activityrec.evaluation.report import measures
from activityrec.evaluation.report.data import Row
from activityrec.evaluation.report.drawing import INK, SERIES, Plot, draw, legend, short
from activityrec.evaluation.report.measures import RANKER
from activityrec.evaluation.report.parts import WEEK, differing, part_metric, part_rows
from activityrec.evaluation.report.plots import errors, styles
from activityrec.evaluation.report.words import title

MOST_PARTS = 24
"""How many parts the plot shows; the table shows all."""
_ROW, _FRAME = 0.23, 0.95


def parts_plot(metrics: Sequence[Row]) -> Plot | None:
    """A metric of every part with its interval, those that differ from the whole first."""
    metric, population = part_metric(metrics), measures.main_population(metrics)
    rows, apart = differing(metrics, metric)
    rows = [row for row in rows if row["slice"] != WEEK][:MOST_PARTS]
    if not rows:
        return None
    whole = measures.value_of(metrics, RANKER, metric, population)

    def paint(axes: Axes) -> None:
        if whole is not None:
            axes.axvline(whole["value"], color=INK, linewidth=1, linestyle="--")
        for place, row in enumerate(rows):
            colour, marker = (SERIES[1], "D") if row["differs"] else (SERIES[0], "o")
            axes.errorbar(
                row["value"],
                place,
                xerr=errors([row]),
                color=colour,
                marker=marker,
                capsize=2,
                elinewidth=1.4,
            )
        labels = [f"{title(row['slice'])}: {short(row['slice_value'])}" for row in rows]
        axes.set_yticks(range(len(rows)), labels)
        axes.set(ylim=(len(rows) - 0.4, -0.6), xlabel=title(metric))
        axes.grid(visible=False, axis="y")

    words = (
        "The dashed line is the whole. Diamonds, first, differ from it: "
        f"{sum(1 for row in rows if row['differs'])} of the {len(rows)} parts shown."
    )
    height = _FRAME + _ROW * len(rows)
    return draw("parts", f"{title(metric)} by part, of the ranker", words, paint, height)


def week_plot(metrics: Sequence[Row]) -> Plot | None:
    """A metric by week: the ranker and the strongest baseline that has weeks."""
    metric = part_metric(metrics)
    population = measures.main_population(metrics)
    weekly = [r for r in metrics if r["slice"] == WEEK and r["metric"] == metric]
    has_weeks = {row["model"] for row in weekly}
    wholes = [row for row in metrics if row["model"] in has_weeks]
    strongest = measures.strongest(wholes, metric, population)
    models = [RANKER, *([strongest["model"]] if strongest is not None else [])]
    of_ranker = [r for r in part_rows(metrics) if r["slice"] == WEEK and r["metric"] == metric]
    weeks = sorted({row["slice_value"] for row in of_ranker if row["value"] is not None})
    if not weeks:
        return None
    look = styles(metrics)

    def paint(axes: Axes) -> None:
        for number, model in enumerate(models):
            rows = [
                row
                for row in part_rows(metrics, model)
                if row["slice"] == WEEK and row["metric"] == metric and row["value"] is not None
            ]
            rows = sorted((r for r in rows if r["slice_value"] in weeks), key=_week)
            axes.errorbar(
                [weeks.index(row["slice_value"]) + 0.06 * number for row in rows],
                [row["value"] for row in rows],
                yerr=errors(rows),
                label=short(model),
                capsize=2,
                elinewidth=1,
                **look[model],
            )
        step = -(-len(weeks) // 6)
        axes.set_xticks(range(0, len(weeks), step), [short(week) for week in weeks[::step]])
        axes.set(xlabel="week that begins on", ylabel=title(metric))
        legend(axes)

    words = "Exposures by the week that they were made in. Bars are 95 % intervals."
    return draw("weeks", f"{title(metric)} by week", words, paint)


def _week(row: Row) -> str:
    return row["slice_value"]
