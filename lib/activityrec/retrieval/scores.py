"""Scores of a block of users for all activities: dot products, dense or sparse, in NumPy."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from activityrec.features.affinity import Floats, Ints, Ragged

BLOCK_CELLS = 4_000_000
"""Users times places of a dense block made of sparse users: 32 MB."""


@dataclass(frozen=True)
class ActivitySideVectors:
    """One retriever's vectors of the activities, for every worker.

    Attributes
    ----------
    width
        Number of activities.
    matrix
        (places, activities) where they are dense; None where they are sparse.
    places
        Sparse: the places that any activity has a value at, ascending.
    of_place, weights
        Sparse: for each of ``places`` the numbers of its activities, and the values there.
    softmax
        Whether scores are log-probabilities up to a constant: they become probabilities that add
        up to one over the activities that have a vector.
    """

    width: int
    matrix: Floats | None
    places: Ints
    of_place: Ragged
    weights: Floats
    softmax: bool = False

    @staticmethod
    def of(
        rows: Iterable[tuple[int, npt.ArrayLike | None, npt.ArrayLike]],
        width: int,
        softmax: bool = False,
    ) -> "ActivitySideVectors":
        """From (number of the activity, indices or None, values); others have no vector."""
        listed = list(rows)
        if not listed or listed[0][1] is None:
            size = max((len(np.asarray(values)) for _, _, values in listed), default=0)
            vectors = np.zeros((width, size), dtype=np.float32)
            for number, _, values in listed:
                vectors[number] = values
            return replace(ActivitySideVectors.dense(vectors), softmax=softmax)
        lengths = [len(np.asarray(values)) for _, _, values in listed]
        activity = np.repeat([number for number, _, _ in listed], lengths).astype(np.int64)
        index = np.concatenate([np.asarray(indices, np.int64) for _, indices, _ in listed])
        values = np.concatenate([np.asarray(values, np.float64) for _, _, values in listed])
        places, row = np.unique(index, return_inverse=True)
        order = np.lexsort((activity, row))
        of_place = Ragged.from_pairs(row, activity, len(places))
        return ActivitySideVectors(width, None, places, of_place, values[order], softmax)

    @staticmethod
    def dense(vectors: npt.NDArray[np.float32]) -> "ActivitySideVectors":
        """From (activities, places)."""
        nothing = np.zeros(0, dtype=np.int64)
        empty = Ragged(np.zeros(1, dtype=np.int64), nothing)
        matrix = vectors.T.astype(np.float64)
        return ActivitySideVectors(len(vectors), matrix, nothing, empty, np.zeros(0))

    def only(self, activities: Ints) -> "ActivitySideVectors":
        """For these activities alone, in this order."""
        if self.matrix is not None:
            return replace(self, width=len(activities), matrix=self.matrix[:, activities])
        new = np.full(self.width, -1, dtype=np.int64)
        new[activities] = np.arange(len(activities))
        row = np.repeat(np.arange(len(self.places)), self.of_place.lengths())
        column = new[self.of_place.items]
        kept = column >= 0
        order = np.lexsort((column[kept], row[kept]))
        of_place = Ragged.from_pairs(row[kept], column[kept], len(self.places))
        weights = self.weights[kept][order]
        return replace(self, width=len(activities), of_place=of_place, weights=weights)

    def filled(self) -> npt.NDArray[np.bool_]:
        """(activities,): which have a vector."""
        if self.matrix is not None:
            return np.asarray(self.matrix.any(axis=0))
        return np.bincount(self.of_place.items, minlength=self.width) > 0


def score_block(
    indices: pa.ListArray,
    vectors: pa.ListArray,
    side: ActivitySideVectors,
    among: npt.NDArray[np.bool_] | None = None,
) -> Floats:
    """Scores (users, activities); 0 for a user or an activity without a vector.

    Parameters
    ----------
    indices, vectors
        Of each user, NULL where the retriever does not know them; ``indices`` are NULL for
        dense vectors.
    among
        (users, activities): those that a user's probabilities are over; None: all of them.
    """
    scores = _products(indices, vectors, side)
    if not side.softmax:
        return scores
    known = vectors.is_valid().to_numpy(zero_copy_only=False)
    filled = known[:, None] & side.filled()
    return probabilities(scores, filled if among is None else filled & among)


def probabilities(scores: Floats, known: npt.NDArray[np.bool_]) -> Floats:
    """exp(score) over the sum of the known cells of its row; 0 for the others."""
    masked = np.where(known, scores, -np.inf)
    best = masked.max(axis=1, keepdims=True, initial=-np.inf)
    grown = np.exp(masked - np.where(np.isfinite(best), best, 0.0))
    total = grown.sum(axis=1, keepdims=True)
    return np.divide(grown, total, out=np.zeros_like(grown), where=total > 0)


def _products(indices: pa.ListArray, vectors: pa.ListArray, side: ActivitySideVectors) -> Floats:
    # Pages of zeros that nothing is written to cost nothing.
    scores = np.zeros((len(vectors), side.width))
    lengths = vectors.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    values = vectors.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
    if not len(values) or (side.matrix is not None and not side.matrix.size):
        return scores
    if indices.null_count == len(indices):
        known = lengths > 0
        assert side.matrix is not None
        found: Floats = values.reshape(known.sum(), -1) @ side.matrix
        if known.all():
            return found
        scores[known] = found
        return scores
    places = indices.flatten().to_numpy(zero_copy_only=False).astype(np.int64)
    if side.matrix is not None:
        return _sparse_by_dense(lengths, places, values, side.matrix)
    return _sparse_by_sparse(lengths, places, values, side)


def _sparse_by_dense(lengths: Ints, places: Ints, values: Floats, matrix: Floats) -> Floats:
    scores = np.zeros((len(lengths), matrix.shape[1]))
    ends = np.cumsum(lengths)
    step = max(1, BLOCK_CELLS // len(matrix))
    for start in range(0, len(lengths), step):
        stop = min(start + step, len(lengths))
        cells = slice(ends[start] - lengths[start], ends[stop - 1])
        dense = np.zeros((stop - start, len(matrix)))
        row = np.repeat(np.arange(stop - start), lengths[start:stop])
        dense[row, places[cells]] = values[cells]
        scores[start:stop] = dense @ matrix
    return scores


def _sparse_by_sparse(
    lengths: Ints, places: Ints, values: Floats, side: ActivitySideVectors
) -> Floats:
    row = np.repeat(np.arange(len(lengths)), lengths)
    found = np.searchsorted(side.places, places)
    shared = found < len(side.places)
    shared[shared] = side.places[found[shared]] == places[shared]
    row, found, values = row[shared], found[shared], values[shared]
    fan_out = side.of_place.lengths()[found]
    ends = np.cumsum(fan_out)
    total = int(ends[-1]) if len(ends) else 0
    # For each shared place the run of its activities: start, start + 1, ...
    shift = side.of_place.offsets[found] - (ends - fan_out)
    run = np.arange(total) + np.repeat(shift, fan_out)
    cells = np.repeat(row, fan_out) * side.width + side.of_place.items[run]
    products = np.repeat(values, fan_out) * side.weights[run]
    sums = np.bincount(cells, products, minlength=len(lengths) * side.width)
    block: Floats = sums.reshape(len(lengths), side.width).astype(np.float64)
    return block


def ranks(scores: Floats) -> Floats:
    """Place of each cell in its row, best first from 1; equal scores share their mean place."""
    order = np.argsort(-scores, axis=1, kind="stable")
    ordered = np.take_along_axis(scores, order, axis=1)
    new = np.ones(scores.shape, dtype=bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    tie = np.cumsum(new.ravel()) - 1
    place = np.broadcast_to(np.arange(1.0, scores.shape[1] + 1), scores.shape).ravel()
    mean = np.bincount(tie, place) / np.bincount(tie) if len(tie) else place
    found = np.empty_like(scores)
    np.put_along_axis(found, order, mean[tie].reshape(scores.shape), axis=1)
    return found


def blend(
    scores: dict[str, Floats], weights: dict[str, float], mask: npt.NDArray[np.bool_]
) -> Floats:
    """Σ weight × the scores, standardised over each user's allowed activities.

    With one retriever the scores as they are; a user whose scores by a retriever are all equal
    gets nothing from it. What is not allowed is measured by the others' mean and deviation.
    """
    if len(scores) == 1:
        return next(iter(scores.values()))
    count = np.maximum(1, mask.sum(axis=1, keepdims=True))
    total = np.zeros(mask.shape)
    for name, block in scores.items():
        mean = np.where(mask, block, 0.0).sum(axis=1, keepdims=True) / count
        difference = block - mean
        centred = np.where(mask, difference, 0.0)
        spread = np.sqrt((centred**2).sum(axis=1, keepdims=True) / count)
        total += weights[name] * difference / np.where(spread > 1e-12, spread, np.inf)
    return total
