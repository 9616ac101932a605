"""Affinity of users and activities, from tables to Arrow batches and back."""

import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec.config import FeaturesConfig
from activityrec.features.affinity import (
    ActivitySide,
    Floats,
    Ints,
    Ragged,
    cells_of_products,
    sparse_products,
)
from activityrec.features.eligible import EligibleItems
from activityrec.features.history import days_before
from activityrec.features.users import KEY
from activityrec.tables import affinity_columns, user_activity_features

CELLS_PER_BLOCK = 2_000_000
"""Users times activities computed at once: 16 MB for each feature."""

ENTRIES_PER_BLOCK = 2_000_000
"""What the users of pairs computed at once own together, counted for each pair: some 70 MB."""

_SCOPES = {"eligible": "by_product", "category": "by_category"}
"""What of an activity a feature is about, as its name says, and the column of histories that it
is made from."""

_MEASURE = re.compile(r"_((?:count|amount|products)(?:_\d+d)?)$")
"""What follows the event type, which may hold underscores itself, in the name of a measure."""


def histories(
    population: DataFrame, daily: DataFrame, items: EligibleItems, features: FeaturesConfig
) -> DataFrame:
    """What each user had done with products at each snapshot, as arrays.

    Returns
    -------
    DataFrame
        snapshot_date, user_id of ``population``, which has each pair once; ``totals``: struct of
        the money of each affinity type on everything; ``by_product``: array of (product_no, a
        measure each); ``by_category``: array of (category_no, a measure each). Empty
        where nothing was done.
    """
    kinds = features.affinity_types
    if not kinds:
        nothing = "named_struct('_', 0) AS totals"
        empty = "cast(array() AS array<struct<{0}_no: int>>) AS by_{0}"
        return population.selectExpr(
            *KEY, nothing, empty.format("product"), empty.format("category")
        )
    of_types = daily.where(F.col("event_type").isin(kinds) & F.col("product_id").isNotNull())
    mine = of_types.join(population.select("user_id").distinct(), on="user_id", how="left_semi")
    # What a user did comes into one partition, and stays there until it is one row a snapshot.
    before = (F.col("_user") == F.col("user_id")) & (F.col("event_date") < F.col("snapshot_date"))
    past = (
        population.select(*KEY)
        .hint("shuffle_hash")
        .join(mine.withColumnRenamed("user_id", "_user"), on=before, how="left")
        .withColumn("_ago", days_before("snapshot_date", "event_date"))
        .groupBy(*KEY, "product_id")
        .agg(*_product_measures(features))
        .join(F.broadcast(items.products), on="product_id", how="left")
        .join(F.broadcast(items.categories), on="product_id", how="left")
    )
    product = F.struct("product_no", *product_measures(features))
    by_category = past.groupBy(*KEY, "category_no").agg(
        *[F.sum(name).alias(name) for name in category_measures(features)],
        F.collect_list(F.when(F.col("product_no").isNotNull(), product)).alias("_products"),
    )
    category = F.struct("category_no", *category_measures(features))
    totals = [F.sum(f"{kind}_amount").alias(kind) for kind in kinds]
    folded = by_category.groupBy(*KEY).agg(
        F.struct(*totals, F.lit(0).alias("_")).alias("totals"),
        F.flatten(F.collect_list("_products")).alias("by_product"),
        F.collect_list(F.when(F.col("category_no").isNotNull(), category)).alias("by_category"),
    )
    # Sorted, so that sums of floats come out the same whatever the partitioning.
    return folded.withColumns({name: F.sort_array(name) for name in _SCOPES.values()})


def category_measures(features: FeaturesConfig) -> list[str]:
    """Names of the measures kept by category: additive over products."""
    return [
        f"{kind}_{what}"
        for kind in features.affinity_types
        for what in ("count", "amount", "products")
    ]


def product_measures(features: FeaturesConfig) -> list[str]:
    """Names of the measures kept by product."""
    recent = [
        f"{kind}_{what}_{days}d"
        for kind in features.affinity_types
        for days in features.affinity_windows
        for what in ("count", "amount")
    ]
    return category_measures(features) + recent


def _product_measures(features: FeaturesConfig) -> list[Column]:
    measures = []
    for kind in features.affinity_types:
        mine = F.col("event_type") == kind
        measures += [
            _sum(mine, "events").alias(f"{kind}_count"),
            _sum(mine, "amount").alias(f"{kind}_amount"),
            F.max(F.when(mine, 1.0).otherwise(0.0)).alias(f"{kind}_products"),
        ]
        for days in features.affinity_windows:
            recent = mine & (F.col("_ago") <= days)
            measures += [
                _sum(recent, "events").alias(f"{kind}_count_{days}d"),
                _sum(recent, "amount").alias(f"{kind}_amount_{days}d"),
            ]
    return measures


def _sum(condition: Column, column: str) -> Column:
    return F.sum(F.when(condition, F.col(column).cast("double")).otherwise(0.0))


