"""The two sides of retrieval: users as columns of one row each, activities on the driver."""

from collections.abc import Sequence
from datetime import date

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec.retrieval.protocol import PROBABILITIES
from activityrec.retrieval.scores import ActivitySideVectors

Sides = dict[str, ActivitySideVectors]
"""By retriever."""


def user_columns(names: Sequence[str]) -> list[str]:
    """The columns of :func:`users_side`."""
    return [f"{name}_{part}" for name in names for part in ("indices", "vector")]


def users_side(vectors: DataFrame, names: Sequence[str]) -> DataFrame:
    """One row for each fit and user.

    Parameters
    ----------
    vectors
        ``features.user_vectors``.

    Returns
    -------
    DataFrame
        fitted_date, user_id and for each retriever ``<name>_indices`` and ``<name>_vector``,
        NULL where it does not know the user.
    """

    def of(name: str, part: str) -> Column:
        value = F.when(F.col("retriever") == name, F.col(part))
        return F.first(value, ignorenulls=True).alias(f"{name}_{part}")

    columns = [of(name, part) for name in names for part in ("indices", "vector")]
    return vectors.groupBy("fitted_date", "user_id").agg(*columns)


def activity_sides(
    vectors: DataFrame, activity_ids: Sequence[str], names: Sequence[str]
) -> dict[date, Sides]:
    """The vectors of these activities, by fit and retriever, on the driver.

    Parameters
    ----------
    vectors
        As :func:`activityrec.retrieval.activities.activity_vectors` gives them.
    """
    number = {name: place for place, name in enumerate(activity_ids)}
    ids = vectors.sparkSession.createDataFrame([(n,) for n in activity_ids], "activity_id STRING")
    rows = (
        vectors.join(F.broadcast(ids), on="activity_id", how="left_semi")
        .orderBy("fitted_date", "retriever", "activity_id")
        .toArrow()
        .to_pylist()
    )
    found: dict[date, dict[str, list]] = {}
    for row in rows:
        term = (number[row["activity_id"]], row["indices"], row["vector"])
        found.setdefault(row["fitted_date"], {}).setdefault(row["retriever"], []).append(term)
    width = len(activity_ids)
    return {
        day: {
            name: ActivitySideVectors.of(by_name.get(name, []), width, name in PROBABILITIES)
            for name in names
        }
        for day, by_name in found.items()
    }


def no_sides(names: Sequence[str], width: int) -> Sides:
    """Of a fit that knows none of the activities."""
    return {name: ActivitySideVectors.of([], width) for name in names}


def chosen(sides: Sides, activities: np.ndarray) -> Sides:
    """For some of the activities, by number."""
    return {name: side.only(activities) for name, side in sides.items()}
