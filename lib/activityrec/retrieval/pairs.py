"""Scores and ranks of given pairs, as the kernel would have given them on the day."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec.config import RetrievalConfig
from activityrec.days import first_day_from
from activityrec.features.affinity import Ints
from activityrec.features.pairs import CELLS_PER_BLOCK, wanted_activities
from activityrec.features.users import KEY
from activityrec.retrieval.fits import last_fit
from activityrec.retrieval.scores import ranks, score_block
from activityrec.retrieval.sides import (
    Sides,
    activity_sides,
    chosen,
    no_sides,
    user_columns,
    users_side,
)
from activityrec.retrieval.spread import Spread, spread

Batches = Iterator[pa.RecordBatch]


@dataclass(frozen=True)
class Calendar:
    """Activities by number, and the days on which each is a candidate: [first, until), as days
    since 1970."""

    activity_ids: tuple[str, ...]
    first: Ints
    until: Ints

    def on(self, day: int) -> Ints:
        """Numbers of the candidates of a day."""
        return np.flatnonzero((self.first <= day) & (day < self.until))


def calendar(activities: DataFrame, planning_days: int) -> Calendar:
    """Collect ``clean.activities`` with the days of
    :func:`activityrec.ingest.horizon.is_live`."""
    first, until = (F.unix_date(first_day_from(instant)) for instant in ("start_ts", "end_ts"))
    rows = (
        activities.select(
            "activity_id",
            (first - planning_days).alias("first"),
            F.coalesce(until, F.lit(2**31 - 1)).alias("until"),
        )
        .orderBy("activity_id")
        .toPandas()
    )
    return Calendar(
        tuple(rows["activity_id"]),
        rows["first"].to_numpy(dtype=np.int64),
        rows["until"].to_numpy(dtype=np.int64),
    )


def pair_scores(
    pairs: DataFrame,
    fits: Sequence[date],
    users: DataFrame,
    activities: DataFrame,
    when: Calendar,
    names: Sequence[str],
) -> DataFrame:
    """Scores of the last fit by the snapshot's day, ranks among that day's candidates.

    Parameters
    ----------
    pairs
        (snapshot_date, user_id, activity_id).
    users, activities
        ``features.user_vectors`` of the fits, and their activity vectors.

    Returns
    -------
    DataFrame
        The pairs with ``<name>_score`` (0 before the first fit, and for what it does not know)
        and ``<name>_rank`` for each retriever.
    """
    wanted = (
        wanted_activities(pairs, when.activity_ids)
        .withColumn("fitted_date", last_fit(fits))
        .join(users_side(users, names), on=["fitted_date", "user_id"], how="left")
        .select(*KEY, "fitted_date", "wanted", *user_columns(names))
        # Rows of one day together: they share their candidates.
        .sortWithinPartitions("snapshot_date", "user_id")
    )
    sides = activity_sides(activities, when.activity_ids, names)
    columns = [f"{name}_{part} DOUBLE" for name in names for part in ("score", "rank")]
    schema = ", ".join(["snapshot_date DATE, user_id STRING, activity_id STRING", *columns])
    mapper = _mapper(spread(pairs.sparkSession, sides), when, list(names))
    return wanted.mapInArrow(mapper, schema)


def score_map(config: RetrievalConfig) -> Column:
    """The score columns as one map by retriever, under its name in metrics."""
    entries = [part for n, c in config.score_columns.items() for part in (F.lit(n), F.col(c))]
    return F.create_map(*entries)


def _mapper(
    spread_sides: Spread[dict[date, Sides]], when: Calendar, names: list[str]
) -> Callable[[Batches], Batches]:
    def compute(batches: Batches) -> Batches:
        sides = spread_sides.value()
        height = max(1, CELLS_PER_BLOCK // max(1, len(when.activity_ids)))
        for batch in batches:
            days = batch.column("snapshot_date").cast(pa.int32()).to_numpy()
            edges = np.flatnonzero(np.diff(days, prepend=days[:1] - 1))
            for start, stop in zip(edges, [*edges[1:], len(days)], strict=True):
                for first in range(start, stop, height):
                    rows = batch.slice(first, min(height, stop - first))
                    yield _day(rows, int(days[first]), sides, when, names)

    return compute


def _day(
    rows: pa.RecordBatch, day: int, sides: dict[date, Sides], when: Calendar, names: list[str]
) -> pa.RecordBatch:
    wanted = rows.column("wanted")
    user = np.repeat(np.arange(rows.num_rows), wanted.value_lengths().to_numpy())
    activity = wanted.flatten().to_numpy().astype(np.int64)
    live = when.on(day)
    columns = np.union1d(live, activity)
    # What was shown to a user counts as a candidate for them, whatever the plan says.
    among = np.zeros((rows.num_rows, len(columns)), dtype=bool)
    among[:, np.searchsorted(columns, live)] = True
    among[user, np.searchsorted(columns, activity)] = True
    fitted = rows.column("fitted_date")[0].as_py()
    known = sides.get(fitted) or no_sides(names, len(when.activity_ids))
    of_day = chosen(known, columns)
    cell = (user, np.searchsorted(columns, activity))
    found = {}
    for name in names:
        block = score_block(
            rows.column(f"{name}_indices"), rows.column(f"{name}_vector"), of_day[name], among
        )
        found[f"{name}_score"] = pa.array(block[cell])
        found[f"{name}_rank"] = pa.array(ranks(np.where(among, block, -np.inf))[cell])
    return pa.RecordBatch.from_arrays(
        [
            rows.column("snapshot_date").take(pa.array(user)),
            rows.column("user_id").take(pa.array(user)),
            pa.array(when.activity_ids, pa.string()).take(pa.array(activity)),
            *found.values(),
        ],
        names=[*KEY, "activity_id", *found],
    )