def affinity_blocks(
    batch: pa.RecordBatch, side: ActivitySide
) -> Iterator[tuple[pa.RecordBatch, dict[str, Floats]]]:
    """The affinity features of an Arrow batch of histories, in blocks of bounded size.

    Yields
    ------
    (RecordBatch, dict)
        Some rows of the batch, and feature name to (rows, activities).
    """
    width = len(side.activity_ids)
    height = max(1, CELLS_PER_BLOCK // max(1, width))
    for start in range(0, batch.num_rows, height):
        rows = batch.slice(start, height)
        products = [
            sparse_products(*ragged(rows.column(column)), matrix, width)
            for column, matrix in zip(_SCOPES.values(), side.matrices(), strict=True)
        ]
        yield rows, _affinity(products, rows.column("totals"), lambda money: money[:, None])


def affinity_of(
    batch: pa.RecordBatch, covered: Sequence[Ragged], cells: tuple[Ints, Ints]
) -> dict[str, Floats]:
    """The same features, of a few cells (row of the batch, place of the activity) alone.

    ``covered`` is that of the activities, see :meth:`ActivitySide.covered`.
    """
    products = [
        cells_of_products(*ragged(batch.column(column)), columns, cells)
        for column, columns in zip(_SCOPES.values(), covered, strict=True)
    ]
    return _affinity(products, batch.column("totals"), lambda money: money[cells[0]])


def _affinity(
    products: list[dict[str, Floats]], totals: pa.StructArray, spread: Callable[[Floats], Floats]
) -> dict[str, Floats]:
    """Names of features for the products of each scope, and shares of what a row spent;
    ``spread`` sets a value of each row beside the values of its products."""
    found = {
        _MEASURE.sub(rf"_{scope}_\1", name): values
        for scope, measured in zip(_SCOPES, products, strict=True)
        for name, values in measured.items()
    }
    for kind in [field.name for field in totals.type if field.name != "_"]:
        total = totals.field(kind).to_numpy(zero_copy_only=False)
        spent = spread(np.where(total > 0, total, 1.0))
        for scope in _SCOPES:
            found[f"{kind}_{scope}_share"] = found[f"{kind}_{scope}_amount"] / spent
    return found


def ragged(column: pa.ListArray) -> tuple[Ragged, dict[str, Floats]]:
    """An Arrow array of lists of structs (number, measures) as a ragged array and its values."""
    offsets = column.offsets.to_numpy().astype(np.int64)
    number, *measures = column.flatten().flatten()
    names = [field.name for field in column.type.value_type][1:]
    owned = Ragged(offsets - offsets[0], number.to_numpy(zero_copy_only=False).astype(np.int64))
    return owned, {
        name: values.to_numpy(zero_copy_only=False)
        for name, values in zip(names, measures, strict=True)
    }


def wanted_activities(pairs: DataFrame, activity_ids: Sequence[str]) -> DataFrame:
    """snapshot_date, user_id and ``wanted``: the sorted places in ``activity_ids`` of the
    activities of their pairs; pairs with others are left out."""
    numbers = pairs.sparkSession.createDataFrame(
        [(name, place) for place, name in enumerate(activity_ids)],
        "activity_id STRING, activity_no INT",
    )
    return (
        pairs.join(F.broadcast(numbers), on="activity_id", how="inner")
        .groupBy(*KEY)
        .agg(F.sort_array(F.collect_set("activity_no")).alias("wanted"))
    )


def pair_features(
    pairs: DataFrame, histories: DataFrame, side: ActivitySide, features: FeaturesConfig
) -> DataFrame:
    """``features.user_activity_features`` of given pairs.

    Parameters
    ----------
    pairs
        (snapshot_date, user_id, activity_id); activities outside ``side`` are left out.
    histories
        As :func:`histories` gives them.
    """
    wanted = wanted_activities(pairs, side.activity_ids)
    schema = ", ".join(f"{c.name} {c.type}" for c in user_activity_features(features).columns)
    names = [column.name for column in affinity_columns(features)]
    return histories.join(wanted, on=KEY, how="inner").mapInArrow(pair_mapper(side, names), schema)


def pair_mapper(
    side: ActivitySide, names: list[str]
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The function of :func:`pair_features` for ``mapInArrow``; ``names`` are the features."""

    def compute(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        activity_ids, covered = pa.array(side.activity_ids, pa.string()), side.covered()
        for batch in batches:
            wanted = batch.column("wanted")
            users = np.repeat(np.arange(batch.num_rows), wanted.value_lengths().to_numpy())
            activities = wanted.flatten().to_numpy().astype(np.int64)
            owned = batch.column("by_product").value_lengths().to_numpy()
            for block in _blocks(1 + owned[users]):
                user, activity = users[block], activities[block]
                found = affinity_of(batch, covered, (user, activity))
                yield pa.RecordBatch.from_arrays(
                    [
                        batch.column("snapshot_date").take(pa.array(user)),
                        batch.column("user_id").take(pa.array(user)),
                        activity_ids.take(pa.array(activity)),
                        *[pa.array(found[name]) for name in names],
                    ],
                    names=[*KEY, "activity_id", *names],
                )

    return compute


def _blocks(sizes: Ints) -> Iterator[slice]:
    """Cut a range, of which each place has a size, where a block is full; none is empty."""
    number = np.cumsum(sizes) // ENTRIES_PER_BLOCK
    edges = np.flatnonzero(np.diff(number, prepend=-1))
    for start, stop in zip(edges, [*edges[1:], len(sizes)], strict=True):
        yield slice(start, stop)
