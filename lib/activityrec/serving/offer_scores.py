"""What an activity's products, and its offers, are worth to users: blocks in NumPy."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from activityrec.features.affinity import Floats, Ints, Ragged
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


def measured_on(
    numbers: Ints, users: Ints, owned: Ragged, measures: dict[str, Floats]
) -> dict[str, Floats]:
    """What some users of a batch did with the products of an activity's rows.

    Parameters
    ----------
    numbers
        (rows,): number of each row's product.
    users
        (users,): their rows in the batch.
    owned, measures
        The products of each user of the batch, each once, and a value for each of these by
        measure, as :func:`activityrec.features.pairs.ragged` gives them.

    Returns
    -------
    dict
        Measure to (users, rows).
    """
    products, product = np.unique(numbers, return_inverse=True)
    rows = Ragged.from_pairs(product, np.arange(len(numbers)), len(products))
    entries = owned.entries(users)
    user = np.repeat(np.arange(len(users)), owned.lengths()[users])
    place = np.searchsorted(products, owned.items[entries])
    met = np.append(products, -1)[place] == owned.items[entries]
    user, entries, place = user[met], entries[met], place[met]
    runs = rows.lengths()[place]
    cells = np.repeat(user, runs), rows.items[rows.entries(place)]
    found = {name: np.zeros((len(users), len(numbers))) for name in measures}
    for name, values in measures.items():
        found[name][cells] = np.repeat(values[entries], runs)
    return found


def product_scores(
    batch: pa.RecordBatch,
    users: Ints,
    bought: Floats | None,
    part: ActivityProducts,
    catalogue: Catalogue,
) -> Floats:
    """(users, rows): past purchases, the ALS score, and a little for popularity.

    ``bought`` (users, rows) is how often they bought each row's product.
    """
    numbers = part.product_no
    indices, vectors = (batch.column(n).take(pa.array(users)) for n in ("indices", "vector"))
    scores = score_block(indices, vectors, ActivitySideVectors.dense(catalogue.vectors[numbers]))
    scores += 0.001 * catalogue.popularity[numbers]
    return scores if bought is None else scores + bought


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
