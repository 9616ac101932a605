"""What lists are like, by the definitions in plain Python; RecTools computes the same metrics."""

import math
from itertools import combinations

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from activityrec.evaluation.beyond_accuracy import list_arrays, property_counts, property_draws
from activityrec.evaluation.bootstrap import counts
from activityrec.evaluation.coverage import coverage_draws
from activityrec.evaluation.draws import Bootstrap
from activityrec.evaluation.listed import ListedActivities, known_shares, similarities

ACTIVITIES = [f"a{n}" for n in range(12)]
BOOTSTRAP = Bootstrap(20, 3)
KS = [1, 3, 10]
Lists = dict[str, list[str]]


def arrays(spark: SparkSession, lists: Lists, relevant: dict[str, int]) -> DataFrame:
    rows = [("m", user, a, n) for user, made in lists.items() for n, a in enumerate(made, start=1)]
    made = spark.createDataFrame(
        rows, "model STRING, user_id STRING, activity_id STRING, rank INT"
    ).repartition(3)
    asked = spark.createDataFrame(list(relevant.items()), "user_id STRING, relevant INT")
    return list_arrays(made, asked, ACTIVITIES)


def known(seed: int = 5) -> ListedActivities:
    random = np.random.default_rng(seed)
    vectors = random.random((12, 4))
    vectors /= np.linalg.norm(vectors, axis=1)[:, None]
    return ListedActivities(tuple(ACTIVITIES), random.uniform(0.01, 1, 12), vectors @ vectors.T)


def user_counts(spark: SparkSession, users: list[str]) -> dict[str, np.ndarray]:
    """How often each user is drawn: (1 + replicates,)."""
    frame = spark.createDataFrame([(user,) for user in users], "user_id STRING")
    rows = frame.select("user_id", F.xxhash64("user_id").alias("hash")).toPandas()
    hashes = rows["hash"].to_numpy().view(np.uint64)
    times = counts(hashes, BOOTSTRAP.replicates, BOOTSTRAP.seed)
    return dict(zip(rows["user_id"], times, strict=True))


def mean(values: dict[str, float], times: dict[str, np.ndarray], draw: int) -> float:
    """Over the users with a value, each as often as it is drawn."""
    weight = sum(times[user][draw] for user in values)
    total = sum(times[user][draw] * value for user, value in values.items())
    return total / weight if weight else math.nan


def by_definition(
    lists: Lists,
    relevant: dict[str, int],
    activities: ListedActivities,
    times: dict[str, np.ndarray],
    k: int,
    draw: int,
) -> dict[str, float]:
    place = {name: n for n, name in enumerate(ACTIVITIES)}
    cut = {user: [place[a] for a in made[:k]] for user, made in lists.items() if made}
    new = {
        user: sum(-math.log2(activities.known_share[a]) for a in made) / len(made)
        for user, made in cut.items()
    }
    apart = {}
    for user, made in cut.items():
        pairs = [1 - activities.similarity[one, other] for one, other in combinations(made, 2)]
        if pairs:
            apart[user] = sum(pairs) / len(pairs)
    often = [0.0] * len(ACTIVITIES)
    for user, made in cut.items():
        for activity in made:
            often[activity] += times[user][draw]
    # The mean difference of every two activities, as a share of its largest value.
    between = sum(abs(one - other) for one in often for other in often)
    n = len(often)
    return {
        f"novelty@{k}": mean(new, times, draw),
        f"diversity@{k}": mean(apart, times, draw),
        f"activity_coverage@{k}": sum(count > 0 for count in often) / n,
        f"gini@{k}": between / (2 * (n - 1) * sum(often)) if sum(often) else math.nan,
        "user_coverage": mean({u: float(bool(lists.get(u))) for u in relevant}, times, draw),
        "users_without_relevant": mean(
            {user: float(number == 0) for user, number in relevant.items()}, times, draw
        ),
    }


def test_every_metric_and_replicate_of_random_lists(spark: SparkSession) -> None:
    random = np.random.default_rng(4)
    relevant = {f"u{n}": int(random.integers(0, 3)) for n in range(200)}
    # Not all of 12 activities at k = 1, lists shorter than k, empty ones, users without a row.
    lists = {
        user: random.permutation(ACTIVITIES[: random.integers(4, 13)])[
            : random.integers(0, 12)
        ].tolist()
        for user in relevant
    }
    rows, activities = arrays(spark, lists, relevant).persist(), known()
    draws = property_draws(rows, activities, KS, BOOTSTRAP).unionByName(
        coverage_draws(rows, len(ACTIVITIES), KS, BOOTSTRAP)
    )
    found = {row["metric"]: row["draws"] for row in draws.collect()}
    times = user_counts(spark, list(relevant))
    wanted: dict[str, list[float]] = {}
    for draw in range(1 + BOOTSTRAP.replicates):
        values: dict[str, float] = {}
        for k in KS:
            values |= by_definition(lists, relevant, activities, times, k, draw)
        for name, value in values.items():
            wanted.setdefault(name, []).append(value)
    assert set(found) == set(wanted)
    for name, expected in wanted.items():
        values = np.array([math.nan if value is None else value for value in found[name]])
        np.testing.assert_allclose(values, expected, atol=1e-9, rtol=0, err_msg=name)


