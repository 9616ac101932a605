"""The best offers and products of an activity for each user that it is recommended to."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec.features.affinity import Floats, Ints
from activityrec.features.pairs import CELLS_PER_BLOCK, EligibleItems
from activityrec.retrieval.scores import ActivitySideVectors, score_block

Batches = Iterator[pa.RecordBatch]


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

    ``vectors`` is (products, rank), zeros where a product has no factor; ``popularity``
    (products,) lies in [0, 1).
    """

    product_ids: tuple[str, ...]
    vectors: npt.NDArray[np.float32]
    popularity: Floats
    activities: dict[str, ActivityProducts]


def catalogue(
    items: EligibleItems, activity_products: DataFrame, item_vectors: DataFrame
) -> Catalogue:
    """Collect what is eligible in the activities of ``items``, with the products' factors."""
    products = items.products
    rows = (
        products.join(
            item_vectors.where("item_kind = 'product' AND retriever = 'als'"),
            on=F.col("item_id") == F.col("product_id"),
            how="inner",
        )
        .select("product_no", "users", "vector")
        .toPandas()
    )
    count = len(items.product_ids)
    rank = len(rows["vector"].iloc[0]) if len(rows) else 0
    vectors = np.zeros((count, rank), dtype=np.float32)
    popularity = np.zeros(count)
    if len(rows):
        vectors[rows["product_no"]] = np.stack(rows["vector"].to_list())
        popularity[rows["product_no"]] = rows["users"] / (rows["users"].max() + 1)
    names = [(name,) for name in items.side.activity_ids]
    wanted = activity_products.sparkSession.createDataFrame(names, "activity_id STRING")
    eligible = (
        activity_products.join(F.broadcast(wanted), on="activity_id", how="left_semi")
        .join(F.broadcast(products), on="product_id", how="inner")
        .select("activity_id", "offer_id", "product_no")
        .orderBy("activity_id", "offer_id", "product_no")
        .toPandas()
    )
    return Catalogue(
        items.product_ids,
        vectors,
        popularity,
        {str(name): _one_activity(part) for name, part in eligible.groupby("activity_id")},
    )


def _one_activity(rows) -> ActivityProducts:  # type: ignore[no-untyped-def]
    offers = rows["offer_id"].fillna("").to_numpy()
    starts = np.flatnonzero(np.concatenate(([True], offers[1:] != offers[:-1])))
    ids = tuple(offers[start] or None for start in starts)
    return ActivityProducts(rows["product_no"].to_numpy(dtype=np.int64), starts, ids)


def with_best_offers(
    lists: DataFrame,
    histories: DataFrame,
    user_vectors: DataFrame,
    catalogue: Catalogue,
    purchase_type: str | None,
    n_offers: int,
    n_products: int,
) -> DataFrame:
    """Add ``offers`` and ``products``, the user's best of the activity, best first.

    A product scores the user's past purchases of it, plus its ALS score, plus a little for
    its popularity: what they bought most often comes first, then what is like what they bought.
    An offer scores as its best product.

    Parameters
    ----------
    lists
        Rows with user_id and activity_id.
    histories
        As :func:`activityrec.features.pairs.histories` gives them, at one snapshot.
    user_vectors
        ``features.user_vectors`` of one fit.
    """
    carried = F.collect_list(F.struct(*lists.columns)).alias("rows")
    users = (
        lists.groupBy("user_id")
        .agg(carried)
        .join(histories.select("user_id", "by_product"), on="user_id", how="left")
        .join(
            user_vectors.where("retriever = 'als'").select("user_id", "indices", "vector"),
            on="user_id",
            how="left",
        )
    )
    listed = lists.schema.simpleString().removeprefix("struct<").removesuffix(">")
    row = f"struct<{listed}>"
    schema = f"rows array<{row}>, offers array<array<string>>, products array<array<string>>"
    measure = f"{purchase_type}_count" if purchase_type else None
    best = users.mapInArrow(_mapper(catalogue, measure, n_offers, n_products), schema)
    zipped = F.arrays_zip("rows", "offers", "products")
    return best.select(F.explode(zipped).alias("_")).select("_.rows.*", "_.offers", "_.products")


