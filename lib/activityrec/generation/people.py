"""Users and products: what they are like, as expressions of their numbers."""

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from activityrec.generation.draws import Draws
from activityrec.generation.world import World

CITIES = {"north": 0.3, "south": 0.25, "east": 0.25, "west": 0.2}
GENDERS = {"f": 0.48, "m": 0.47, "d": 0.05}
TASTES = ("first", "second", "third")
"""A user has three favourite categories, in this order."""


def user_traits(world: World, user: Column) -> dict[str, Column]:
    """Columns of the user with the number ``user`` (BIGINT).

    ``first``, ``second``, ``third``: categories; ``weight_*``: how much of the taste they have,
    what is left goes to all categories alike; ``sensitivity`` to prices: standard normal, a
    part of it by age; ``bot``; ``joined``: day (from 0) of the first event; ``pace``: events a
    day, the mean over users being 1.
    """
    draws = Draws(world.seed)

    def favourite(name: str) -> Column:
        skewed = F.pow(draws.uniform(f"{name} category", user), F.lit(1.3))
        return F.floor(skewed * world.categories)

    first_weight = 0.35 + 0.3 * draws.uniform("weight", user)
    age = 18 + draws.below(60, "age", user)
    by_age = (48 - age) / 17.3
    late = draws.uniform("late", user) < 0.3
    return {
        **{name: favourite(name) for name in TASTES},
        "weight_first": first_weight,
        "weight_second": (1 - first_weight) * 0.5,
        "weight_third": (1 - first_weight) * 0.2,
        "age": age.cast("int"),
        "gender": draws.one_of(GENDERS, "gender", user),
        "city": draws.one_of(CITIES, "city", user),
        "sensitivity": 0.8 * by_age + 0.6 * draws.normal("sensitivity", user),
        "bot": draws.uniform("bot", user) < world.bots,
        "joined": F.when(late, draws.below(world.days * 5 // 6, "joined", user)).otherwise(0),
        "pace": F.exp(0.8 * draws.normal("pace", user) - 0.32),
    }


def users(spark: SparkSession, world: World, parts: int) -> DataFrame:
    """One row for each user: ``user`` (its number), ``user_id`` and the traits."""
    rows = spark.range(0, world.users, 1, parts).select(F.col("id").alias("user"))
    traits = user_traits(world, F.col("user"))
    return rows.select(
        "user", user_id(F.col("user")), *(trait.alias(name) for name, trait in traits.items())
    )


def user_id(number: Column) -> Column:
    return F.concat(F.lit("u"), number).alias("user_id")


def taste_for(world: World, category: Column) -> Column:
    """The share of a user's taste that a category has, in [0, 1], of the traits beside it."""
    rest = 1 - sum((F.col(f"weight_{name}") for name in TASTES), F.lit(0.0))
    shares = [
        F.when(F.col(name) == category, F.col(f"weight_{name}")).otherwise(0.0) for name in TASTES
    ]
    return sum(shares, rest / world.categories)


def drawn_category(world: World, purpose: str, *keys: Column | str) -> Column:
    """A category by the user's taste."""
    draws = Draws(world.seed)
    drawn, upto = draws.uniform(purpose, *keys), F.lit(1.0)
    chosen = draws.below(world.categories, f"{purpose} any", *keys)
    weights = {name: F.col(f"weight_{name}") for name in TASTES}
    for name in reversed(TASTES):
        upto = sum((weights[n] for n in TASTES[: TASTES.index(name) + 1]), F.lit(0.0))
        chosen = F.when(drawn < upto, F.col(name)).otherwise(chosen)
    return chosen


def product_of(
    world: World, category: Column, purpose: str, *keys: Column | str, skew: float
) -> Column:
    """The number of a product of a category; with a ``skew`` above 1 low numbers are hot."""
    there = F.floor((world.products - 1 - category) / world.categories) + 1
    place = F.floor(F.pow(Draws(world.seed).uniform(purpose, *keys), F.lit(skew)) * there)
    return category + place * world.categories


def category_of(world: World, product: Column) -> Column:
    return F.pmod(product, F.lit(world.categories))


def price_of(world: World, product: Column) -> Column:
    """Of a unit: log-normal around 8, in whole cents."""
    return F.round(F.exp(2.08 + 0.7 * Draws(world.seed).normal("price", product)), 2)


def product_id(number: Column) -> Column:
    return F.concat(F.lit("p"), number).alias("product_id")


def products(spark: SparkSession, world: World, parts: int) -> DataFrame:
    """The source of products."""
    number, draws = F.col("id"), Draws(world.seed)
    rows = spark.range(0, world.products, 1, parts)
    return rows.select(
        product_id(number),
        F.concat(F.lit("Product "), number).alias("name"),
        F.concat(F.lit("c"), category_of(world, number)).alias("category"),
        F.concat(F.lit("b"), draws.below(40, "brand", number)).alias("brand"),
        price_of(world, number).alias("price"),
    )
