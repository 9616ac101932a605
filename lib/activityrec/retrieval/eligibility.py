"""Which activities a user may not be recommended, and by which rule: masks that know why."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from activityrec.features.affinity import Floats, Ints

Codes = npt.NDArray[np.int8]

RULES = ("blocked", "target_group", "consent", "answered", "frequency_cap")
"""By number, from 1; of several rules that an activity breaks the first is told."""

CELL_RULES = {"answered": "answered_activities", "frequency_cap": "capped_activities"}
"""Rules that concern single activities of a user, and the columns that hold their numbers."""


@dataclass(frozen=True)
class Barrier:
    """A condition on users that keeps those who fail it from some activities.

    Attributes
    ----------
    rule
        One of RULES.
    activities
        Their numbers.
    """

    rule: str
    activities: Ints


def broken_rules(rows: pa.RecordBatch, barriers: Sequence[Barrier], width: int) -> Codes:
    """(users, activities): the number of the first rule that is broken, 0 where none is.

    Parameters
    ----------
    rows
        The columns of CELL_RULES, and ``barred_by``: numbers of the barriers of each user.
    width
        Number of activities.
    """
    broken = np.zeros((rows.num_rows, width), dtype=np.int8)
    user, barrier = _cells(rows.column("barred_by"))
    met = np.unique(barrier)
    for code in range(len(RULES), 0, -1):
        rule = RULES[code - 1]
        if rule in CELL_RULES:
            broken[_cells(rows.column(CELL_RULES[rule]))] = code
        for number in met:
            if barriers[number].rule == rule:
                broken[np.ix_(user[barrier == number], barriers[number].activities)] = code
    return broken


def would_be_candidates(order: Floats, broken: Codes, n: int, limit: int) -> tuple[Ints, Ints]:
    """Row and column of what a rule alone keeps from the n candidates of each user.

    That is what is scored above the n-th best allowed activity; the best ``limit`` of each row.
    """
    rows = np.flatnonzero(broken.any(axis=1))
    barred = broken[rows] > 0
    some = np.where(barred, -np.inf, order[rows])
    width = some.shape[1]
    least = np.full((len(rows), 1), -np.inf)
    if n < width:
        least = np.partition(some, width - n, axis=1)[:, width - n, None]
    row, column = np.nonzero(barred & (order[rows] > least))
    by_score = np.lexsort((column, -order[rows[row], column], row))
    row, column = row[by_score], column[by_score]
    kept = np.arange(len(row)) - np.searchsorted(row, row) < limit
    return rows[row[kept]], column[kept]


def _cells(column: pa.ListArray) -> tuple[Ints, Ints]:
    lengths = np.diff(column.offsets.to_numpy())
    return np.repeat(np.arange(len(column)), lengths), column.flatten().to_numpy().astype(np.int64)
