"""Plots as inline SVG that takes its colours from the page.

Text, axes and series are drawn in colours that stand for others; in the SVG they are replaced by
``currentColor`` and by the variables of the page's style, which differ in light and dark.
"""

import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from activityrec.evaluation.report.words import plain

WIDTH = 5.6
"""Of every plot, in inches of 72 units."""
HEIGHT = 3.5
INK, LINE, SOFT = "#010203", "#010204", "#010205"
SERIES = tuple(f"#01030{number}" for number in range(8))
"""Stand-ins for the colours of text, of faint lines, of stronger ones, and of series."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

_COLOURS = {
    INK: "currentColor",
    LINE: "var(--line)",
    SOFT: "var(--soft)",
    **{colour: f"var(--series-{number})" for number, colour in enumerate(SERIES)},
}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "activityrec",
    "text.parse_math": False,
    "axes.unicode_minus": True,
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
}
_XLINK = "{http://www.w3.org/1999/xlink}"
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


@dataclass(frozen=True)
class Plot:
    """A drawn plot.

    Attributes
    ----------
    name
        Marks it within the page.
    title
        What it shows, as the heading over it.
    words
        What is seen in it, for those who do not see it; also the text below it.
    svg
        The element.
    """

    name: str
    title: str
    words: str
    svg: str


def draw(
    name: str, title: str, words: str, paint: Callable[[Axes], None], height: float = HEIGHT
) -> Plot:
    """A plot of one pair of axes that ``paint`` fills.

    The same data give the same text: nothing in it depends on time or on what else was drawn.
    """
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()  # a matplotlibrc of the machine has no say here
        matplotlib.rcParams.update(_STYLE)
        # The page's own font draws the text; matplotlib's may lack signs that the data hold.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        paint(figure.add_subplot())
        target = io.StringIO()
        empty = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(target, format="svg", metadata=empty, transparent=True)
    return Plot(name, title, words, _inline(target.getvalue(), name, f"{title}. {words}"))


def short(value: object) -> str:
    """A value of the data as a label."""
    return plain(value, 28)


def legend(axes: Axes, columns: int = 3) -> None:
    """Name the series below the axes, where there is more than one."""
    if len(axes.get_legend_handles_labels()[1]) > 1:
        axes.figure.legend(loc="outside lower center", ncols=columns, fontsize=9)


def _inline(svg: str, name: str, words: str) -> str:
    """The ``svg`` element as HTML takes it: without namespaces, ids that are the page's only."""
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("}metadata", "}style")):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {
            key.removeprefix(_XLINK): _of_page(key, value, name)
            for key, value in element.attrib.items()
        }
    root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-label": words}
    return ElementTree.tostring(root, encoding="unicode")


def _of_page(key: str, value: str, name: str) -> str:
    """An attribute with the page's colours, and ids that start with the plot's name."""
    if key == "id":
        return f"{name}-{value}"
    if key.endswith("href") and value.startswith("#"):
        return f"#{name}-{value[1:]}"
    for drawn, shown in _COLOURS.items():
        value = value.replace(drawn, shown)
    return _REFERENCE.sub(rf"url(#{name}-\1)", value)
