"""What an activity's products, and its offers, are worth to users: blocks in NumPy."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from activityrec.features.affinity import Floats, Ints
from activityrec.retrieval.scores import ActivitySideVectors, score_block

_FLOOR = 0.01
"""Money per 30 days that is as good as none."""


@dataclass(frozen=True)
class ActivityProducts:
    """One activity's eligible products, ordered by offer.

    Attributes
    ----------
    product_no
        (rows,): number of the product; a product of two offers has two rows.
    offer_start
        (offers,): first row of each offer.
    offer_ids
        (offers,): None where the activity has no parts.
    """

    product_no: Ints
    offer_start: Ints
    offer_ids: tuple[str | None, ...]


@dataclass(frozen=True)
class Catalogue:
    """The products of the live activities, small enough to go to every worker.

    Attributes
    ----------
    vectors
        (products, rank): factors; zeros where a product has none.
    popularity
        (products,) in [0, 1).
    spend
        (products,): money that the average user spent on it.
    days
        That the log covers: money is compared per 30 days.
    spend_prior
        What everybody spends on average counts this much beside what the user does.
    breadth
        How much ln(1 + products) takes from an offer: money spread over many says less. Both are
        of a logistic regression on the offers used in The Complete Journey's earlier campaigns.
    """

    product_ids: tuple[str, ...]
    vectors: npt.NDArray[np.float32]
    popularity: Floats
    spend: Floats
    days: int
    activities: dict[str, ActivityProducts]
    spend_prior: float = 0.3
    breadth: float = 0.35


@dataclass(frozen=True)
class Owned:
    """What the users of a batch did with products: one entry for each user and product."""

    user: Ints
    product: Ints
    values: dict[str, Floats]

    @staticmethod
    def of(column: pa.ListArray, measures: list[str]) -> "Owned":
        """From ``by_product`` of :func:`activityrec.features.pairs.histories`."""
        lengths = np.diff(column.offsets.to_numpy())
        flat = column.flatten()
        user = np.repeat(np.arange(len(column)), np.where(lengths > 0, lengths, 0))
        if not measures or not len(flat):
            return Owned(user[:0], user[:0], {name: np.zeros(0) for name in measures})
        number, *values = flat.flatten()
        names = [field.name for field in column.type.value_type][1:]
        kept = {name: values[names.index(name)] for name in measures}
        return Owned(
            user,
            number.to_numpy(zero_copy_only=False).astype(np.int64),
            {name: array.to_numpy(zero_copy_only=False) for name, array in kept.items()},
        )

    def by_row(self, measure: str, users: Ints, numbers: Ints) -> Floats:
        """(users, rows): the measure of these users on the products of an activity's rows."""
        found = np.zeros((len(users), len(numbers)))
        row_of = np.full(max(self.user.max(initial=-1), users.max(initial=-1)) + 1, -1)
        row_of[users] = np.arange(len(users))
        # The activity's rows of each product that a user has: sorted by product, a run each.
        by_product = np.argsort(numbers, kind="stable")
        first = np.searchsorted(numbers[by_product], self.product, side="left")
        runs = np.searchsorted(numbers[by_product], self.product, side="right") - first
        runs[row_of[self.user] < 0] = 0
        within = np.arange(runs.sum()) - np.repeat(np.cumsum(runs) - runs, runs)
        columns = by_product[np.repeat(first, runs) + within]
        found[np.repeat(row_of[self.user], runs), columns] += np.repeat(self.values[measure], runs)
        return found


def product_scores(
    batch: pa.RecordBatch,
    users: Ints,
    owned: Owned,
    measure: str | None,
    part: ActivityProducts,
    catalogue: Catalogue,
) -> Floats:
    """(users, rows): past purchases, the ALS score, and a little for popularity."""
    numbers = part.product_no
    indices, vectors = (batch.column(n).take(pa.array(users)) for n in ("indices", "vector"))
    scores = score_block(indices, vectors, ActivitySideVectors.dense(catalogue.vectors[numbers]))
    scores += 0.001 * catalogue.popularity[numbers]
    if measure is not None:
        scores += owned.by_row(measure, users, numbers)
    return scores


def offer_scores(
    products: Floats, spent: Floats | None, part: ActivityProducts, catalogue: Catalogue
) -> Floats:
    """(users, offers): how much users spend on an offer's products.

    ln(30 / days × (own + spend_prior × average) + 0.01) - breadth × ln(1 + products),
    and a trace of the best product's score, which tells offers apart that nobody spent on.
    Without money (``spent`` None) the best product decides.

    Parameters
    ----------
    products
        As :func:`product_scores` gives them.
    spent
        (users, rows): the users' own money on each row's product.
    """
    best = np.maximum.reduceat(products, part.offer_start, axis=1)
    if spent is None:
        return best
    money = spent + catalogue.spend_prior * catalogue.spend[part.product_no]
    total = np.add.reduceat(money, part.offer_start, axis=1) * 30 / max(7, catalogue.days)
    count = np.diff([*part.offer_start, len(part.product_no)])
    return np.log(total + _FLOOR) - catalogue.breadth * np.log1p(count) + 1e-6 * best