def _mapper(
    catalogue: Catalogue, measure: str | None, n_offers: int, n_products: int
) -> Callable[[Batches], Batches]:
    def compute(batches: Batches) -> Batches:
        for batch in batches:
            rows = batch.column("rows")
            activities = rows.flatten().field("activity_id").to_pylist()
            lengths = np.diff(rows.offsets.to_numpy())
            user_of = np.repeat(np.arange(batch.num_rows), lengths)
            offers: list[list[str]] = [[] for _ in activities]
            products: list[list[str]] = [[] for _ in activities]
            owned = _owned(batch.column("by_product"), measure)
            for name in sorted(set(activities) & set(catalogue.activities)):
                places = np.flatnonzero(np.array(activities) == name)
                part = catalogue.activities[name]
                step = max(1, CELLS_PER_BLOCK // len(part.product_no))
                for start in range(0, len(places), step):
                    chosen = places[start : start + step]
                    scores = _scores(batch, user_of[chosen], owned, part, catalogue)
                    for place, best in zip(chosen, _names(scores, part, catalogue, n_products),
                                           strict=True):  # fmt: skip
                        products[place] = best
                    for place, best in zip(chosen, _offers(scores, part, n_offers), strict=True):
                        offers[place] = best
            yield pa.RecordBatch.from_arrays(
                [rows, _nested(offers, lengths), _nested(products, lengths)],
                names=["rows", "offers", "products"],
            )

    return compute


def _owned(column: pa.ListArray, measure: str | None) -> tuple[Ints, Ints, Floats]:
    """(user, product number, purchases) of all users of a batch."""
    lengths = np.diff(column.offsets.to_numpy())
    flat = column.flatten()
    user = np.repeat(np.arange(len(column)), np.where(lengths > 0, lengths, 0))
    if measure is None or not len(flat):
        return user[:0], user[:0], np.zeros(0)
    number, *values = flat.flatten()
    place = [field.name for field in column.type.value_type].index(measure) - 1
    return (
        user,
        number.to_numpy(zero_copy_only=False).astype(np.int64),
        values[place].to_numpy(zero_copy_only=False),
    )


def _scores(
    batch: pa.RecordBatch,
    users: Ints,
    owned: tuple[Ints, Ints, Floats],
    part: ActivityProducts,
    catalogue: Catalogue,
) -> Floats:
    """(users, rows of the activity)."""
    numbers = part.product_no
    indices, vectors = (batch.column(n).take(pa.array(users)) for n in ("indices", "vector"))
    scores = score_block(indices, vectors, ActivitySideVectors.dense(catalogue.vectors[numbers]))
    scores += 0.001 * catalogue.popularity[numbers]
    row_of = np.full(batch.num_rows, -1)
    row_of[users] = np.arange(len(users))
    user, product, count = owned
    # The activity's rows of each product that a user bought: sorted by product, a run each.
    by_product = np.argsort(numbers, kind="stable")
    first = np.searchsorted(numbers[by_product], product, side="left")
    runs = np.searchsorted(numbers[by_product], product, side="right") - first
    runs[row_of[user] < 0] = 0
    within = np.arange(runs.sum()) - np.repeat(np.cumsum(runs) - runs, runs)
    columns = by_product[np.repeat(first, runs) + within]
    scores[np.repeat(row_of[user], runs), columns] += np.repeat(count, runs)
    return scores


def _names(scores: Floats, part: ActivityProducts, catalogue: Catalogue, n: int) -> list[list[str]]:
    # A product of several offers has several rows with one score: take enough, keep the first.
    order = np.argsort(-scores, axis=1, kind="stable")
    named = []
    for row in order:
        numbers: dict[int, None] = {}
        for place in row:
            if len(numbers) == n:
                break
            numbers.setdefault(int(part.product_no[place]))
        named.append([catalogue.product_ids[number] for number in numbers])
    return named


def _offers(scores: Floats, part: ActivityProducts, n: int) -> list[list[str]]:
    named = [(place, name) for place, name in enumerate(part.offer_ids) if name is not None]
    best = np.maximum.reduceat(scores, part.offer_start, axis=1)[:, [place for place, _ in named]]
    order = np.argsort(-best, axis=1, kind="stable")[:, :n]
    return [[named[place][1] for place in row] for row in order]


def _nested(values: list[list[str]], lengths: npt.NDArray[np.int32]) -> pa.ListArray:
    """One array of strings a row of a list, grouped by user."""
    inner = pa.array(values, pa.list_(pa.string()))
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), inner)
