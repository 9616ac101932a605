"""The planted world is what its truth says, and the same for the same seed."""

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.testing import assertDataFrameEqual
from scipy.stats import chisquare
from sklearn.metrics import roc_auc_score

from activityrec.config import Config
from activityrec.errors import ConfigError
from activityrec.evaluation.off_policy import off_policy_estimates
from activityrec.features.outcomes import outcomes
from activityrec.generation.behaviour import events, exposures, responses
from activityrec.generation.campaigns import (
    LANE,
    activities,
    activity_products,
    campaign_at,
    lanes_of,
)
from activityrec.generation.instants import day_of
from activityrec.generation.people import CITIES, products, users
from activityrec.generation.sources import configuration
from activityrec.generation.truth import best_auc, best_value, probability, with_truth
from activityrec.generation.world import World

WORLD = World(users=3_000, products=200, activities=26, events_per_user=5.0)


@pytest.fixture(scope="module")
def people(spark: SparkSession) -> DataFrame:
    return users(spark, WORLD, 2).cache()


def lane_of_id() -> Column:
    """The lane of ``activity_id``, as numbers of activities are made."""
    return F.floor(F.substring("activity_id", 2, 20).cast("bigint") / LANE)


@pytest.fixture(scope="module")
def shown(people: DataFrame) -> DataFrame:
    return exposures(people, WORLD).cache()


def test_the_same_seed_gives_the_same_rows_in_any_number_of_tasks(spark: SparkSession) -> None:
    small = replace(WORLD, users=40)
    for made in (events, exposures):
        one, other = (made(users(spark, small, parts), small) for parts in (1, 5))
        assertDataFrameEqual(one, other)
        reseeded = replace(small, seed=2)
        assert set(one.collect()) != set(made(users(spark, reseeded, 1), reseeded).collect())


def test_responses_come_with_the_planted_probability(shown: DataFrame) -> None:
    rows = shown.select("probability", "answered").toPandas()
    p, answered = rows["probability"], rows["answered"]
    assert len(rows) > 40_000
    for part in np.array_split(np.argsort(p), 10):
        expected = p.iloc[part].sum()
        spread = math.sqrt((p.iloc[part] * (1 - p.iloc[part])).sum())
        assert abs(answered.iloc[part].sum() - expected) < 4 * spread
    assert best_auc(shown) == pytest.approx(roc_auc_score(answered, p), abs=0.015)


def test_the_best_auc_is_that_of_the_probabilities(spark: SparkSession) -> None:
    """Of every pair, the chance that the one that answers is the one with the higher p."""
    p = [0.1, 0.1, 0.4, 0.75]
    pairs = [(a * (1 - b), 1.0 if a > b else 0.5 if a == b else 0.0) for a in p for b in p]
    wanted = sum(weight * won for weight, won in pairs) / sum(weight for weight, _ in pairs)
    frame = spark.createDataFrame([(value,) for value in p], "probability DOUBLE")
    assert best_auc(frame) == pytest.approx(wanted)
    assert math.isnan(best_auc(frame.limit(0)))


def test_the_policy_chose_with_the_propensities_that_it_logged(
    shown: DataFrame, people: DataFrame
) -> None:
    """Weighted by them, a sample of the log is the whole: what every lane's share should be."""
    weighed = shown.groupBy(lane_of_id().alias("lane")).agg(
        F.count("*").alias("n"), F.sum(1 / F.col("propensity")).alias("weight")
    )
    rows = weighed.toPandas()
    total = shown.count()
    # 1 / propensity sums to the number of exposures in each lane, within its spread.
    assert len(rows) == WORLD.activities
    assert rows["weight"].to_numpy() == pytest.approx(total, rel=0.12)
    # And given the category, lanes of it are alike.
    categories = rows["lane"] % WORLD.categories
    for _, group in rows.groupby(categories):
        assert chisquare(group["n"]).pvalue > 1e-5 or len(group) > 2
    bots = people.where("bot").count()
    assert 0 < bots < 0.02 * WORLD.users


