"""Activities that have room for so many users: the score from which on a user gets a place."""

from collections.abc import Mapping

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec.features.affinity import Floats, Ints
from activityrec.serving.slots import Keys

SHIFTS = (48, 32, 16, 0)
TIE_BITS = 24
LARGEST = 2**63 - 1


def order_keys(scores: Floats, keys: Keys) -> Ints:
    """Integers in the order of scores; of (nearly) equal scores by the user's key.

    The bits of a double, read as an integer, are in its order where it is positive; the lowest
    24, about the seventh decimal place, are those of the key instead.
    """
    bits = (scores + 0.0).view(np.int64)
    ordered = np.where(bits < 0, bits ^ np.int64(LARGEST), bits)
    ties = np.int64(2**TIE_BITS - 1)
    return (ordered & ~ties) | (keys.view(np.int64) & ties)


def thresholds(contenders: DataFrame, places: Mapping[str, int]) -> dict[str, int]:
    """For each activity the least ``order_key`` that gets a place: no more users reach it than
    there are places.

    A radix selection from above, 16 bits at a time: the driver sees counts of buckets, and no row
    is shuffled.

    Parameters
    ----------
    contenders
        activity_id and ``order_key``, a row for each user who would have the activity in their
        list. Read four times.
    """
    spark = contenders.sparkSession
    found: dict[str, int] = {}
    left = dict(places)
    prefix: dict[str, int | None] = dict.fromkeys(places)
    for shift in SHIFTS:
        asked = [(name, prefix[name]) for name in prefix]
        if not asked:
            break
        side = spark.createDataFrame(asked, "activity_id STRING, _prefix BIGINT")
        upper = F.shiftright("order_key", min(shift + 16, 63))
        counts = (
            contenders.join(F.broadcast(side), on="activity_id", how="inner")
            .where(F.col("_prefix").isNull() | (upper == F.col("_prefix")))
            .groupBy("activity_id", F.shiftright("order_key", shift).alias("bucket"))
            .count()
            .collect()
        )
        by_activity: dict[str, dict[int, int]] = {name: {} for name in prefix}
        for row in counts:
            by_activity[row["activity_id"]][row["bucket"]] = row["count"]
        prefix = {}
        for name, buckets in by_activity.items():
            full = _first_that_is_full(buckets, left, name)
            found[name] = -LARGEST - 1 if full is None else min(full + 1 << shift, LARGEST)
            if full is not None:
                prefix[name] = full
    return found


def _first_that_is_full(buckets: Mapping[int, int], left: dict[str, int], name: str) -> int | None:
    """The highest bucket whose users do not all get a place; counts down what is left."""
    for bucket in sorted(buckets, reverse=True):
        if buckets[bucket] > left[name]:
            return bucket
        left[name] -= buckets[bucket]
    return None
