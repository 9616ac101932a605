"""What users did before with what activities cover, as sparse products in NumPy.

A user's past is a sparse vector over products (and one over categories); an activity's eligible
products are another. Their product, for a block of users and all activities at once, is the
same code for training and for serving, so that the two cannot drift apart.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Ragged:
    """Rows of different lengths: row r is ``items[offsets[r]:offsets[r + 1]]``."""

    offsets: Ints
    items: Ints

    def lengths(self) -> Ints:
        return np.diff(self.offsets)

    @staticmethod
    def from_pairs(rows: Ints, items: Ints, n_rows: int) -> "Ragged":
        """Rows and items side by side, in any order."""
        order = np.lexsort((items, rows))
        counts = np.bincount(rows, minlength=n_rows)
        return Ragged(np.concatenate(([0], np.cumsum(counts))).astype(np.int64), items[order])


@dataclass(frozen=True)
class ActivitySide:
    """The activities' half: which activities each product, and each category, belongs to.

    Attributes
    ----------
    activity_ids
        The columns of every block, in order.
    of_product, of_category
        For each product or category number, the numbers of its activities.
    """

    activity_ids: tuple[str, ...]
    of_product: Ragged
    of_category: Ragged


def sparse_products(
    owned: Ragged, measures: dict[str, Floats], matrix: Ragged, width: int
) -> dict[str, Floats]:
    """Rows of (item, value) times a 0/1 matrix of item to column, for several values at once.

    Parameters
    ----------
    owned
        The items of each row.
    measures
        Name to a value for each of ``owned.items``.
    matrix
        The columns of each item.
    width
        Number of columns.

    Returns
    -------
    dict
        Name to (rows, width).
    """
    height = len(owned.offsets) - 1
    fan_out = matrix.lengths()[owned.items]
    ends = np.cumsum(fan_out)
    total = int(ends[-1]) if len(ends) else 0
    # For each owned item the run of its columns: start, start + 1, ...
    shift = matrix.offsets[owned.items] - (ends - fan_out)
    columns = matrix.items[np.arange(total) + np.repeat(shift, fan_out)]
    rows = np.repeat(np.repeat(np.arange(height), owned.lengths()), fan_out)
    cells = rows * width + columns
    found: dict[str, Floats] = {}
    for name, values in measures.items():
        sums = np.bincount(cells, np.repeat(values, fan_out), minlength=height * width)
        found[name] = sums.reshape(height, width).astype(np.float64)
    return found
