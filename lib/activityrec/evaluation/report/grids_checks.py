"""The tables of checks: inputs and scores, policies, the gate."""

from collections.abc import Sequence

from activityrec.evaluation.report.data import Row
from activityrec.evaluation.report.grids import Cell, Grid
from activityrec.evaluation.report.summary import DRIFTED
from activityrec.evaluation.report.words import (
    NONE,
    count,
    figure,
    interval,
    plain,
    share,
    title,
)


def alarms(checks: Sequence[Row]) -> list[tuple[str, str]]:
    """Name and words of every input or score that is suspicious."""
    return [
        (f"{title(row['kind'])} {plain(row['name'])}", plain(row["alarm"], 300))
        for row in checks
        if row["alarm"] is not None
    ]


def inputs_grid(checks: Sequence[Row], kind: str) -> Grid | None:
    """The inputs or the scores: those with an alarm first, then the most important."""
    rows = sorted((r for r in checks if r["kind"] == kind), key=_importance)
    if not rows:
        return None
    weighs = kind == "input"
    body = []
    for row in rows:
        drifted = row["psi"] is not None and row["psi"] > DRIFTED
        alarm = plain(row["alarm"], 300)
        body.append(
            [
                Cell(plain(row["name"])),
                *([Cell(figure(row["importance"]))] if weighs else []),
                Cell(figure(row["auc_before"])),
                Cell(figure(row["auc_after"])),
                Cell(figure(row["psi"]), "", *(("differs", "drifted") if drifted else ())),
                Cell(figure(row["js"])),
                Cell(count(row["rows_before"])),
                Cell(count(row["rows_after"])),
                Cell(alarm, "", "alarm" if row["alarm"] is not None else ""),
            ]
        )
    columns = [
        *(["Input", "Importance"] if weighs else ["Score of"]),
        "AUC before", "AUC after", "PSI", "JS (bits)", "Examples", "Exposures", "Alarm",
    ]  # fmt: skip
    caption = "Inputs of the ranker" if weighs else "Scores"
    return Grid(caption, columns, body, frozenset({len(columns) - 1}))


def _importance(row: Row) -> tuple[bool, float, str]:
    return row["alarm"] is None, -abs(row["importance"] or 0.0), row["name"]


def policies_grid(values: Sequence[Row]) -> Grid | None:
    """The value of each policy by each estimator, with what it rests on."""
    if not values:
        return None
    body = [
        [
            Cell(title(row["policy"])),
            Cell(plain(row["estimator"])),
            Cell(figure(row["value"], 4), interval(row, 4)),
            Cell(count(row["rows"])),
            Cell(figure(row["effective_sample_size"], 0)),
            Cell(figure(row["mean_weight"], 2)),
            Cell(figure(row["largest_weight"], 1)),
            Cell(share(row["clipped"])),
            Cell(share(row["unsupported"])),
            Cell(plain(row["propensities"])),
            Cell(plain(row["refusal"], 300), "", "alarm" if row["refusal"] is not None else ""),
        ]
        for row in values
    ]
    columns = [
        "Policy", "Estimator", "Responses per exposure", "Exposures", "Effective sample size",
        "Mean weight", "Largest weight", "Clipped", "Unsupported", "Propensities", "Refusal",
    ]  # fmt: skip
    return Grid("Values of policies", columns, body, frozenset({1, 9, 10}))


def gate_grid(promotions: Sequence[Row]) -> Grid | None:
    """The checks of the gate, those that failed first."""
    if not promotions:
        return None
    rows = sorted(promotions, key=lambda row: (row["passed"], row["check_name"]))
    body = [
        [
            Cell(plain(row["check_name"])),
            Cell("yes", "", "passed") if row["passed"] else Cell("no", "", "alarm"),
            Cell(figure(row["value"])),
            Cell(figure(row["bound"])),
            Cell(plain(row["reason"], 300) or NONE),
        ]
        for row in rows
    ]
    columns = ["Check", "Held", "Figure", "Bound", "Reason"]
    return Grid("Checks of the gate", columns, body, frozenset({1, 4}))