def test_counts_say_how_many_users_a_metric_is_of(spark: SparkSession) -> None:
    lists = {"u1": ["a1", "a2", "a3"], "u2": ["a1"], "u3": []}
    rows = arrays(spark, lists, {"u1": 2, "u2": 0, "u3": 0})
    found = {
        row["metric"]: (row["rows"], row["positives"], row["groups"])
        for row in property_counts(rows, [2]).collect()
    }
    assert found == {
        "users_without_relevant": (0, 2, 2),
        "user_coverage": (4, 2, 3),
        "novelty@2": (3, 2, 2),
        "activity_coverage@2": (3, 2, 2),
        "gini@2": (3, 2, 2),
        # The second list is too short for a pair.
        "diversity@2": (3, 2, 1),
    }


@pytest.mark.parametrize(
    ("lists", "coverage", "gini"),
    [
        ({"u1": ["a0"], "u2": ["a0"]}, 1 / 12, 1.0),
        ({"u1": ACTIVITIES, "u2": ACTIVITIES}, 1.0, 0.0),
    ],
)
def test_gini_is_one_for_the_same_activity_always_and_zero_for_all_alike(
    spark: SparkSession, lists: Lists, coverage: float, gini: float
) -> None:
    rows = arrays(spark, lists, dict.fromkeys(lists, 1))
    draws = coverage_draws(rows, 12, [12], Bootstrap(0, 0)).collect()
    assert {row["metric"]: row["draws"][0] for row in draws} == pytest.approx(
        {"activity_coverage@12": coverage, "gini@12": gini}
    )


def test_who_knows_an_activity_had_an_event_on_it_or_was_sent_it(spark: SparkSession) -> None:
    schema = "user_id STRING, activity_id STRING"
    events = spark.createDataFrame([("u1", "a"), ("u1", "a"), ("u2", "x"), ("u2", None)], schema)
    sent = spark.createDataFrame([("u1", "a"), ("u3", "a")], schema)
    shares = known_shares(events, sent, ["a", "b"], 8)
    assert shares.tolist() == pytest.approx([(2 + 1) / 10, (0 + 1) / 10])


def test_activities_are_alike_that_share_rare_words(spark: SparkSession) -> None:
    activities = spark.createDataFrame(
        [
            ("a", "coupon", "mail", "unknown"),
            ("b", "coupon", "mail", "unknown"),
            ("c", "coupon", None, "unknown"),
            ("d", "sale", None, "north"),
            ("e", None, None, None),
        ],
        "activity_id STRING, activity_type STRING, channel STRING, region STRING",
    )
    products = spark.createDataFrame(
        [("p1", "tea"), ("p2", "tea"), ("p3", "milk"), ("p4", None)],
        "product_id STRING, category STRING",
    )
    eligible = spark.createDataFrame(
        [("a", "p1"), ("a", "p1"), ("a", "p3"), ("b", "p2"), ("b", "p3"), ("c", "p3"), ("d", "p4")],
        "activity_id STRING, product_id STRING",
    )
    columns = ["activity_type", "channel", "region"]
    ids = list("abcde")
    found = similarities(activities, eligible, products, ids, columns)

    def idf(number: int) -> float:
        return math.log((1 + 5) / (1 + number)) + 1

    a = {"coupon": idf(3), "mail": idf(2), "tea": math.sqrt(1 / 2) * idf(2),
         "milk": math.sqrt(1 / 2) * idf(3)}  # fmt: skip
    c = {"coupon": idf(3), "milk": idf(3)}
    lengths = [math.sqrt(sum(value**2 for value in words.values())) for words in (a, c)]
    expected = (a["coupon"] * c["coupon"] + a["milk"] * c["milk"]) / (lengths[0] * lengths[1])
    assert found[0, 2] == pytest.approx(expected)
    assert found[0, 1] == pytest.approx(1.0)
    assert found[0, 3] == 0
    assert found[4].tolist() == [0.0] * 5
