"""Examples where the data have no exposures: what users answered, and live activities that they
did not answer on the same day.

A user who answered something on a day is taken to have been shown, at the beginning of that day,
the activities that they answered and a sample of the other live ones. So a ranker learns which
activity it is that a user answers, given that they answer one.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec.config import Config
from activityrec.features.history import History
from activityrec.features.outcomes import outcomes, responses_of


def known_outcomes(history: History, config: Config) -> DataFrame:
    """Exposures and what came of them, or the samples that stand in for them.

    Returns
    -------
    DataFrame
        As :func:`activityrec.features.outcomes.outcomes` gives it. Of samples, the response
        window is the day, and ``weight`` says for how many activities the row stands.
    """
    if not config.samples_exposures:
        return outcomes(history.exposures, history.activities, history.events, config.response)
    a_day = config.response.model_copy(update={"window_days": 1})
    sampled = sampled_exposures(history, config)
    return outcomes(sampled, history.activities, history.events, a_day)


def sampled_exposures(history: History, config: Config) -> DataFrame:
    """(user_id, activity_id, exposure_ts, weight), by the hash of user, day and seed.

    Of n activities that were live and not answered, up to ``ranker.negatives`` different ones are
    drawn, the same ones in every run; k that were drawn weigh n / k each. With
    ``recommend.exclude_answered`` an activity that the user answered on an earlier day is neither.
    """
    ranker = config.ranker
    answers = responses_of(history.events, config.response).select(
        "user_id", "activity_id", F.to_date("event_ts").alias("day")
    )
    first = F.min("day").alias("first")
    ever = answers.groupBy("user_id", "activity_id").agg(first).groupBy("user_id").agg(
        F.collect_list(F.struct("activity_id", "first")).alias("_ever")
    )  # fmt: skip
    days = answers.select("day").distinct()
    live = F.broadcast(_live_on(days, history.activities))
    by_day = answers.groupBy("user_id", "day").agg(F.collect_set("activity_id").alias("_answered"))
    before = F.filter("_ever", lambda entry: entry["first"] < F.col("day"))["activity_id"]
    # What serving leaves out must not be learnt from either.
    gone = before if config.recommend.exclude_answered else F.array().cast("array<string>")
    sides = (
        by_day.join(live, on="day", how="inner")
        .join(ever, on="user_id", how="inner")
        .withColumn("_live", F.array_except("_live", gone))
        .select(
            "user_id",
            "day",
            # Sets come in any order, and the draw goes by the place.
            F.array_sort(F.array_intersect("_live", "_answered")).alias("_positive"),
            F.array_except("_live", "_answered").alias("_others"),
        )
    )
    drawn = sides.where(F.size("_positive") > 0).withColumn(
        "_negative", _draw("_others", ranker.negatives, ranker.seed)
    )
    weight = F.try_divide(F.size("_others"), F.size("_negative"))
    rows = F.concat(
        F.transform("_positive", lambda name: F.struct(name.alias("activity_id"), F.lit(1.0))),
        F.transform("_negative", lambda name: F.struct(name.alias("activity_id"), weight)),
    )
    exploded = drawn.select("user_id", "day", F.inline(rows).alias("activity_id", "weight"))
    return exploded.select(
        "user_id", "activity_id", F.col("day").cast("timestamp").alias("exposure_ts"), "weight"
    )


def _draw(column: str, n: int, seed: int) -> Column:
    """Up to ``n`` different entries of an array."""
    size = F.size(column)

    def one(number: Column) -> Column:
        place = F.pmod(F.xxhash64("user_id", "day", number, F.lit(seed)), size.cast("bigint"))
        return F.element_at(column, (place + 1).cast("int"))

    some = F.array_distinct(F.transform(F.sequence(F.lit(1), F.lit(n)), one))
    return F.when(size <= n, F.col(column)).otherwise(some)


def _live_on(days: DataFrame, activities: DataFrame) -> DataFrame:
    """(day, _live): the activities that are live at some instant of each day, in order."""
    begins = F.to_date("start_ts") <= F.col("day")
    ends = F.col("end_ts").isNull() | (F.col("end_ts") > F.col("day").cast("timestamp"))
    spans = activities.select("activity_id", "start_ts", "end_ts")
    return (
        days.join(F.broadcast(spans), on=begins & ends, how="inner")
        .groupBy("day")
        .agg(F.array_sort(F.collect_list("activity_id")).alias("_live"))
    )
