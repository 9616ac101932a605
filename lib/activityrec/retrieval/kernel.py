"""The retrieval kernel: blocks of users against all live activities, in NumPy.

No pair of user and activity leaves the kernel unless it is a candidate.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from activityrec.features.affinity import ActivitySide, Floats
from activityrec.features.pairs import affinity_blocks

Batches = Iterator[pa.RecordBatch]

POPULARITY_TRACE = 1e-6
"""How much of an activity's popularity is added to its ALS score: enough to break ties."""


@dataclass(frozen=True)
class LiveActivities:
    """The activity side of retrieval, small enough to go to every worker.

    Attributes
    ----------
    side
        The live activities, and which products and categories they cover.
    vectors
        (activities, rank): zeros where an activity has no vector.
    popularity
        (activities,) in [0, 1): orders the candidates of users that ALS does not know.
    target_of
        (activities,): number of the target group of each, -1 for everyone.
    """

    side: ActivitySide
    vectors: npt.NDArray[np.float32]
    popularity: Floats
    target_of: npt.NDArray[np.int64]


def candidate_mapper(
    live: LiveActivities, passed: list[str], affinities: list[str], n: int
) -> Callable[[Batches], Batches]:
    """A function for ``mapInArrow`` that gives every user their n best live activities.

    The input has ``vector`` (array, NULL for a user that ALS does not know),
    ``answered_activities`` (numbers of activities), ``outside_targets`` (numbers of the target
    groups that the user is not in) and the histories of
    :func:`activityrec.features.pairs.histories`. The output has the columns ``passed`` and
    ``candidates``: array of (activity_id, als_score, list_score, affinities), best first by
    ``list_score``: the ALS score, and a trace of popularity for users that have none; ties by
    the order of activities.
    """

    def compute(batches: Batches) -> Batches:
        names = pa.array(live.side.activity_ids, pa.string())
        for batch in batches:
            for rows, blocks in affinity_blocks(batch, live.side):
                scores = als_block(rows.column("vector"), live.vectors)
                order = scores + POPULARITY_TRACE * live.popularity
                user, activity = top(order, allowed(rows, live), n)
                offsets = np.searchsorted(user, np.arange(rows.num_rows + 1)).astype(np.int32)
                columns = [
                    names.take(pa.array(activity)),
                    pa.array(scores[user, activity]),
                    pa.array(order[user, activity]),
                    *[pa.array(blocks[name][user, activity]) for name in affinities],
                ]
                structs = pa.StructArray.from_arrays(
                    columns, names=["activity_id", "als_score", "list_score", *affinities]
                )
                yield pa.RecordBatch.from_arrays(
                    [*[rows.column(name) for name in passed],
                     pa.ListArray.from_arrays(pa.array(offsets), structs)],
                    names=[*passed, "candidates"],
                )  # fmt: skip

    return compute


def als_block(vectors: pa.ListArray, activities: npt.NDArray[np.float32]) -> Floats:
    """Scores (users, activities); 0 for a user without a vector, or an activity with zeros."""
    known = ~vectors.is_null().to_numpy(zero_copy_only=False)
    scores = np.zeros((len(vectors), len(activities)))
    # Where no activity has a vector, that of zeros need not have the users' rank.
    if known.any() and activities.any():
        flat = vectors.drop_null().flatten().to_numpy(zero_copy_only=False)
        users = flat.reshape(known.sum(), -1)
        scores[known] = users.astype(np.float64) @ activities.T.astype(np.float64)
    return scores


def allowed(rows: pa.RecordBatch, live: LiveActivities) -> npt.NDArray[np.bool_]:
    """(users, activities): in the target group, and not answered before."""
    mask = np.ones((rows.num_rows, len(live.side.activity_ids)), dtype=bool)
    user, answered = _cells(rows.column("answered_activities"))
    mask[user, answered] = False
    user, outside = _cells(rows.column("outside_targets"))
    for number in np.unique(outside):
        mask[np.ix_(user[outside == number], live.target_of == number)] = False
    return mask


def _cells(column: pa.ListArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    lengths = np.diff(column.offsets.to_numpy())
    return np.repeat(np.arange(len(column)), lengths), column.flatten().to_numpy().astype(np.int64)


def top(
    scores: Floats, mask: npt.NDArray[np.bool_], n: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Row and column of the n best allowed cells of each row, best first, ties by column."""
    order = np.argsort(np.where(mask, -scores, np.inf), axis=1, kind="stable")[:, :n]
    rows = np.repeat(np.arange(len(scores)), order.shape[1])
    columns = order.ravel()
    kept = mask[rows, columns]
    return rows[kept], columns[kept]
