"""The best users of each activity, of users who come block by block."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from activityrec.features.affinity import Ints

COLUMNS = ("user_id", "activity_id", "score", "probability")
"""What is kept of a candidate; those that it has."""

ROWS_AT_LEAST = 50_000
"""Fewer rows are not looked through for those that can go."""


class Audience:
    """The best ``size`` users of each activity, by score, then by user_id.

    Parameters
    ----------
    floors
        Of activities: scores below which no user is looked at.

    Attributes
    ----------
    held
        Rows that are kept so far: at most twice as many as :meth:`best` gives, or
        ``ROWS_AT_LEAST``.
    """

    def __init__(self, size: int, floors: Mapping[str, float] | None = None) -> None:
        self._size, self._floors = size, floors or {}
        self._parts: list[pa.Table] = []
        self.held = 0
        self._limit = ROWS_AT_LEAST
        self._need(self._floors)

    def add(self, candidates: pa.Table) -> None:
        """Look at candidates, which have user_id, activity_id and ``score``; those that have a
        ``rule``, no ``room``, or a score that is no number, are none for an audience."""
        rows = candidates.select([c for c in COLUMNS if c in candidates.column_names])
        rows = rows.filter(pc.and_(_may_be_sent(candidates), self._is_good_enough(rows)))
        self._parts.append(rows)
        self.held += rows.num_rows
        if self.held > self._limit:
            self._trim()

    def best(self) -> tuple[pa.Table, Ints]:
        """The rows kept, and the rank of each in its audience, from 1."""
        rows = pa.concat_tables(self._parts).combine_chunks()
        activity = rows.column("activity_id").combine_chunks().dictionary_encode().indices
        order = pc.sort_indices(
            rows.append_column("_activity", activity),
            [("_activity", "ascending"), ("score", "descending"), ("user_id", "ascending")],
        )
        numbers = activity.take(order).to_numpy()
        rank: Ints = np.arange(len(numbers)) - np.searchsorted(numbers, numbers) + 1
        kept = rank <= self._size
        return rows.take(order.filter(pa.array(kept))), rank[kept]

    def _trim(self) -> None:
        rows, rank = self.best()
        self._parts, self.held = [rows], rows.num_rows
        self._limit = max(ROWS_AT_LEAST, 2 * self.held)
        # Those of the activities that have all their users.
        last = rows.filter(pa.array(rank == self._size))
        names, scores = (last.column(name).to_pylist() for name in ("activity_id", "score"))
        self._need({**self._floors, **dict(zip(names, scores, strict=True))})

    def _need(self, least: Mapping[str, float]) -> None:
        """Keep the least scores that are still good enough."""
        self._names = pa.array(list(least), pa.string())
        self._least = np.array([*least.values(), -np.inf])

    def _is_good_enough(self, rows: pa.Table) -> pa.ChunkedArray | pa.Scalar:
        if not len(self._names):
            return pa.scalar(True)
        place = pc.index_in(rows.column("activity_id"), value_set=self._names)
        least = self._least[place.fill_null(len(self._names)).to_numpy()]
        return pc.greater_equal(rows.column("score"), pa.array(least))


def _may_be_sent(candidates: pa.Table) -> pa.ChunkedArray:
    """What no rule excludes, before lists are made."""
    allowed = pc.is_finite(candidates.column("score")).fill_null(False)
    if "rule" in candidates.column_names:
        allowed = pc.and_(allowed, pc.equal(candidates.column("rule"), 0))
    if "room" in candidates.column_names:
        allowed = pc.and_(allowed, pc.greater(candidates.column("room").fill_null(1), 0))
    return allowed
