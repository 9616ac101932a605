"""What is planted: the probability of each response, and what follows from it.

    logit P(response of u to a at t) = base + taste * share of a's category in u's taste
        + price * u's sensitivity * (discount of a - 20 %) / 15 % + quality of a
        + season * sin(2 pi (day of the year + phase of a's category))

and 0.001 for bots. It has no memory: earlier exposures and responses change nothing.
"""

import math

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec.generation.campaigns import Campaign, campaign, campaign_at, quality_of
from activityrec.generation.instants import day_of
from activityrec.generation.people import TASTES, taste_for, user_traits
from activityrec.generation.world import World

OF_BOTS = 0.001
BINS = 100_000


def probability(world: World, what: Campaign, day: Column) -> Column:
    """DOUBLE in (0, 1) of the row's user, whose traits stand beside; ``day`` counts from 0."""
    affinity = taste_for(world, what.category)
    price = F.col("sensitivity") * (what.discount - 20) / 15
    logit = (
        world.base
        + world.taste * affinity
        + world.price * price
        + quality_of(world, what.number)
        + world.season * seasonal(world, what.category, day)
    )
    return F.when(F.col("bot"), OF_BOTS).otherwise(1 / (1 + F.exp(-logit)))


def seasonal(world: World, category: Column, day: Column) -> Column:
    """In [-1, 1]: how much in season a category is; one year is a cycle."""
    phase = category / F.lit(float(world.categories))
    return F.sin(2 * math.pi * (F.floor(day) / 365.0 + phase))


def with_truth(rows: DataFrame, world: World, at: Column) -> DataFrame:
    """``rows`` with ``probability``, the true one of ``user_id`` answering ``activity_id`` at
    the instant ``at`` (TIMESTAMP), of any lists or exposures of this world."""
    number = F.regexp_extract("user_id", "^u([0-9]+)$", 1).cast("bigint")
    traits = user_traits(world, F.col("_user"))
    wanted = (*TASTES, *(f"weight_{name}" for name in TASTES), "sensitivity", "bot")
    activity = F.regexp_extract("activity_id", "^a([0-9]+)$", 1).cast("bigint")
    known = rows.withColumns({"_user": number, "_activity": activity, "_day": day_of(world, at)})
    known = known.withColumns({name: traits[name] for name in wanted})
    what = campaign(world, F.col("_activity"))
    true = known.withColumn("probability", probability(world, what, F.col("_day")))
    return true.drop("_user", "_activity", "_day", *wanted)


def best_value(users: DataFrame, world: World, day: int) -> float:
    """The mean probability where everyone in ``users`` (as ``people.users``) is shown what they
    are most likely to answer of what is live on a day: no policy of one place is better."""
    lanes = F.sequence(F.lit(0), F.lit(world.activities - 1))
    each = users.withColumn("lane", F.explode(lanes))
    what = campaign_at(world, F.col("lane"), F.lit(day))
    best = each.groupBy("user").agg(F.max(probability(world, what, F.lit(day))).alias("best"))
    found = best.agg(F.avg("best")).first()
    assert found is not None
    return float(found[0])


def best_auc(probabilities: DataFrame) -> float:
    """The expected area under the ROC curve of the true probabilities: no ranking has a higher.

    Of a column ``probability``, in bins of 1 / 100,000: P(p_i > p_j) + P(p_i = p_j) / 2 where
    i answers and j does not, each pair weighted by p_i (1 - p_j). NaN without rows.
    """
    binned = F.floor(F.col("probability") * BINS).alias("bin")
    sums = (F.sum("probability").alias("yes"), F.sum(1 - F.col("probability")).alias("no"))
    rows = probabilities.groupBy(binned).agg(*sums).orderBy("bin").collect()
    below = pairs = yes = 0.0
    for row in rows:
        pairs += row["yes"] * (below + row["no"] / 2)
        below += row["no"]
        yes += row["yes"]
    return pairs / (yes * below) if yes * below else math.nan
