"""What a retriever is: a function that turns what is known into two tables of vectors.

``fit(known, parameters)`` gives every user and every item (product or activity) a vector, dense or
sparse; the score of a user for an item is their dot product. Nothing else is asked of a
retriever: activities take the vectors of their products, and one kernel scores, masks and keeps
the best. A new one is a file with such a function, a section of parameters and a line in
:mod:`activityrec.retrieval.registry`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from pyspark.ml.base import Model
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec.errors import StateError

USER_COLUMNS = ("user_id", "indices", "vector")
ITEM_COLUMNS = ("item_kind", "item_id", "users", "indices", "vector")


@dataclass(frozen=True)
class Numbers:
    """``users``: (user_id, user_id_no); ``items``: (item_kind, item_id, item_id_no)."""

    users: DataFrame
    items: DataFrame


@dataclass(frozen=True)
class Known:
    """What was known before ``day``.

    Attributes
    ----------
    interactions
        user_id, item_kind, item_id, weight, see
        :func:`activityrec.retrieval.interactions.interactions`.
    numbers
        Of these users and items, and perhaps of later ones.
    daily
        ``features.user_daily`` before the day.
    users, products, activities
        The clean tables: who users are, and what there is and is planned.
    segments
        user_id, segment, see :mod:`activityrec.retrieval.segments`; None where none are wanted.
    """

    day: date
    interactions: DataFrame
    numbers: Numbers
    daily: DataFrame
    users: DataFrame
    products: DataFrame
    activities: DataFrame
    segments: DataFrame | None = None
    kept: list[DataFrame] = field(default_factory=list)

    def keep(self, rows: DataFrame) -> DataFrame:
        """Persist rows that a fit looks at more than once, until :meth:`release`."""
        self.kept.append(rows.persist())
        return self.kept[-1]

    def release(self) -> None:
        """Drop what fits kept in memory, once their vectors are written."""
        while self.kept:
            self.kept.pop().unpersist()

    def numbered(self, kinds: Sequence[str]) -> DataFrame:
        """user, item (their numbers), weight: the interactions with items of these kinds.

        Raises
        ------
        StateError
            There are none.
        """
        rows = self.interactions.where(F.col("item_kind").isin(*kinds))
        if rows.isEmpty():
            raise StateError(
                f"no interactions before {self.day}: none of the event types in "
                f"interactions.weights happened on {' or '.join(f'a {kind}' for kind in kinds)}"
            )
        return (
            rows.join(self.numbers.users, on="user_id", how="inner")
            .join(self.numbers.items, on=["item_kind", "item_id"], how="inner")
            .select(F.col("user_id_no").alias("user"), F.col("item_id_no").alias("item"), "weight")
        )


@dataclass(frozen=True)
class Vectors:
    """The two tables of one fit.

    Attributes
    ----------
    users
        user_id, ``vector`` (array of floats) and ``indices``: the places of its values in a
        sparse vector, ascending; NULL for a dense one.
    items
        item_kind, item_id, ``users`` (how many interacted with it), indices, vector.
    model
        What MLlib fitted, to be kept in the registry: of items alone, because erasing a user
        cannot reach it.
    """

    users: DataFrame
    items: DataFrame
    model: Model | None = None


PROBABILITIES = frozenset({"bayes"})
"""The retrievers whose dot products are logarithms of probabilities up to a constant of the user:
the kernel turns them into probabilities that add up to one over the activities of the day."""

Fit = Callable[[Known, Any], Vectors]


def dense_indices() -> Column:
    """The ``indices`` of a dense vector."""
    return F.lit(None).cast("array<int>").alias("indices")


def interests(known: Known, rows: DataFrame) -> DataFrame:
    """Users as sparse vectors of their weights: user_id, indices (numbers of items), vector.

    Parameters
    ----------
    rows
        user, item, weight, as :meth:`Known.numbered` gives them.
    """
    return (
        rows.groupBy("user")
        .agg(sorted_terms())
        .join(known.numbers.users, on=F.col("user") == F.col("user_id_no"), how="inner")
        .select("user_id", *sparse("terms"))
    )


def sorted_terms(weight: str = "weight") -> Column:
    """Column, of a group: ``terms``, its (item, weight) in the order of items."""
    term = F.struct("item", F.col(weight).alias("weight"))
    return F.sort_array(F.collect_list(term)).alias("terms")


def sparse(terms: str) -> list[Column]:
    """``indices`` and ``vector`` of an array of (number, value), sorted."""
    number, value = F.col(terms)["item"], F.col(terms)["weight"]
    return [
        number.cast("array<int>").alias("indices"),
        value.cast("array<float>").alias("vector"),
    ]


def named_items(known: Known, vectors: DataFrame, rows: DataFrame) -> DataFrame:
    """Item vectors (item, indices, vector) under the ids of the business, with their users."""
    users = rows.groupBy("item").agg(F.count("*").alias("users"))
    return (
        vectors.join(users, on="item", how="inner")
        .join(known.numbers.items, on=F.col("item") == F.col("item_id_no"), how="inner")
        .select(*ITEM_COLUMNS)
    )
