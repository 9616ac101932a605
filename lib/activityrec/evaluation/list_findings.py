"""What is said of the lists made at as_of: of the model under test, and of other orders."""

from collections.abc import Sequence
from datetime import timedelta
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.evaluation.baselines import affinity_amount, with_popularity
from activityrec.evaluation.beyond_accuracy import list_arrays, property_counts, property_draws
from activityrec.evaluation.coverage import coverage_draws
from activityrec.evaluation.draws import Bootstrap, differences, summarised
from activityrec.evaluation.findings import Findings, shaped
from activityrec.evaluation.listed import ListedActivities, known_shares
from activityrec.evaluation.lists import best_first, list_counts, list_draws, list_hits
from activityrec.features.outcomes import responses_of
from activityrec.sampling import in_sample
from activityrec.serving.candidates import (
    Serving,
    Sides,
    retrieved,
    scored_candidates,
    sides,
)
from activityrec.serving.diversity import activity_similarity, diversified


def of_lists(
    serving: Serving, events: DataFrame, learnt: DataFrame | None, champion: Serving | None = None
) -> Findings:
    """Everything that is said of the lists.

    Users asked for are those who answered something in the horizon, and a sample of all users:
    accuracy is over the former, what lists are like over the latter.

    Parameters
    ----------
    events
        To the end of the data.
    learnt
        ``features.training_examples`` of the frozen ranker; None without one.
    champion
        The model in use, whose lists are set beside; None: there is none, or it is this one.
    """
    answered = answers(serving, events)
    # What many plans are made of is written aside, lest each of them repeats how it was made.
    asked = asked_users(serving, answered).checkpoint()
    mine = serving.only(asked.select("user_id"))
    both = sides(mine)
    recommend = serving.config.recommend
    ks = [k for k in serving.config.evaluate.k if k <= recommend.k] or [recommend.k]
    scored = under_test(serving, asked, both)
    if recommend.diversity > 0:
        scored = scored.persist()
    made = [
        best_first(of_simple_orders(mine, both, learnt), other_orders(serving), max(ks)),
        best_first(scored, {name_under_test(serving): "score"}, max(ks)),
    ]
    if champion is not None:
        served = champion.only(asked.select("user_id"), every_activity=False)
        candidates = scored_candidates(served, sides(served))
        made.append(best_first(candidates, {"champion": "score"}, max(ks)))
    if recommend.diversity > 0:
        made.append(diversified_lists(serving, both, scored, max(ks)))
    lists = reduce(DataFrame.unionByName, made).checkpoint()
    relevant = findable(serving, answered, both, lists).checkpoint()
    return _findings(serving, lists, relevant, asked, both, ks)


def of_simple_orders(serving: Serving, both: Sides, learnt: DataFrame | None) -> DataFrame:
    """The candidates with the columns of :func:`other_orders`: nothing of the ranker."""
    features = serving.config.features
    spent = [f"{features.purchase_type}_eligible_amount"] * bool(features.purchase_type)
    rows = with_popularity(retrieved(serving, both, spent, ranks=False), learnt)
    return rows.withColumn("affinity", affinity_amount(features))


def under_test(serving: Serving, asked: DataFrame, both: Sides) -> DataFrame:
    """What ``recommend`` makes its lists from at as_of, for the users asked for.

    Of more live activities than ``recommend.candidates`` the retrievers choose, as many as there:
    the other orders are of all.
    """
    mine = serving.only(asked.select("user_id"), every_activity=False)
    return scored_candidates(mine, both).select("user_id", "activity_id", "score")


def findable(serving: Serving, answered: DataFrame, both: Sides, lists: DataFrame) -> DataFrame:
    """(user_id, activity_id, ``expected``): what was answered and could have been recommended,
    with its rank by popularity; NULL: not in that list."""
    pairs = ["user_id", "activity_id"]
    few = serving.only(answered.select("user_id").distinct())
    possible = retrieved(few, both.for_users(few), [], ranks=False).select(*pairs)
    usual = lists.where("model = 'popularity'").select(*pairs, F.col("rank").alias("expected"))
    return answered.join(possible, on=pairs, how="left_semi").join(usual, on=pairs, how="left")


