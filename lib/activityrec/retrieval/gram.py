"""X'X of the user-item matrix, block by block of items, without a row for each pair of items.

A user's items go once to each block that holds one of them, and are multiplied there as sparse
matrices. Besides one Arrow batch of users, what a task keeps is bounded by ``CELLS`` and ``PAIRS``,
whatever the number of users.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from math import ceil

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from scipy.sparse import csr_array

from activityrec.features.affinity import Ints
from activityrec.retrieval.protocol import sorted_terms

Batches = Iterator[pa.RecordBatch]

CELLS = 4_000_000
"""The most cells of X'X in one block."""

PAIRS = 5_000_000
"""Of items of the same user: about so many are multiplied at once."""


@dataclass
class Block:
    """Some rows of X'X.

    Attributes
    ----------
    items
        Their numbers, ascending.
    products
        (items of the block, all items): Σ over users of weight × weight.
    users
        The same shape: how many users have both.
    """

    items: Ints
    products: csr_array
    users: csr_array

    def add(self, own: csr_array, all_items: csr_array) -> None:
        """Add some users: their items of the block, and all of theirs."""
        self.products += own.T.tocsr() @ all_items
        self.users += _ones(own).T.tocsr() @ _ones(all_items)

    def row(self, place: int) -> tuple[Ints, npt.NDArray[np.float64], Ints]:
        """Of one item the others that share users with it, ascending, the products, the users."""
        shared = self.users[[place]]
        shared.sort_indices()
        others = shared.indices
        return others, self.products[[place]].toarray()[0, others], shared.data


def gram(rows: DataFrame, finish: Callable[[Block], pa.RecordBatch], schema: str) -> DataFrame:
    """What ``finish`` makes of the blocks that together are X'X.

    Sums are in the order of users; their last bits depend on where Arrow's batches end.

    Parameters
    ----------
    rows
        user, item (numbers), weight; a pair at most once. They are looked at twice.
    schema
        Of what ``finish`` gives.
    """
    width = 1 + rows.agg(F.coalesce(F.max("item"), F.lit(0)).alias("last")).collect()[0]["last"]
    blocks = blocks_of(width)
    wanted = F.array_distinct(F.transform("terms", lambda term: term["item"] % blocks))
    parts = (
        rows.groupBy("user")
        .agg(sorted_terms())
        .select(F.explode(wanted).alias("block"), "user", "terms.item", "terms.weight")
        .repartition("block")
        .sortWithinPartitions("block", "user")
    )
    return parts.mapInArrow(_mapper(width, blocks, finish), schema)


def blocks_of(items: int) -> int:
    """In how many blocks the square matrix of so many items is made."""
    return max(1, ceil(items**2 / CELLS))


def _mapper(
    width: int, blocks: int, finish: Callable[[Block], pa.RecordBatch]
) -> Callable[[Batches], Batches]:
    def compute(batches: Batches) -> Batches:
        for number, pieces in groupby(_pieces(batches, blocks), key=_number):
            items = np.arange(number, width, blocks)
            shape = (len(items), width)
            block = Block(items, csr_array(shape), csr_array(shape, dtype=np.int32))
            for rows in pieces:
                block.add(*_matrices(rows, shape, blocks))
            yield finish(block)

    return compute


def _number(rows: pa.RecordBatch) -> int:
    number: int = rows.column("block")[0].as_py()
    return number


def _pieces(batches: Batches, blocks: int) -> Batches:
    """Users of one block each, of about ``PAIRS`` pairs."""
    for batch in batches:
        numbers = batch.column("block").to_numpy()
        user, item = _terms(batch)
        lengths = np.bincount(user)
        own = np.bincount(user[item % blocks == numbers[user]])
        full = np.cumsum(own * lengths) // PAIRS
        edges = np.flatnonzero(np.diff(numbers, prepend=-1) | np.diff(full, prepend=0))
        for start, stop in pairwise([*edges, len(numbers)]):
            yield batch.slice(start, stop - start)


def _matrices(
    rows: pa.RecordBatch, shape: tuple[int, int], blocks: int
) -> tuple[csr_array, csr_array]:
    """(users, items of the block) and (users, all items)."""
    user, item = _terms(rows)
    weight = rows.column("weight").flatten().to_numpy()
    own = item % blocks == _number(rows)
    height, width = shape
    return (
        csr_array((weight[own], (user[own], item[own] // blocks)), (rows.num_rows, height)),
        csr_array((weight, (user, item)), (rows.num_rows, width)),
    )


def _terms(rows: pa.RecordBatch) -> tuple[Ints, Ints]:
    """The place of the user, and the item, of each of their interests; no user has none."""
    lists = rows.column("item")
    user = np.repeat(np.arange(rows.num_rows), lists.value_lengths().to_numpy())
    return user, lists.flatten().to_numpy().astype(np.int64)


def _ones(matrix: csr_array) -> csr_array:
    ones: npt.NDArray[np.int32] = np.ones(matrix.nnz, dtype=np.int32)
    return csr_array((ones, matrix.indices, matrix.indptr), shape=matrix.shape)
