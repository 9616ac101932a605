"""Plots of checks: what inputs weigh, how they drifted, what policies are worth."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from activityrec.evaluation.report.data import Row
from activityrec.evaluation.report.drawing import INK, SERIES, Plot, draw, short
from activityrec.evaluation.report.plots import errors
from activityrec.evaluation.report.summary import DRIFTED
from activityrec.evaluation.report.words import figure, title

MOST_BARS = 24
_ROW, _FRAME = 0.23, 0.95


def importance_plot(checks: Sequence[Row]) -> Plot | None:
    """What each input weighs, the largest first."""
    rows = [r for r in checks if r["kind"] == "input" and r["importance"] is not None]
    rows = sorted(rows, key=lambda row: (-abs(row["importance"]), row["name"]))[:MOST_BARS]
    if not rows:
        return None

    def paint(axes: Axes) -> None:
        values = [row["importance"] for row in rows]
        colours = [SERIES[0] if value >= 0 else SERIES[1] for value in values]
        _bars(axes, [short(row["name"]) for row in rows], values, colours)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set(xlabel="coefficient per standard deviation, or importance")

    words = f"{short(rows[0]['name'])} weighs most, {figure(rows[0]['importance'])}."
    return draw("importance", "What the inputs weigh", words, paint, _FRAME + _ROW * len(rows))


def drift_plot(checks: Sequence[Row], kind: str) -> Plot | None:
    """The population stability index of inputs or of scores, the largest first."""
    rows = [row for row in checks if row["kind"] == kind and row["psi"] is not None]
    rows = sorted(rows, key=lambda row: (-row["psi"], row["name"]))[:MOST_BARS]
    if not rows:
        return None

    def paint(axes: Axes) -> None:
        values = [row["psi"] for row in rows]
        colours = [SERIES[1] if value > DRIFTED else SERIES[0] for value in values]
        _bars(axes, [short(row["name"]) for row in rows], values, colours)
        axes.axvline(DRIFTED, color=INK, linewidth=1, linestyle="--")
        axes.set(xlabel="population stability index", xlim=(0, None))

    drifted = sum(1 for row in rows if row["psi"] > DRIFTED)
    words = (
        f"From the training examples to the exposures after as_of. {drifted} of {len(rows)} are "
        f"beyond {DRIFTED:g}, the dashed line."
    )
    heading = "Drift of the inputs" if kind == "input" else "Drift of the scores"
    return draw(f"drift-{kind}", heading, words, paint, _FRAME + _ROW * max(len(rows), 2))


def _bars(
    axes: Axes, labels: Sequence[str], values: Sequence[float], colours: Sequence[str]
) -> None:
    places = range(len(values))
    axes.barh(places, values, color=colours, height=0.62)
    axes.set_yticks(places, labels)
    axes.set_ylim(len(values) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")


def policies_plot(values: Sequence[Row]) -> Plot | None:
    """The estimates of what each policy is worth, with intervals."""
    rows = [row for row in values if row["value"] is not None]
    if not rows:
        return None
    policies = sorted({row["policy"] for row in rows})

    def paint(axes: Axes) -> None:
        for place, row in enumerate(rows):
            number = policies.index(row["policy"])
            axes.errorbar(
                row["value"],
                place,
                xerr=errors([row]),
                color=SERIES[number % len(SERIES)],
                marker="osD^"[number % 4],
                capsize=2,
                elinewidth=1.4,
            )
        labels = [f"{title(row['policy'])}: {short(row['estimator'])}" for row in rows]
        axes.set_yticks(range(len(rows)), labels)
        axes.set(ylim=(len(rows) - 0.4, -0.6), xlabel="responses per exposure")
        axes.grid(visible=False, axis="y")

    words = "Estimated from the log. Bars are 95 % intervals."
    return draw("policies", "What policies are worth", words, paint, _FRAME + _ROW * len(rows))
