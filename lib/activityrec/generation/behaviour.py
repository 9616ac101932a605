"""What users do: events on products, exposures by a policy with known propensities, responses."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec.generation.campaigns import activity_id, campaign_at, lanes_of
from activityrec.generation.draws import Draws
from activityrec.generation.instants import DAY, instant
from activityrec.generation.people import (
    drawn_category,
    price_of,
    product_id,
    product_of,
    taste_for,
    user_id,
)
from activityrec.generation.truth import probability, seasonal
from activityrec.generation.world import World

KINDS = {"view": 0.7, "purchase": 0.25, "comment": 0.05}
BOT_PACE = 20
HABITS = 4
"""Products that a user buys again and again."""
WORDS = {"good, would buy again": 0.6, "as expected": 0.25, "not for me": 0.15}


def events(users: DataFrame, world: World) -> DataFrame:
    """The source of what users do with products; of it more in season.

    Bots only view, at random, and much. Of a user's other events a share concerns the few
    products that they always take. A purchase at a lower price has an event ``coupon`` beside it,
    whose amount is what it saved.
    """
    draws, keys = Draws(world.seed), ("user", "n")
    pace = F.when(F.col("bot"), BOT_PACE).otherwise(F.col("pace"))
    left = 1 - F.col("joined") / world.days
    # What is out of season is dropped again below: about a quarter.
    wanted = 1.33 * world.events_per_user * pace * left
    count = F.floor(wanted + draws.uniform("count", "user"))
    each = users.where(count >= 1).withColumn("n", F.explode(F.sequence(F.lit(1), count)))
    day = F.col("joined") + draws.uniform("when", *keys) * (world.days - F.col("joined"))
    any_category = draws.below(world.categories, "any category", *keys)
    category = drawn_category(world, "category", *keys)
    rows = each.withColumns(
        {
            "day": day,
            "category": F.when(F.col("bot"), any_category).otherwise(category),
            "event_type": F.when(F.col("bot"), "view").otherwise(
                draws.one_of(KINDS, "kind", *keys)
            ),
        }
    )
    in_season = (1 + 0.33 * seasonal(world, F.col("category"), F.col("day"))) / 1.33
    rows = rows.where(draws.uniform("season", *keys) < in_season)
    habit = draws.below(HABITS, "which habit", *keys)
    usual = product_of(world, F.col("first"), "habit", "user", habit, skew=2.5)
    other = product_of(world, F.col("category"), "product", *keys, skew=2.5)
    again = (draws.uniform("again", *keys) < world.repeats) & ~F.col("bot")
    rows = rows.withColumn("product", F.when(again, usual).otherwise(other))
    return _event_columns(rows, world)


def exposures(users: DataFrame, world: World) -> DataFrame:
    """Exposures with their truth: the policy shows each user one activity at a time.

    With the share ``explored`` any that is live, else one of a category that is drawn from a
    blurred picture of the user's taste. At least a day lies between two of a user.

    Returns
    -------
    DataFrame
        user, user_id, activity_id, exposure_ts, position, propensity, probability (the planted
        one of a response), answered, answered_ts (within a day, while it is live; NULL where
        not answered), product (its number; one of the category).
    """
    draws, keys = Draws(world.seed), ("user", "n")
    slots = F.sequence(F.lit(0), F.lit(world.exposures_per_user - 1))
    gap = world.days / world.exposures_per_user
    each = users.withColumn("n", F.explode(slots))
    each = each.withColumn("day", gap * (F.col("n") + 0.5 * draws.uniform("shown", *keys)))
    each = each.where("day >= joined").withColumn("lane", _lane(world))
    what = campaign_at(world, F.col("lane"), F.col("day"))
    of_category = (1 - world.explored) * _blurred(world, what.category)
    propensity = world.explored / world.activities + of_category / lanes_of(world, what.category)
    rows = each.withColumns(
        {
            "probability": probability(world, what, F.col("day")),
            "propensity": propensity,
            "number": what.number,
            "category": what.category,
            "left": F.least(F.lit(1.0), what.end_day - F.col("day")),
        }
    )
    answered = draws.uniform("answer", *keys) < F.col("probability")
    # Instants are whole seconds: the last second before the window closes is left out.
    within = F.greatest(F.lit(0.0), F.col("left") - 2 / DAY)
    after = F.col("day") + within * draws.uniform("delay", *keys)
    return rows.select(
        "user",
        "user_id",
        activity_id(F.col("number")),
        instant(world, F.col("day")).alias("exposure_ts"),
        F.lit(1).alias("position"),
        "propensity",
        "probability",
        answered.alias("answered"),
        F.when(answered, instant(world, after)).alias("answered_ts"),
        product_of(world, F.col("category"), "redeemed", *keys, skew=1.2).alias("product"),
    )


def responses(shown: DataFrame, world: World) -> DataFrame:
    """The source of responses, of the rows of ``exposures``."""
    amount = price_of(world, F.col("product"))
    return shown.where("answered").select(
        F.concat_ws("-", F.lit("r"), "user", "activity_id", F.unix_seconds("exposure_ts"))
        .alias("event_id"),
        "user_id",
        F.lit("redeem").alias("event_type"),
        F.col("answered_ts").alias("event_ts"),
        product_id(F.col("product")),
        "activity_id",
        F.lit(1.0).alias("quantity"),
        amount.alias("amount"),
    )  # fmt: skip


def _event_columns(rows: DataFrame, world: World) -> DataFrame:
    draws, keys = Draws(world.seed), ("user", "n")
    bought = F.col("event_type") == "purchase"
    units = 1 + draws.below(3, "units", *keys)
    # The sensitive wait for lower prices.
    bargain = bought & (draws.normal("bargain", *keys) < F.col("sensitivity"))
    full, saved = units * price_of(world, F.col("product")), F.when(bargain, 0.2).otherwise(0.0)
    said = draws.one_of(WORDS, "words", *keys)

    def event(kind: Column, *, quantity: Column, amount: Column, text: Column) -> Column:
        """What differs between the events of a row."""
        return F.struct(
            kind.alias("event_type"),
            quantity.cast("double").alias("quantity"),
            F.round(amount, 2).alias("amount"),
            text.alias("text"),
        )

    nothing = F.lit(None)
    itself = event(
        F.col("event_type"),
        quantity=F.when(bought, units),
        amount=F.when(bought, full * (1 - saved)),
        text=F.when(F.col("event_type") == "comment", said),
    )
    coupon = event(
        F.lit("coupon"), quantity=nothing, amount=full * saved, text=nothing.cast("string")
    )
    each = F.when(bargain, F.array(itself, coupon)).otherwise(F.array(itself))
    return rows.select("user", "n", "day", "product", F.inline(each)).select(
        F.concat_ws("-", F.substring("event_type", 1, 1), "user", "n").alias("event_id"),
        user_id(F.col("user")),
        "event_type",
        instant(world, F.col("day")).alias("event_ts"),
        product_id(F.col("product")),
        "quantity",
        "amount",
        "text",
    )


def _blurred(world: World, category: Column) -> Column:
    """What the policy takes for the user's taste."""
    return 0.5 * taste_for(world, category) + 0.5 / world.categories


def _lane(world: World) -> Column:
    """The lane that the policy chooses."""
    draws, keys = Draws(world.seed), ("user", "n")
    blurred = F.when(
        draws.uniform("blurred", *keys) < 0.5, draws.below(world.categories, "guessed", *keys)
    ).otherwise(drawn_category(world, "shown category", *keys))
    place = draws.below(lanes_of(world, blurred), "lane of it", *keys)
    return F.when(
        draws.uniform("explored", *keys) < world.explored,
        draws.below(world.activities, "any lane", *keys),
    ).otherwise(blurred + place * world.categories)
