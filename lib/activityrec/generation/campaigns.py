"""Activities: one after the other in lanes, so that as many are live at every instant."""

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from activityrec.generation.draws import Draws
from activityrec.generation.instants import instant
from activityrec.generation.people import product_id, product_of
from activityrec.generation.world import World

LENGTHS = (7, 14, 21, 28)
DISCOUNTS = (5, 10, 20, 30, 50)
CHANNELS = {"email": 0.4, "push": 0.3, "web": 0.2, "mail": 0.1}
LANE = 1_000_000
"""The number of an activity is that of its lane times this, and its place in the lane."""


@dataclass(frozen=True)
class Campaign:
    """One activity, or a column of them: numbers are BIGINT, days count from the start."""

    number: Column
    category: Column
    discount: Column
    first_day: Column
    end_day: Column


def lanes_of(world: World, category: Column) -> Column:
    """How many lanes a category has."""
    return F.floor((world.activities - 1 - category) / world.categories) + 1


def campaign_at(world: World, lane: Column, day: Column) -> Campaign:
    """What is live in a lane on a day."""
    # Draws go by hashes, and those of INT and BIGINT differ.
    lane = lane.cast("bigint")
    length, shift = _rhythm(world, lane)
    return campaign(world, lane * LANE + F.floor((day + shift) / length))


def campaign(world: World, number: Column) -> Campaign:
    """The activity with a number."""
    number = number.cast("bigint")
    lane, place = F.floor(number / LANE), F.pmod(number, F.lit(LANE))
    length, shift = _rhythm(world, lane)
    drawn = Draws(world.seed).below(len(DISCOUNTS), "discount", number)
    discounts = F.array(*map(F.lit, DISCOUNTS))
    first = place * length - shift
    return Campaign(
        number=number,
        category=F.pmod(lane, F.lit(world.categories)),
        discount=F.get(discounts, drawn.cast("int")),
        first_day=first,
        end_day=first + length,
    )


def quality_of(world: World, number: Column) -> Column:
    """How well an activity is made: normal, what nobody can know before it was shown."""
    return world.quality * Draws(world.seed).normal("quality", number)


def activity_id(number: Column) -> Column:
    return F.concat(F.lit("a"), number).alias("activity_id")


def activities(spark: SparkSession, world: World) -> DataFrame:
    """The source of activities, those that start before the world's end."""
    draws, number = Draws(world.seed), F.col("number")
    what = campaign(world, number)
    rows = _numbers(spark, world).where(what.first_day < world.days)
    return rows.select(
        activity_id(number),
        F.concat_ws(" ", what.discount, F.lit("% off")).alias("activity_type"),
        F.concat(F.lit("Activity "), number).alias("name"),
        instant(world, what.first_day).alias("start_ts"),
        instant(world, what.end_day).alias("end_ts"),
        draws.one_of(CHANNELS, "channel", number).alias("channel"),
        F.round(0.01 + 0.2 * draws.uniform("cost", number), 2).alias("cost"),
        F.round(F.exp(9 + draws.normal("budget", number)), 2).alias("budget"),
        F.concat(F.lit("c"), what.category).alias("category"),
        what.discount.alias("discount"),
    )


def activity_products(spark: SparkSession, world: World) -> DataFrame:
    """The source of eligible products: some of the activity's category, popular or not."""
    number = F.col("number")
    what = campaign(world, number)
    places = F.explode(F.sequence(F.lit(1), F.lit(world.products_per_activity)))
    rows = _numbers(spark, world).where(what.first_day < world.days).select("number", places)
    chosen = product_of(world, what.category, "eligible", number, "col", skew=1.2)
    return rows.select(activity_id(number), product_id(chosen)).distinct()


def _rhythm(world: World, lane: Column) -> tuple[Column, Column]:
    """How many days the activities of a lane are live, and how many of the first had passed."""
    draws = Draws(world.seed)
    lengths = F.array(*map(F.lit, LENGTHS))
    length = F.get(lengths, draws.below(len(LENGTHS), "length", lane).cast("int"))
    return length, F.floor(length * draws.uniform("shift", lane))


def _numbers(spark: SparkSession, world: World) -> DataFrame:
    """``number`` of everything that could start before the end; some start after it."""
    most = (world.days + max(LENGTHS)) // min(LENGTHS) + 1
    lanes = spark.range(world.activities).withColumnRenamed("id", "lane")
    places = F.explode(F.sequence(F.lit(0), F.lit(most))).alias("place")
    return lanes.select("lane", places).select(
        (F.col("lane") * LANE + F.col("place")).alias("number")
    )
