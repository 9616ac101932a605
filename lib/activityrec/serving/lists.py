"""The best of the candidates: a list for each user, an audience for each activity."""

from collections.abc import Callable, Collection, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from activityrec.retrieval.spread import Spread, spread
from activityrec.serving.audience import Audience
from activityrec.serving.blocks import (
    REASONS,
    Entries,
    ListRules,
    block_of,
    contending,
    keys_of,
    listed,
)

Batches = Iterator[pa.RecordBatch]

ADDED = {
    "rank": pa.int32(),
    "propensity": pa.float64(),
    "excluded_by": pa.string(),
    "listed": pa.string(),
}
BY_ORDER = ListRules()
"""Lists in the order of scores, with nothing told of what is not in them."""


def ranked_lists(
    candidates: DataFrame, k: int, audience_size: int, rules: ListRules = BY_ORDER
) -> DataFrame:
    """The list of each user, and the best users of each activity.

    The candidates pass once, in the partitions where they were made: the rows of a user must
    stand together. A worker holds one batch and, for each activity, ``audience_size`` users.

    Parameters
    ----------
    candidates
        As :func:`activityrec.serving.blocks.block_of` takes them, with any further columns.

    Returns
    -------
    DataFrame
        The columns of ``candidates`` with ``rank``, ``propensity``, ``excluded_by`` and
        ``listed``. ``listed`` is ``user`` for the rows of lists, which have a ``propensity``: the
        probability with which the slot chose the activity given the slots above it. It is
        ``activity`` for rows of an audience, which have ids and scores alone, ranked within the
        partition, best first by score, then by id; with ``rules.floors`` without those below. With
        ``rules.explain`` it is ``excluded`` for what would have entered a list but for the rule
        ``excluded_by``; ``rank`` is the place that it would have had.
    """
    made = mapper(spread(candidates.sparkSession, rules), k, audience_size)
    added = "rank INT, propensity DOUBLE, excluded_by STRING, listed STRING"
    return candidates.mapInArrow(made, f"{_schema(candidates)}, {added}")


def contenders(
    candidates: DataFrame, k: int, limited: Collection[str], rules: ListRules = BY_ORDER
) -> DataFrame:
    """Who would have an activity with an inventory in their list: activity_id, ``order_key``."""
    few = pa.array(sorted(limited), pa.string())

    def compute(batches: Batches) -> Batches:
        for rows in whole_users(batches):
            block = block_of(rows, rules, k)
            cells = np.nonzero(contending(block))
            names = rows.column("activity_id").take(pa.array(block.row[cells])).combine_chunks()
            table = pa.table({"activity_id": names, "order_key": keys_of(block)[cells]})
            yield from table.filter(pc.is_in(names, few)).to_batches()

    return candidates.mapInArrow(compute, "activity_id STRING, order_key BIGINT")


def audiences(ranked: DataFrame, audience_size: int, places: Column | None = None) -> DataFrame:
    """Merge the partitions' audiences: rows of at most partitions × ``audience_size`` users.

    Parameters
    ----------
    places
        To how many users an activity may be recommended; NULL: to any number.
    """
    best = Window.partitionBy("activity_id").orderBy(F.desc("score"), "user_id")
    size = F.least(F.lit(audience_size), F.lit(None) if places is None else places)
    return (
        ranked.where("listed = 'activity'")
        .withColumn("rank", F.row_number().over(best))
        .where(F.col("rank") <= size)
    )


def whole_users(batches: Batches) -> Iterator[pa.Table]:
    """The rows of the batches, cut so that no user is in two tables."""
    held: pa.Table | None = None
    for batch in batches:
        if not batch.num_rows:
            continue
        rows = pa.Table.from_batches([batch])
        rows = rows if held is None else pa.concat_tables([held, rows])
        # The last user may go on in the next batch.
        users = rows.column("user_id")
        last = pc.index(users, users[-1]).as_py()
        held = rows.slice(last)
        if last:
            yield rows.slice(0, last)
    if held is not None:
        yield held


def mapper(rules: Spread[ListRules], k: int, audience_size: int) -> Callable[[Batches], Batches]:
    """The function of :func:`ranked_lists` for ``mapInArrow``."""

    def compute(batches: Batches) -> Batches:
        mine = rules.value()
        audience = Audience(audience_size, mine.floors)
        schema = None
        for rows in whole_users(batches):
            schema = rows.schema
            audience.add(rows)
            lists, left_out = listed(block_of(rows, mine, k), mine, k)
            yield from _emit(rows, lists, "user")
            yield from _emit(rows, left_out, "excluded")
        if schema is not None:
            kept, rank = audience.best()
            for field in schema:
                if field.name not in kept.column_names:
                    kept = kept.append_column(field, pa.nulls(kept.num_rows, field.type))
            entries = Entries(np.arange(len(rank)), rank, np.full(len(rank), np.nan))
            yield from _emit(kept.select(schema.names), entries, "activity")

    return compute


def _emit(rows: pa.Table, entries: Entries, where: str) -> Batches:
    if not len(entries.row):
        return
    nothing = pa.nulls(len(entries.row))
    added = {
        "rank": pa.array(entries.rank),
        "propensity": nothing if where != "user" else pa.array(entries.extra),
        "excluded_by": nothing
        if where != "excluded"
        else pa.array(REASONS, pa.string()).take(pa.array(entries.extra)),
        "listed": pa.array([where] * len(entries.row)),
    }
    table = rows.take(pa.array(entries.row))
    for name, kind in ADDED.items():
        table = table.append_column(name, added[name].cast(kind))
    yield from table.combine_chunks().to_batches()


def _schema(rows: DataFrame) -> str:
    return ", ".join(f"{f.name} {f.dataType.simpleString()}" for f in rows.schema)
