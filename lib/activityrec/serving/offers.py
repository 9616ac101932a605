"""The best offers and products of an activity for each user that it is recommended to."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec.arrow import Batches, groups_of
from activityrec.features.affinity import Floats
from activityrec.features.eligible import EligibleItems
from activityrec.features.pairs import CELLS_PER_BLOCK, ragged
from activityrec.serving.lists import whole_users
from activityrec.serving.offer_scores import (
    ActivityProducts,
    Catalogue,
    measured_on,
    offer_scores,
    product_scores,
)


def catalogue(
    items: EligibleItems,
    activity_products: DataFrame,
    item_vectors: DataFrame,
    spent: DataFrame,
    days: int,
) -> Catalogue:
    """Collect what is eligible in the activities of ``items``, with the products' factors.

    Parameters
    ----------
    spent
        As :func:`average_spend` gives it.
    days
        That the log covers.
    """
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
    money = products.join(spent, on="product_id", how="inner").select("product_no", "spend")
    averages = money.toPandas()
    count = len(items.product_ids)
    rank = len(rows["vector"].iloc[0]) if len(rows) else 0
    vectors = np.zeros((count, rank), dtype=np.float32)
    popularity = np.zeros(count)
    if len(rows):
        vectors[rows["product_no"]] = np.stack(rows["vector"].to_list())
        popularity[rows["product_no"]] = rows["users"] / (rows["users"].max() + 1)
    spend = np.zeros(count)
    spend[averages["product_no"]] = averages["spend"]
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
        spend,
        days,
        {str(name): _one_activity(part) for name, part in eligible.groupby("activity_id")},
    )


def average_spend(daily: DataFrame, kind: str | None, users: int) -> DataFrame:
    """product_id, ``spend``: money of events of this kind, by user of all ``users``.

    Parameters
    ----------
    daily
        ``features.user_daily`` before the day.
    """
    return (
        daily.where((F.col("event_type") == F.lit(kind)) & F.col("product_id").isNotNull())
        .groupBy("product_id")
        .agg((F.sum("amount") / F.lit(max(1, users))).alias("spend"))
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
    An offer scores by the money that they, and others, spent on its products, see
    :func:`activityrec.serving.offer_scores.offer_scores`.

    Parameters
    ----------
    lists
        Rows with user_id and activity_id, those of a user one after the other.
    histories
        As :func:`activityrec.features.pairs.histories` gives them, at one snapshot.
    user_vectors
        ``features.user_vectors`` of one fit.
    """
    listed = lists.schema.simpleString().removeprefix("struct<").removesuffix(">")
    row = f"struct<{listed}>"
    users = (
        lists.mapInArrow(_by_user, f"user_id STRING, rows array<{row}>")
        .join(histories.select("user_id", "by_product"), on="user_id", how="left")
        .join(
            user_vectors.where("retriever = 'als'").select("user_id", "indices", "vector"),
            on="user_id",
            how="left",
        )
    )
    schema = f"rows array<{row}>, offers array<array<string>>, products array<array<string>>"
    best = users.mapInArrow(_mapper(catalogue, purchase_type, n_offers, n_products), schema)
    zipped = F.arrays_zip("rows", "offers", "products")
    return best.select(F.explode(zipped).alias("_")).select("_.rows.*", "_.offers", "_.products")


def _by_user(batches: Batches) -> Batches:
    """A row for each user, with an array of theirs."""
    for table in whole_users(batches):
        rows = table.to_struct_array().combine_chunks()
        user = rows.field("user_id").to_numpy(zero_copy_only=False)
        starts = np.flatnonzero(np.append(True, user[1:] != user[:-1]))
        offsets = pa.array(np.append(starts, len(user)), pa.int32())
        lists = pa.ListArray.from_arrays(offsets, rows)
        yield pa.RecordBatch.from_arrays(
            [rows.field("user_id").take(pa.array(starts)), lists], names=["user_id", "rows"]
        )


def _mapper(
    catalogue: Catalogue, kind: str | None, n_offers: int, n_products: int
) -> Callable[[Batches], Batches]:
    count, amount = (f"{kind}_count", f"{kind}_amount") if kind else ("", "")

    def compute(batches: Batches) -> Batches:
        for batch in batches:
            rows = batch.column("rows")
            lengths = rows.value_lengths().to_numpy()
            user_of = np.repeat(np.arange(batch.num_rows), lengths)
            offers: list[list[str]] = [[] for _ in user_of]
            products: list[list[str]] = [[] for _ in user_of]
            owned, measures = ragged(batch.column("by_product"))
            bought = {name: measures[name] for name in (count, amount) if name in measures}
            listed = pa.RecordBatch.from_struct_array(rows.flatten())
            for (name,), places in groups_of(listed, ["activity_id"]):
                part = catalogue.activities.get(str(name))
                if part is None:
                    continue
                step = max(1, CELLS_PER_BLOCK // len(part.product_no))
                for start in range(0, len(places), step):
                    chosen = places[start : start + step]
                    users = user_of[chosen]
                    did = measured_on(part.product_no, users, owned, bought)
                    scores = product_scores(batch, users, did.get(count), part, catalogue)
                    worth = offer_scores(scores, did.get(amount), part, catalogue)
                    for place, best in zip(chosen, _names(scores, part, catalogue, n_products),
                                           strict=True):  # fmt: skip
                        products[place] = best
                    for place, best in zip(chosen, _offers(worth, part, n_offers), strict=True):
                        offers[place] = best
            yield pa.RecordBatch.from_arrays(
                [rows, _nested(offers, lengths), _nested(products, lengths)],
                names=["rows", "offers", "products"],
            )

    return compute


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
    best = scores[:, [place for place, _ in named]]
    order = np.argsort(-best, axis=1, kind="stable")[:, :n]
    return [[named[place][1] for place in row] for row in order]


def _nested(values: list[list[str]], lengths: npt.NDArray[np.int32]) -> pa.ListArray:
    """One array of strings a row of a list, grouped by user."""
    inner = pa.array(values, pa.list_(pa.string()))
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), inner)
