"""What users did before with what activities cover, as sparse products in NumPy.

A user's past is a sparse vector over products (and one over categories); an activity's eligible
products are another. Serving asks for their product for a block of users and all activities at
once, training for that of the pairs that were sent. Both add up the same values in the same order,
by number of the item, so what is served is to the last bit what was learnt from.
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

    def owners(self) -> Ints:
        """The row of each item."""
        return np.repeat(np.arange(len(self.offsets) - 1), self.lengths())

    def entries(self, rows: Ints) -> Ints:
        """Where the items of these rows, one row after the other, stand in ``items``."""
        lengths = self.lengths()[rows]
        ends = np.cumsum(lengths)
        shift = np.repeat(self.offsets[rows] - (ends - lengths), lengths)
        return np.arange(len(shift)) + shift

    def transposed(self, width: int) -> "Ragged":
        """For each of ``width`` items the rows that have it."""
        return Ragged.from_pairs(self.items, self.owners(), width)

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

    def matrices(self) -> tuple[Ragged, Ragged]:
        """Both, in order."""
        return self.of_product, self.of_category

    def covered(self) -> tuple[Ragged, Ragged]:
        """The products, and the categories, of each activity."""
        width = len(self.activity_ids)
        return self.of_product.transposed(width), self.of_category.transposed(width)


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
    columns = matrix.items[matrix.entries(owned.items)]
    cells = np.repeat(owned.owners(), fan_out) * width + columns
    found: dict[str, Floats] = {}
    for name, values in measures.items():
        sums = np.bincount(cells, np.repeat(values, fan_out), minlength=height * width)
        found[name] = sums.reshape(height, width).astype(np.float64)
    return found


def cells_of_products(
    owned: Ragged, measures: dict[str, Floats], columns: Ragged, cells: tuple[Ints, Ints]
) -> dict[str, Floats]:
    """Some cells of what :func:`sparse_products` gives, to the last bit, without the others.

    Parameters
    ----------
    owned, measures
        As there, the items of each row ascending and each once.
    columns
        The items of each column, likewise: the transposed matrix. Of a row and a column the
        shorter one is walked.
    cells
        Row and column of each cell.

    Returns
    -------
    dict
        Name to a value for each cell.
    """
    row, column = cells
    from_row = owned.lengths()[row] <= columns.lengths()[column]
    here, there = np.flatnonzero(from_row), np.flatnonzero(~from_row)
    first, entry, _ = _meetings(owned, row[here], columns, column[here])
    second, _, found_entry = _meetings(columns, column[there], owned, row[there])
    cell = np.concatenate([here[first], there[second]])
    entry = np.concatenate([entry, found_entry])
    return {
        name: np.bincount(cell, values[entry], minlength=len(row)).astype(np.float64)
        for name, values in measures.items()
    }


def _meetings(
    walked: Ragged, rows: Ints, other: Ragged, other_rows: Ints
) -> tuple[Ints, Ints, Ints]:
    """What two rows have in common, for many two: which two it is, and where it stands in the
    items of each. The items of ``walked`` are looked up in those of ``other``."""
    lengths, entries = walked.lengths()[rows], walked.entries(rows)
    base = 1 + max(walked.items.max(initial=0), other.items.max(initial=0))
    held = other.owners() * base + other.items
    sought = np.repeat(other_rows, lengths) * base + walked.items[entries]
    place = np.searchsorted(held, sought)
    met = np.flatnonzero(np.append(held, -1)[place] == sought)
    return np.repeat(np.arange(len(rows)), lengths)[met], entries[met], place[met]