def test_a_lower_price_leaves_a_coupon_and_the_sensitive_have_more_of_them(
    people: DataFrame,
) -> None:
    rows = events(people, WORLD).join(people.select("user_id", "sensitivity"), on="user_id")
    keys = ["user_id", "event_ts", "product_id", F.regexp_replace("event_id", "^.", "").alias("n")]
    bought = rows.where("event_type = 'purchase'").select(*keys, "amount", "sensitivity")
    saved = rows.where("event_type = 'coupon'").select(*keys, F.col("amount").alias("saved"))
    both = bought.join(saved, on=["user_id", "event_ts", "product_id", "n"], how="left")
    assert rows.select("event_id").distinct().count() == rows.count()
    assert saved.count() == both.where("saved IS NOT NULL").count()
    assert both.where("abs(saved / amount - 0.25) > 0.02 AND amount > 1").isEmpty()
    share = F.avg(F.col("saved").isNotNull().cast("int"))
    by_side = both.groupBy(F.signum("sensitivity").alias("side")).agg(share.alias("share"))
    shares = {row["side"]: row["share"] for row in by_side.collect()}
    assert shares[-1.0] < 0.4 < 0.6 < shares[1.0]


def test_what_is_shown_is_live_and_answers_come_within_a_day_while_it_is(
    spark: SparkSession, shown: DataFrame
) -> None:
    live = activities(spark, WORLD).select("activity_id", "start_ts", "end_ts")
    rows = shown.join(live, on="activity_id", how="left")
    assert rows.where("start_ts <= exposure_ts AND exposure_ts < end_ts").count() == rows.count()
    answers = rows.where("answered")
    within = "answered_ts >= exposure_ts AND answered_ts < exposure_ts + INTERVAL 1 DAY"
    assert answers.where(f"{within} AND answered_ts < end_ts").count() == answers.count() > 0
    ids = live.select("activity_id").distinct()
    assert ids.count() == live.count()
    # At every instant as many as were asked for.
    at = "TIMESTAMP '2024-03-15 12:00:00' BETWEEN start_ts AND end_ts"
    assert live.where(at).count() == WORLD.activities
    between = spark.sql("SELECT 1").crossJoin(shown.select("user", "exposure_ts"))
    gaps = between.selectExpr(
        "exposure_ts - lag(exposure_ts) OVER (PARTITION BY user ORDER BY exposure_ts) AS gap"
    )
    assert gaps.where("gap < INTERVAL 1 DAY").isEmpty()


def test_the_truth_of_any_list_is_that_of_its_exposures(shown: DataFrame) -> None:
    wanted = shown.select("user_id", "activity_id", "exposure_ts", "probability")
    lists = wanted.drop("probability")
    found = with_truth(lists, WORLD, F.col("exposure_ts"))
    both = found.join(wanted.withColumnRenamed("probability", "wanted"), on=lists.columns)
    assert both.where("abs(probability - wanted) > 1e-12").isEmpty()
    assert both.count() == shown.count()


def test_nobody_does_better_than_the_best_policy(
    spark: SparkSession, people: DataFrame, shown: DataFrame
) -> None:
    """It is that of the best of what is live on the day, one by one."""
    some, day = people.where("user < 20"), 100
    instant = F.lit(str(WORLD.start + timedelta(days=day))).cast("timestamp")
    is_live = (F.col("start_ts") <= instant) & (F.col("end_ts") > instant)
    live = activities(spark, WORLD).where(is_live)
    each = some.select("user_id").crossJoin(live.select("activity_id"))
    true = with_truth(each, WORLD, instant).groupBy("user_id").agg(F.max("probability"))
    wanted = true.agg(F.avg("max(probability)")).first()
    of_log = shown.agg(F.avg("probability")).first()
    assert wanted is not None and of_log is not None
    assert best_value(some, WORLD, day) == pytest.approx(wanted[0])
    assert best_value(people, WORLD, day) > 2 * of_log[0]


def test_the_best_of_very_many_activities_is_found(people: DataFrame) -> None:
    world = replace(WORLD, activities=2_500)
    assert 0 < best_value(people.where("user < 2"), world, 100) < 1


def test_responses_are_those_that_training_will_see(
    spark: SparkSession, people: DataFrame, shown: DataFrame
) -> None:
    """By the project's own definition, with the window of the world's configuration."""
    window = Config.model_validate(configuration(WORLD)).response
    key = ["user_id", "activity_id", "exposure_ts"]
    some = shown.where("user < 500")
    found = outcomes(some.select(key), activities(spark, WORLD), responses(some, WORLD), window)
    both = found.join(some.select(*key, "answered"), key)
    assert both.count() == some.count()
    assert both.where("(response_ts IS NOT NULL) <> answered").isEmpty()


