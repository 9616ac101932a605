"""Bytes of what the stages work with, from the shapes that the code uses: rows, arrays, vectors.

``tests/test_planning.py`` compares them with real rows, real arrays and the kernel's real peak.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from activityrec.config import Config
from activityrec.features.pairs import CELLS_PER_BLOCK
from activityrec.tables import affinity_columns

DOUBLE = LONG = 8
FLOAT = INT = 4
AUDIENCE_COPIES = 4
"""How often rows of audiences are there while they are put in order: measured, see the tests."""
TEMPORARIES = 6
"""Further arrays of a block's size that live while one is ranked: measured, see the tests."""


@dataclass(frozen=True)
class Counts:
    """The size of a deployment.

    Attributes
    ----------
    users, products, events
        All that there are; ``events`` those that features look at.
    activities
        Live or planned ones.
    eligible
        Pairs of a live activity and a product of it.
    items_per_user
        Different products that a user has an interest in, on average.
    id_bytes
        Length of an id; user ids are longer where they are pseudonyms.
    """

    users: int
    activities: int
    products: int
    events: int
    eligible: int
    items_per_user: int
    id_bytes: int = 16

    @property
    def eligible_products(self) -> int:
        return min(self.products, self.eligible)

    @property
    def interests(self) -> int:
        """Pairs of a user and an item."""
        return self.users * self.items_per_user


def row_bytes(types: Sequence[str], text: int) -> int:
    """Bytes of a row as Spark keeps and shuffles it (UnsafeRow): a bit for each NULL in words of
    8 bytes, 8 bytes a column, and texts of ``text`` bytes in whole words."""
    texts = sum(1 for kind in types if kind.upper() == "STRING")
    return 8 * ceil(len(types) / 64) + 8 * len(types) + texts * words(text)


def array_bytes(values: int, each: int) -> int:
    """One array in Spark's UnsafeRow: its length, a bit for each NULL, the values, in words."""
    return 8 + 8 * ceil(values / 64) + words(values * each)


def side_bytes(retrievers: Sequence[str], config: Config, counts: Counts) -> tuple[int, str]:
    """The arrays of :class:`activityrec.retrieval.kernel.LiveActivities`, at most; the arithmetic.

    Products and categories as offsets and numbers of activities, LONG; vectors of activities,
    DOUBLE, dense ones (places, activities), sparse ones by place; popularity. Of categories there
    are at most as many, and as many pairs, as of products.
    """
    n, pairs, products = counts.activities, counts.eligible, counts.eligible_products
    size = 2 * LONG * (products + 1 + pairs) + DOUBLE * n
    terms = [f"2 x 8 x ({products:,} + 1 + {pairs:,}) + 8 x {n:,}"]
    for name in retrievers:
        dense = _dense_width(name, config, counts)
        if dense is not None:
            size += DOUBLE * dense * n + LONG
            terms.append(f"{name} 8 x {dense:,} x {n:,}")
            continue
        places, entries = _sparse_places(name, config, counts)
        size += LONG * (2 * places + 1 + entries) + DOUBLE * entries
        terms.append(f"{name} 8 x (2 x {places:,} + 1 + 2 x {entries:,})")
    return size, " + ".join(terms)


def kernel_bytes(
    config: Config, activities: int, users: int, cells: int = CELLS_PER_BLOCK
) -> tuple[int, str]:
    """What one block of users against all activities takes in a Python worker: DOUBLE arrays of the
    affinities, of each retriever's scores and ranks, of the blend, and temporary ones; beside it
    the candidates of the block before."""
    height = min(users, max(1, cells // max(1, activities)))
    kept = min(config.recommend.candidates, activities)
    fields = len(affinity_columns(config.features)) + 2 * len(config.retrieval.weights) + 1
    size = DOUBLE * height * (activities * (fields + TEMPORARIES) + kept * fields)
    return size, (
        f"8 x {height:,} users x ({activities:,} activities x ({fields} fields + {TEMPORARIES}) + "
        f"{kept:,} candidates x {fields})"
    )


def audience_bytes(rows: int, user: int) -> tuple[int, str]:
    """What the audiences of one task take in a Python worker at most, while ``rows`` are looked
    through for those that can go: Arrow rows of two ids and two DOUBLE, those that stay beside
    them, and their order.

    Parameters
    ----------
    user
        Bytes of a user's id; those of an activity's are taken to be as many.
    """
    row = 2 * (user + INT) + 2 * DOUBLE
    size = rows * AUDIENCE_COPIES * row
    return size, f"{rows:,} rows x {row} bytes x {AUDIENCE_COPIES}"


def gram_bytes(cells: int) -> int:
    """What a block of X'X (:mod:`activityrec.retrieval.gram`) takes in a Python worker when no cell
    is zero: a DOUBLE and an INT and their places, and beside them what is added and the sums."""
    return cells * 6 * (DOUBLE + INT + INT)


def _dense_width(name: str, config: Config, counts: Counts) -> int | None:
    """Places of the dense vectors of activities; None where they are sparse."""
    retrieval = config.retrieval
    if name == "als":
        return retrieval.als.rank
    if name == "ease":
        return min(counts.products, retrieval.ease.max_items)
    if name == "bayes":
        return retrieval.bayes.max_features + 1
    return None


def _sparse_places(name: str, config: Config, counts: Counts) -> tuple[int, int]:
    """Places at which any activity has a value, and values in all, at most."""
    retrieval, n = config.retrieval, counts.activities
    if name == "content":
        return retrieval.content.features, n * retrieval.content.features
    if name == "popularity":
        places = max(retrieval.segments.sizes) if retrieval.popularity.by_segment else 1  # type: ignore[union-attr]
        return places, n * places
    if name == "item_knn":
        entries = min(counts.eligible * retrieval.item_knn.neighbours, n * counts.products)
        return min(counts.products, entries), entries
    return counts.eligible_products, counts.eligible


def vector_bytes(name: str, config: Config, counts: Counts) -> int:
    """Of one user, at most: dense FLOATs, or an index and a FLOAT for each place."""
    retrieval = config.retrieval
    if name == "als":
        return FLOAT * retrieval.als.rank
    places = {"bayes": retrieval.bayes.max_features + 1, "content": retrieval.content.features,
              "popularity": 1}  # fmt: skip
    return (INT + FLOAT) * places.get(name, counts.items_per_user)


def words(size: int) -> int:
    return 8 * ceil(size / 8)
