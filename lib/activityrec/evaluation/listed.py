"""The activities that lists can hold: how many users know each, and how alike they are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec.arrow import Floats
from activityrec.features.attributes import UNKNOWN

TERMS_AT_ONCE = 4_096


@dataclass(frozen=True)
class ListedActivities:
    """The candidates of lists, in one order.

    Attributes
    ----------
    known_share
        (activities,): see :func:`known_shares`.
    similarity
        (activities, activities): see :func:`similarities`.
    """

    activity_ids: tuple[str, ...]
    known_share: Floats
    similarity: Floats


def known_shares(
    events: DataFrame, exposures: DataFrame, activity_ids: Sequence[str], users: int
) -> Floats:
    """The share of the users who know each activity: who had an event on it, or were sent it.

    Shares are smoothed, (users who know it + 1) / (users + 2), so that none is 0: an activity that
    nobody knows yet is as new as one in ``users + 2``.

    Parameters
    ----------
    events, exposures
        Those before as_of.
    users
        How many there are.
    """
    seen = [
        rows.where(F.col("activity_id").isin(list(activity_ids))).select("activity_id", "user_id")
        for rows in (events, exposures)
    ]
    known = seen[0].unionByName(seen[1]).groupBy("activity_id")
    counts = {row[0]: row[1] for row in known.agg(F.count_distinct("user_id")).collect()}
    return (np.array([counts.get(name, 0.0) for name in activity_ids]) + 1.0) / (users + 2.0)


def similarities(
    activities: DataFrame,
    activity_products: DataFrame,
    products: DataFrame,
    activity_ids: Sequence[str],
    columns: Sequence[str],
) -> Floats:
    """The cosine between every two activities, described by words with TF-IDF weights.

    An activity has a word for the value of each column, with weight 1, and one for each category
    of its eligible products, with weight √(share of its products): so all categories together
    weigh as much as one column. These are multiplied by ln((1 + n) / (1 + activities with the
    word)) + 1, the smooth IDF of scikit-learn. An activity without any word is like no other one.

    Parameters
    ----------
    activities
        activity_id and ``columns``; NULL and ``unknown`` give no word.
    activity_products, products
        Of the clean schema. The driver sees (activity, category) counts, no product.
    """
    ids = F.col("activity_id").isin(list(activity_ids))
    wanted = activities.where(ids)
    words = wanted.select("activity_id", F.explode(_words(columns)).alias("word"), F.lit(1.0))
    of_categories = (
        activity_products.where(ids)
        .select("activity_id", "product_id")
        .distinct()
        .join(products.where("category IS NOT NULL"), on="product_id", how="inner")
        .groupBy("activity_id", F.concat(F.lit("category="), "category").alias("word"))
        .count()
    )
    counted = of_categories.toPandas()
    share = counted["count"] / counted.groupby("activity_id")["count"].transform("sum")
    counted = counted.assign(weight=np.sqrt(share)).drop(columns="count")
    named = words.toDF("activity_id", "word", "weight").toPandas()
    return cosines(pd.concat([named, counted], ignore_index=True), activity_ids)


def _words(columns: Sequence[str]) -> Column:
    """An array of name=value; ``concat`` of a NULL is NULL."""
    named = [F.concat(F.lit(f"{name}="), F.nullif(F.col(name), F.lit(UNKNOWN))) for name in columns]
    return F.array_compact(F.array(*named).cast("array<string>"))


def cosines(words: pd.DataFrame, activity_ids: Sequence[str]) -> Floats:
    """(activities, activities) from (activity_id, word, weight), see :func:`similarities`."""
    n = len(activity_ids)
    number = {name: place for place, name in enumerate(activity_ids)}
    activity = words["activity_id"].map(number).to_numpy(dtype=np.int64)
    word, distinct = words["word"].factorize()
    rarity = np.log((1.0 + n) / (1.0 + np.bincount(word, minlength=len(distinct)))) + 1.0
    weight = words["weight"].to_numpy(dtype=np.float64) * rarity[word]
    length = np.sqrt(np.bincount(activity, weights=weight**2, minlength=n))
    weight = weight / length[activity]
    found = np.zeros((n, n))
    for first in range(0, len(distinct), TERMS_AT_ONCE):
        some = (word >= first) & (word < first + TERMS_AT_ONCE)
        block = np.zeros((n, min(TERMS_AT_ONCE, len(distinct) - first)))
        block[activity[some], word[some] - first] = weight[some]
        found += block @ block.T
    return found
