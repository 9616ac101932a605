"""The best of the candidates: a list for each user, an audience for each activity."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

Batches = Iterator[pa.RecordBatch]


def ranked_lists(candidates: DataFrame, k: int, audience_size: int) -> DataFrame:
    """Keep the best k activities of each user and the best users of each activity.

    The candidates pass once, in the partitions where they were made: the rows of a user must
    stand together. A worker holds one batch and, for each activity, ``audience_size`` users.

    Returns
    -------
    DataFrame
        The columns of ``candidates`` with ``rank`` and ``listed``: ``user`` for rows of a
        user's list, ``activity`` for rows of an audience, there ranked within the partition.
        Best first is by score, then by id.
    """
    schema = ", ".join(
        [
            *[f"{f.name} {f.dataType.simpleString()}" for f in candidates.schema],
            "rank INT, listed STRING",
        ]
    )
    return candidates.mapInArrow(_mapper(k, audience_size), schema)


def audiences(ranked: DataFrame, audience_size: int) -> DataFrame:
    """Merge the partitions' audiences: rows of at most partitions × ``audience_size`` users."""
    best = Window.partitionBy("activity_id").orderBy(F.desc("score"), "user_id")
    return (
        ranked.where("listed = 'activity'")
        .withColumn("rank", F.row_number().over(best))
        .where(F.col("rank") <= audience_size)
    )


def _mapper(k: int, audience_size: int) -> Callable[[Batches], Batches]:
    def compute(batches: Batches) -> Batches:
        schema = None
        open_user: list[pd.DataFrame] = []
        audience: list[pd.DataFrame] = []
        for batch in batches:
            schema = batch.schema
            rows = batch.to_pandas()
            if rows.empty:
                continue
            audience = _trim([*audience, rows], audience_size)
            rows = pd.concat([*open_user, rows], ignore_index=True)
            # The last user may go on in the next batch.
            last = rows["user_id"] == rows["user_id"].iloc[-1]
            open_user = [rows[last]]
            yield from _emit(_best(rows[~last], "user_id", "activity_id", k), "user", schema)
        if schema is not None and open_user:
            rest = pd.concat(open_user, ignore_index=True)
            yield from _emit(_best(rest, "user_id", "activity_id", k), "user", schema)
            merged = pd.concat(audience, ignore_index=True)
            best = _best(merged, "activity_id", "user_id", audience_size)
            yield from _emit(best, "activity", schema)

    return compute


def _trim(parts: list[pd.DataFrame], audience_size: int) -> list[pd.DataFrame]:
    """Join the parts and cut them back once they have grown to twice what is kept."""
    together = pd.concat(parts, ignore_index=True)
    limit = 2 * audience_size * together["activity_id"].nunique()
    if len(together) <= limit:
        return [together]
    return [_best(together, "activity_id", "user_id", audience_size).drop(columns="rank")]


def _best(rows: pd.DataFrame, group: str, tie: str, n: int) -> pd.DataFrame:
    ordered = rows.sort_values([group, "score", tie], ascending=[True, False, True], kind="stable")
    rank = ordered.groupby(group, sort=False).cumcount() + 1
    return ordered.assign(rank=rank.astype(np.int32))[rank <= n]


def _emit(rows: pd.DataFrame, listed: str, schema: pa.Schema) -> Batches:
    if rows.empty:
        return
    fields = [*schema, pa.field("rank", pa.int32()), pa.field("listed", pa.string())]
    table = pa.Table.from_pandas(
        rows.assign(listed=listed), schema=pa.schema(fields), preserve_index=False
    )
    yield from table.to_batches()