def test_eligible_products_are_of_the_activitys_category(spark: SparkSession) -> None:
    of_activity = activities(spark, WORLD).select("activity_id", "category")
    of_product = products(spark, WORLD, 1).selectExpr("product_id", "category AS theirs")
    both = activity_products(spark, WORLD).join(of_activity, "activity_id", "left")
    both = both.join(of_product, "product_id", "left")
    assert both.where("NOT category <=> theirs").isEmpty()
    sizes = both.groupBy("activity_id").count().toPandas()["count"]
    # Of some 17 products in a category, with repetitions.
    assert sizes.between(3, WORLD.products_per_activity).all()


def test_people_differ_as_the_world_says(people: DataFrame) -> None:
    rows = people.toPandas()
    shares = rows["city"].value_counts(normalize=True)
    assert {city: shares[city] for city in CITIES} == pytest.approx(CITIES, abs=0.03)
    assert rows["sensitivity"].mean() == pytest.approx(0, abs=0.08)
    assert rows["sensitivity"].std() == pytest.approx(1, abs=0.08)
    assert np.corrcoef(rows["age"], rows["sensitivity"])[0, 1] < -0.6
    assert rows["pace"].mean() == pytest.approx(1, abs=0.08)


def test_favourite_products_come_again_and_bots_only_view(
    people: DataFrame, spark: SparkSession
) -> None:
    made = events(people, WORLD).join(people.select("user_id", "bot", "joined"), "user_id")
    rows = made.toPandas()
    bots = rows[rows["bot"]]
    assert set(bots["event_type"]) == {"view"}
    assert len(bots) / bots["user_id"].nunique() > 50
    others = rows[~rows["bot"]]
    assert len(others) / WORLD.users == pytest.approx(WORLD.events_per_user * 0.87, rel=0.15)
    bought = others[others["event_type"] == "purchase"]
    assert (bought["amount"] > 0).all() and bought["quantity"].between(1, 3).all()
    assert others.loc[others["event_type"] == "comment", "text"].notna().all()
    twice = others.groupby(["user_id", "product_id"]).size()
    assert (twice > 1).mean() > 0.08
    assert rows["event_id"].is_unique


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"users": 0}, "users"),
        ({"activities": 3}, "activities"),
        ({"exposures_per_user": 91}, "exposures_per_user"),
        ({"days": 59, "exposures_per_user": 1}, "days"),
        ({"products": 5, "users": -1}, "users, products"),
        ({"users": 10**20}, "users"),
        ({"days": 10_000_000}, "days"),
        ({"exposures_per_user": 0}, "exposures_per_user"),
        ({"products_per_activity": -1, "taste": math.nan}, "products_per_activity, taste"),
        ({"price": math.inf}, "price"),
    ],
)
def test_a_world_that_cannot_be_is_refused(wrong: dict[str, float], named: str) -> None:
    with pytest.raises(ConfigError, match=f"^{named} out of range"):
        World(**{"users": 10, **wrong})


def test_off_policy_intervals_cover_what_the_world_says(
    people: DataFrame, shown: DataFrame
) -> None:
    """Of the policy that shows each user any activity of their first category, from the log."""
    # The world knows its contexts: the users' traits, and what was live when.
    log = shown.select("user", "exposure_ts", "propensity", "answered", lane_of_id().alias("shown"))
    log = log.join(people, on="user").withColumn("day", day_of(WORLD, F.col("exposure_ts")))
    mine = lanes_of(WORLD, F.col("first"))
    own = F.pmod("shown", F.lit(WORLD.categories)) == F.col("first")
    decisions = log.select(
        "user_id",
        F.col("answered").cast("double").alias("reward"),
        "propensity",
        F.when(own, 1 / mine).otherwise(0.0).alias("target"),
    )
    found = {row["estimator"]: row for row in off_policy_estimates(decisions).collect()}

    places = F.explode(F.sequence(F.lit(0), mine - 1)).alias("place")
    each = log.select("*", places)
    what = campaign_at(WORLD, F.col("first") + F.col("place") * WORLD.categories, F.col("day"))
    would = F.sum(probability(WORLD, what, F.col("day")) / mine) / F.count_distinct("user", "day")
    truth, own_rate = each.agg(would).first()[0], shown.agg(F.avg("probability")).first()[0]
    assert truth > 2 * own_rate
    for estimator in ("ipw", "snipw"):
        row = found[estimator]
        assert row["low"] < truth < row["high"] < 1.2 * truth
