"""The retrieval kernel: blocks of users against all live activities, in NumPy.

No pair of user and activity leaves the kernel unless it is a candidate.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from activityrec.features.affinity import ActivitySide, Floats, Ints
from activityrec.features.pairs import affinity_blocks
from activityrec.retrieval.eligibility import Barrier, broken_rules, would_be_candidates
from activityrec.retrieval.scores import blend, score_block
from activityrec.retrieval.scores import ranks as ranked
from activityrec.retrieval.sides import Sides
from activityrec.retrieval.spread import Spread

Batches = Iterator[pa.RecordBatch]
Mask = npt.NDArray[np.bool_]

POPULARITY_TRACE = 1e-6
"""How much of an activity's popularity, as a share of the user's largest score, is added to its
score: enough to break ties."""


@dataclass(frozen=True)
class LiveActivities:
    """The activity side of retrieval, which goes to every worker.

    Attributes
    ----------
    side
        The live activities, and which products and categories they cover.
    vectors
        Their vectors, by retriever.
    weights
        Of the retrievers, in the order of candidates.
    popularity
        (activities,) in [0, 1): orders the candidates of users that no retriever knows.
    barriers
        The conditions on users that some activities have.
    pinned
        Numbers of the activities that are candidates of every user whom rules allow them.
    """

    side: ActivitySide
    vectors: Sides
    weights: dict[str, float]
    popularity: Floats
    barriers: tuple[Barrier, ...] = ()
    pinned: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


def candidate_fields(retrievers: list[str], affinities: list[str]) -> list[str]:
    """The fields of a candidate, all DOUBLE, after its activity_id."""
    kept = [f"{name}_{part}" for name in retrievers for part in ("score", "rank")]
    return [*kept, "list_score", *affinities]


def candidate_mapper(
    spread_live: Spread[LiveActivities],
    passed: list[str],
    affinities: list[str],
    n: int,
    ranks: bool = True,
    excluded: int = 0,
) -> Callable[[Batches], Batches]:
    """A function for ``mapInArrow`` that gives every user their n best live activities.

    The input has the columns of :func:`activityrec.retrieval.sides.users_side`,
    what :func:`activityrec.retrieval.eligibility.broken_rules` looks at and the histories of
    :func:`activityrec.features.pairs.histories`. The output has the columns ``passed`` and
    ``candidates``: array of (activity_id, the fields of :func:`candidate_fields`), best first by
    ``list_score``: the blend of the retrievers, and a trace of popularity for users that have
    none; ties by the order of activities. Without ``ranks`` these are NaN: they cost a full sort.

    With ``excluded`` candidates have ``rule`` too, INT: 0, or the number of the rule because of
    which an activity is none; the best so many of these follow the n candidates, see
    :func:`activityrec.retrieval.eligibility.would_be_candidates`.
    """

    def compute(batches: Batches) -> Batches:
        live = spread_live.value()
        wanted = _Wanted(candidate_fields(list(live.vectors), affinities), n, ranks, excluded)
        for batch in batches:
            for rows, blocks in affinity_blocks(batch, live.side):
                # In a function: its arrays are gone when those of the next block are made.
                lists = _block_lists(live, rows, blocks, wanted)
                blocks.clear()
                yield pa.RecordBatch.from_arrays(
                    [*[rows.column(name) for name in passed], lists], names=[*passed, "candidates"]
                )

    return compute


class _Wanted(NamedTuple):
    """What :func:`candidate_mapper` was asked for."""

    fields: list[str]
    n: int
    ranks: bool
    excluded: int


def _block_lists(
    live: LiveActivities, rows: pa.RecordBatch, blocks: dict[str, Floats], wanted: _Wanted
) -> pa.ListArray:
    """The candidates of the users in ``rows``, with the fields that ``blocks`` and scores give."""
    names = pa.array(live.side.activity_ids, pa.string())
    broken = broken_rules(rows, live.barriers, len(names))
    mask = broken == 0
    scores = {
        name: score_block(rows.column(f"{name}_indices"), rows.column(f"{name}_vector"), side)
        for name, side in live.vectors.items()
    }
    order = _with_trace(blend(scores, live.weights, mask), mask, live.popularity)
    user, activity = _candidates(scores, order, mask, live.pinned, wanted.n)
    for name, block in scores.items():
        blocks[f"{name}_score"] = block
        unranked = np.broadcast_to(np.nan, block.shape)
        blocks[f"{name}_rank"] = ranked(block) if wanted.ranks else unranked
    blocks["list_score"] = order
    if wanted.excluded:
        more = would_be_candidates(order, broken, wanted.n, wanted.excluded)
        user, activity = _together((user, activity), more)
    columns = {name: pa.array(blocks[name][user, activity]) for name in wanted.fields}
    columns = {"activity_id": names.take(pa.array(activity)), **columns}
    if wanted.excluded:
        columns["rule"] = pa.array(broken[user, activity].astype(np.int32))
    return _lists(columns, user, rows.num_rows)


def _lists(columns: dict[str, pa.Array], user: Ints, users: int) -> pa.ListArray:
    """For each user the structs of their cells; ``user`` is the row of each, ascending."""
    offsets = np.searchsorted(user, np.arange(users + 1)).astype(np.int32)
    structs = pa.StructArray.from_arrays([*columns.values()], names=[*columns])
    return pa.ListArray.from_arrays(pa.array(offsets), structs)


def _candidates(
    scores: dict[str, Floats], order: Floats, mask: Mask, pinned: Ints, n: int
) -> tuple[Ints, Ints]:
    """Row and column of the n candidates of each user, best first behind what is pinned."""
    if not len(pinned):
        return top(order, proposed(scores, order, mask, n), n)
    first = order.copy()
    first[:, pinned] = np.inf
    kept = proposed(scores, first, mask, n)
    kept[:, pinned] = mask[:, pinned]
    return top(first, kept, n)


def _together(first: tuple[Ints, Ints], more: tuple[Ints, Ints]) -> tuple[Ints, Ints]:
    """The cells of both, those of a row side by side."""
    user = np.concatenate([first[0], more[0]])
    order = np.argsort(user, kind="stable")
    return user[order], np.concatenate([first[1], more[1]])[order]


def _with_trace(order: Floats, mask: Mask, popularity: Floats) -> Floats:
    """Popularity breaks ties, and orders everything where all scores are 0."""
    among = order if mask.all() else np.where(mask, order, 0.0)
    size = np.maximum(among.max(axis=1, initial=0), -among.min(axis=1, initial=0))
    trace = POPULARITY_TRACE * np.where(size > 0, size, 1.0)
    return order + trace[:, None] * popularity


def proposed(scores: dict[str, Floats], order: Floats, mask: Mask, n: int) -> Mask:
    """The cells that are candidates: each retriever proposes an equal part of n.

    It proposes what it scores above the least: of a user that it does not know nothing. Where they
    propose the same, or have too few, the best of the blend fill the rest.
    """
    if len(scores) == 1 or mask.shape[1] <= n:
        return mask
    chosen = np.zeros_like(mask)
    for block in scores.values():
        least = np.where(mask, block, np.inf).min(axis=1, keepdims=True)
        chosen[top(block, mask & (block > least), max(1, n // len(scores)))] = True
    filled = np.where(chosen, np.inf, order)
    kept = np.zeros_like(mask)
    kept[top(filled, mask, n)] = True
    return kept


def top(scores: Floats, mask: Mask, n: int) -> tuple[Ints, Ints]:
    """Row and column of the n best allowed cells of each row, best first, ties by column."""
    height, width = scores.shape
    masked = scores if mask.all() else np.where(mask, scores, -np.inf)
    if n < width:
        columns = _best_columns(masked, n)
    else:
        columns = np.broadcast_to(np.arange(width), (height, width))
    values = np.take_along_axis(masked, columns, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    columns = np.take_along_axis(columns, order, axis=1).ravel()
    rows = np.repeat(np.arange(height), min(n, width))
    kept = mask[rows, columns]
    return rows[kept], columns[kept]


def _best_columns(scores: Floats, n: int) -> Ints:
    """(rows, n): the columns of the n best cells of each row, ascending; of ties the first."""
    height, width = scores.shape
    groups = 8 * n
    if width < 2 * groups:
        return _by_partition(scores, n)
    kept = np.flatnonzero(scores >= _bound(scores, n, groups))
    if len(kept) > height * groups:
        # So many cells tie.
        return _by_partition(scores, n)
    row, column = np.divmod(kept, width)
    order = np.lexsort((-scores[row, column], row))
    place = np.arange(len(row)) - np.searchsorted(row, row)
    found: Ints = column[order][place < n].reshape(height, n)
    return np.sort(found, axis=1)


def _by_partition(scores: Floats, n: int) -> Ints:
    """A partition takes any of the cells that tie with the n-th best: rows where it had a choice
    are sorted instead."""
    width = scores.shape[1]
    columns = np.argpartition(scores, width - n, axis=1)[:, width - n :]
    least = np.take_along_axis(scores, columns, axis=1).min(axis=1, keepdims=True)
    tied = np.flatnonzero(np.count_nonzero(scores >= least, axis=1) > n)
    if len(tied):
        columns[tied] = np.argsort(-scores[tied], axis=1, kind="stable")[:, :n]
    return np.sort(columns, axis=1)


def _bound(scores: Floats, n: int, groups: int) -> Floats:
    """(rows, 1): at most the n-th best score of each row, mostly little less.

    It is the n-th best of the maxima of groups of columns: as many cells are as good. To look for
    the best among the cells that reach it takes a third of the time of a partition of all.
    """
    best = scores[:, :groups].copy()
    for start in range(groups, scores.shape[1], groups):
        part = scores[:, start : start + groups]
        np.maximum(best[:, : part.shape[1]], part, out=best[:, : part.shape[1]])
    bound: Floats = np.partition(best, groups - n, axis=1)[:, groups - n : groups - n + 1]
    return bound
