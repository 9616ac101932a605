"""Plots of models: curves, lists by k, and how metrics went over time."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from matplotlib.axes import Axes

from activityrec.evaluation.report import measures
from activityrec.evaluation.report.data import Row
from activityrec.evaluation.report.drawing import MARKERS, SERIES, SOFT, Plot, draw, legend, short
from activityrec.evaluation.report.measures import RANKER, TESTED
from activityrec.evaluation.report.words import figure, interval, share, title

MOST_MODELS = 6
"""How many models one plot shows; tables show all."""


def styles(rows: Iterable[Row]) -> dict[str, dict[str, Any]]:
    """The style of each model, the same in all plots of a page."""
    return {model: _style(number) for number, model in enumerate(measures.models_of(rows))}


def _style(number: int) -> dict[str, Any]:
    """Colour, marker and dashes, so that series differ without colour too."""
    return {
        "color": SERIES[number % len(SERIES)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": "-" if number == 0 else ("--", ":", "-.")[(number - 1) % 3],
    }


def shown_models(metrics: Sequence[Row], population: str, metric: str) -> list[str]:
    """The models under test, then the baselines from the best on."""
    rows = [
        row
        for row in measures.whole(metrics, population)
        if row["metric"] == metric and row["value"] is not None
    ]
    rows.sort(key=lambda row: measures.cost(metric, row["value"]))
    models = [row["model"] for row in rows]
    return sorted(models, key=lambda model: model not in TESTED)[:MOST_MODELS]


def spread(row: Row) -> tuple[float, float]:
    """How far the interval reaches below and above a value; 0 where there is none."""
    value = row["rate"] if "rate" in row else row["value"]
    if row["low"] is None or row["high"] is None:
        return 0.0, 0.0
    return max(value - row["low"], 0.0), max(row["high"] - value, 0.0)


def errors(rows: Sequence[Row]) -> list[list[float]]:
    """The same for several, as matplotlib takes it."""
    both = [spread(row) for row in rows]
    return [[low for low, _ in both], [high for _, high in both]]


def gain_plot(curves: Sequence[Row], metrics: Sequence[Row], population: str) -> Plot | None:
    """Share of the answers in the exposures with the highest scores."""
    models = [
        model
        for model in shown_models(metrics, population, "auc")
        if _points(curves, population, "gain", model)
    ]
    if not models:
        return None
    look = styles([*metrics, *curves])

    def paint(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1)
        for model in models:
            points = _points(curves, population, "gain", model)
            total, seen, reached = sum(row["rows"] for row in points), 0, [(0.0, 0.0)]
            for row in points:
                seen += row["rows"]
                reached.append((seen / total, row["captured"]))
            axes.plot(*zip(*reached, strict=True), label=short(model), **look[model])
        axes.set(xlabel="share of exposures, highest scores first", ylabel="share of answers")
        axes.set(xlim=(0, 1), ylim=(0, 1.02))
        legend(axes)

    points = _points(curves, population, "gain", models[0])
    first = share(points[0]["rows"] / sum(row["rows"] for row in points))
    words = (
        f"The {first} of the exposures with the highest scores of {models[0]} hold "
        f"{share(points[0]['captured'])} of the answers; the straight line is chance."
    )
    return draw("gain", "Gain", words, paint)


def calibration_plot(curves: Sequence[Row], metrics: Sequence[Row], population: str) -> Plot | None:
    """Answered share by probability, with intervals."""
    rows = [r for r in curves if (r["population"], r["curve"]) == (population, "calibration")]
    models = [model for model in measures.models_of(rows) if model in TESTED][:2]
    if not models:
        return None
    look = styles([*metrics, *curves])

    def paint(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1)
        for model in models:
            points = _points(curves, population, "calibration", model)
            axes.errorbar(
                [row["mean_score"] for row in points],
                [row["rate"] for row in points],
                yerr=errors(points),
                label=short(model),
                capsize=2,
                elinewidth=1,
                **look[model],
            )
        axes.set(xlabel="probability, mean of the bin", ylabel="answered share")
        axes.set(xlim=(0, 1), ylim=(0, 1.02))
        legend(axes)

    words = (
        "On the straight line, as many answer as the probabilities say. Bars are 95 % intervals."
    )
    return draw("calibration", "Calibration", words, paint)


def _points(curves: Sequence[Row], population: str, curve: str, model: str) -> list[Row]:
    """The points of a curve that are there, in order."""
    wanted = (population, curve, model)
    drawn = "captured" if curve == "gain" else "rate"
    found = [r for r in curves if (r["population"], r["curve"], r["model"]) == wanted]
    return sorted((r for r in found if r[drawn] is not None), key=lambda r: r["bin"])


def list_plots(metrics: Sequence[Row]) -> list[Plot]:
    """NDCG, recall and hit rate of the lists by their length."""
    rows = [r for r in measures.whole(metrics, "lists") if r["value"] is not None]
    plots = []
    for base in ("ndcg", "recall", "hit_rate", "precision"):
        mine = [row for row in rows if row["metric"].partition("@")[0] == base]
        if mine:
            plots.append(_list_plot(base, mine, styles(metrics)))
    return plots


def _list_plot(base: str, rows: Sequence[Row], look: Mapping[str, Any]) -> Plot:
    models = measures.models_of(rows)[:MOST_MODELS]
    lengths = sorted({row["k"] for row in rows})

    def paint(axes: Axes) -> None:
        for number, model in enumerate(models):
            of = sorted((r for r in rows if r["model"] == model), key=lambda r: r["k"])
            shift = (number - (len(models) - 1) / 2) * 0.08
            axes.errorbar(
                [lengths.index(row["k"]) + shift for row in of],
                [row["value"] for row in of],
                yerr=errors(of),
                label=short(model),
                capsize=2,
                elinewidth=1,
                **look[model],
            )
        axes.set_xticks(range(len(lengths)), [str(k) for k in lengths])
        axes.set(xlabel="length of the list, k", ylabel=title(base), ylim=(0, 1.03))
        legend(axes)

    longest = [row for row in rows if (row["k"], row["model"]) == (lengths[-1], models[0])]
    words = "Bars are 95 % intervals."
    if longest:
        told = f"{figure(longest[0]['value'])} {interval(longest[0])}".rstrip()
        words = f"At {lengths[-1]}, {models[0]} has {told}. {words}"
    return draw(f"lists-{base}", f"{title(base)} by length of the list", words, paint)


def trend_plot(metrics: Sequence[Row], metric: str, population: str) -> Plot | None:
    """A metric of each model over the runs, if there are several."""
    rows = [
        row
        for row in measures.whole(metrics, population)
        if row["metric"] == metric and row["value"] is not None
    ]
    dates: list[date] = sorted({row["as_of"] for row in rows})
    if len(dates) < 2:
        return None
    models = shown_models([r for r in rows if r["as_of"] == dates[-1]], population, metric)
    look = styles(metrics)

    def paint(axes: Axes) -> None:
        for model in models:
            of = sorted((r for r in rows if r["model"] == model), key=lambda r: r["as_of"])
            axes.errorbar(
                [dates.index(row["as_of"]) for row in of],
                [row["value"] for row in of],
                yerr=errors(of) if model == RANKER else None,
                label=short(model),
                capsize=2,
                elinewidth=1,
                **look[model],
            )
        step = -(-len(dates) // 6)
        axes.set_xticks(range(0, len(dates), step), [str(day) for day in dates[::step]])
        axes.set(xlabel="as_of", ylabel=title(metric))
        legend(axes)

    words = f"{len(dates)} runs, population {population}; {measures.direction(metric)}."
    return draw(f"trend-{metric}", f"{title(metric)} over the runs", words, paint)