def diversified_lists(serving: Serving, both: Sides, scored: DataFrame, k: int) -> DataFrame:
    """The lists of the model under test, re-ranked as ``recommend.diversity`` says."""
    strength, ids = serving.config.recommend.diversity, both.live.side.activity_ids
    alike = activity_similarity(serving, both)
    lists = diversified(scored, ids, alike, strength, k)
    return lists.withColumn("model", F.lit("diversified"))


def name_under_test(serving: Serving) -> str:
    """The name of the model under test."""
    return "retrieval" if serving.ranker is None else "ranker"


def other_orders(serving: Serving) -> dict[str, str]:
    """The baselines and retrievers, by the columns of candidates that order them."""
    retrievers = serving.config.retrieval.score_columns
    orders = {"popularity": "popularity", "affinity": "affinity", **retrievers}
    if serving.ranker is not None and len(retrievers) > 1:
        orders["retrieval"] = "list_score"
    return orders


def answers(serving: Serving, events: DataFrame) -> DataFrame:
    """(user_id, activity_id): what was answered in the horizon."""
    since = F.lit(serving.as_of).cast("timestamp")
    end = serving.as_of + timedelta(days=serving.config.evaluate.horizon_days)
    until = F.lit(end).cast("timestamp")
    during = events.where((F.col("event_ts") >= since) & (F.col("event_ts") < until))
    answered = responses_of(during, serving.config.response)
    return answered.select("user_id", "activity_id").distinct()


def asked_users(serving: Serving, answered: DataFrame) -> DataFrame:
    """The known users who answered something, and a sample of all of them.

    Returns
    -------
    DataFrame
        user_id, ``sampled``: whether by a hash of user_id the user is among about
        ``evaluate.list_users`` of all; everyone is where there are fewer.
    """
    users = serving.users.select("user_id")
    share = serving.config.evaluate.list_users / max(1, users.count())
    active = answered.select("user_id").distinct().withColumn("_answered", F.lit(True))
    return (
        users.withColumn("sampled", in_sample(share, "lists"))
        .join(active, on="user_id", how="left")
        .where("sampled OR _answered")
        .drop("_answered")
    )


def listed_activities(serving: Serving, both: Sides) -> ListedActivities:
    """The live activities, with who knew them before as_of and what they are about."""
    history, ids = serving.history, both.live.side.activity_ids
    known = known_shares(history.events, history.exposures, ids, serving.users.count())
    return ListedActivities(ids, known, activity_similarity(serving, both))


def _findings(
    serving: Serving,
    lists: DataFrame,
    relevant: DataFrame,
    asked: DataFrame,
    both: Sides,
    ks: Sequence[int],
) -> Findings:
    limits = serving.config.evaluate
    bootstrap = Bootstrap(limits.replicates, limits.seed)
    hits = list_hits(lists, relevant).persist()
    accuracy = list_draws(hits, ks, bootstrap).persist()

    live = listed_activities(serving, both)
    number = relevant.groupBy("user_id").agg(F.count("*").cast("int").alias("_number"))
    everyone = asked.where("sampled").join(number, on="user_id", how="left")
    everyone = everyone.select("user_id", F.coalesce("_number", F.lit(0)).alias("relevant"))
    rows = list_arrays(lists, everyone, live.activity_ids).persist()
    others = property_draws(rows, live, ks, bootstrap).unionByName(
        coverage_draws(rows, len(live.activity_ids), ks, bootstrap)
    )
    others = others.persist()

    k = F.get(F.split("metric", "@"), F.lit(1)).cast("int").alias("k")
    of_accuracy = summarised(accuracy).select("*", k)
    of_others = summarised(others).select("*", k)
    counted = of_accuracy.join(list_counts(hits, ks), on=["model", "k"], how="inner").unionByName(
        of_others.join(property_counts(rows, ks), on=["model", "metric"], how="inner")
    )
    # To how many users nothing was relevant is the same for all models.
    compared = accuracy.unionByName(others).where("metric != 'users_without_relevant'")
    pairs = differences(compared, ["metric"]).select("*", k)
    spark = lists.sparkSession
    return Findings(
        shaped(tables.METRICS, counted, population="lists"),
        shaped(tables.COMPARISONS, pairs, population="lists"),
        spark.createDataFrame([], tables.CURVES.row_type).drop("run_id", "as_of"),
    )
