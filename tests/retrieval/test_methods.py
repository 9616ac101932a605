"""What each retriever computes, by hand."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from activityrec.config import (
    AlsConfig,
    BayesConfig,
    Config,
    ContentConfig,
    EaseConfig,
    HistoryConfig,
    ItemKnnConfig,
    PopularityConfig,
    RetrievalConfig,
    SegmentsConfig,
)
from activityrec.errors import ConfigError, StateError
from activityrec.retrieval.activities import activity_vectors
from activityrec.retrieval.methods.als import fit_als
from activityrec.retrieval.methods.bayes import fit_bayes
from activityrec.retrieval.methods.content import fit_content
from activityrec.retrieval.methods.ease import fit_ease, item_weights
from activityrec.retrieval.methods.history import fit_history
from activityrec.retrieval.methods.item_knn import fit_item_knn
from activityrec.retrieval.methods.popularity import fit_popularity
from activityrec.retrieval.protocol import Vectors
from activityrec.retrieval.scores import probabilities
from activityrec.retrieval.segments import fit_segments, with_segment, with_segments
from tests.retrieval.boards import DAY, Rows, known

BOUGHT: Rows = [
    ("u1", "product", "a", 1.0),
    ("u1", "product", "b", 2.0),
    ("u2", "product", "a", 3.0),
    ("u2", "product", "b", 1.0),
    ("u2", "product", "c", 1.0),
    ("u3", "product", "c", 2.0),
]
ROOT_10, ROOT_5 = np.sqrt(10.0), np.sqrt(5.0)
COSINE_AB = (1 * 2 + 3 * 1) / (ROOT_10 * ROOT_5)


def terms(vectors: Vectors) -> dict[str, dict[str, float]]:
    """Item to the values of its vector, by the item at that place."""
    rows = vectors.items.collect()
    names = sorted(row["item_id"] for row in rows)
    return {
        row["item_id"]: {
            names[place]: pytest.approx(value)
            for place, value in zip(row["indices"] or range(len(names)), row["vector"], strict=True)
            if value
        }
        for row in rows
    }


def test_item_knn_is_the_damped_cosine_of_columns(spark: SparkSession) -> None:
    config = ItemKnnConfig(shrinkage=2.0, min_users=1)
    found = terms(fit_item_knn(known(spark, BOUGHT), config))
    near_c = {"a": 3 / (ROOT_10 * ROOT_5) / 3, "b": 1 / 5 / 3}
    assert found == {
        "a": {"b": COSINE_AB * 2 / 4, "c": near_c["a"]},
        "b": {"a": COSINE_AB * 2 / 4, "c": near_c["b"]},
        "c": near_c,
    }


def test_item_knn_keeps_the_nearest_and_leaves_out_what_few_users_share(
    spark: SparkSession,
) -> None:
    one = fit_item_knn(known(spark, BOUGHT), ItemKnnConfig(neighbours=1, min_users=1))
    assert {item: set(near) for item, near in terms(one).items()} == {
        "a": {"b"}, "b": {"a"}, "c": {"a"}
    }  # fmt: skip
    shared = fit_item_knn(known(spark, BOUGHT), ItemKnnConfig(min_users=2))
    assert set(terms(shared)) == {"a", "b"}


def test_ease_rebuilds_users_without_using_an_item_for_itself(spark: SparkSession) -> None:
    X = np.array([[1, 1, 0], [1, 1, 1], [0, 0, 1]], dtype=float)
    B = item_weights(X.T @ X, 2.0)
    np.testing.assert_array_equal(np.diag(B), 0)
    # The closed form is the least-squares solution of each column over the other items.
    for item in range(3):
        others = [other for other in range(3) if other != item]
        A = X[:, others]
        solved = np.linalg.solve(A.T @ A + 2.0 * np.eye(2), A.T @ X[:, item])
        np.testing.assert_allclose(B[others, item], solved)
    found = terms(fit_ease(known(spark, BOUGHT), EaseConfig(reg=2.0)))
    names = "abc"
    assert found == {
        names[i]: {names[j]: B[j, i] for j in range(3) if abs(B[j, i]) > 0} for i in range(3)
    }


def test_ease_refuses_a_catalogue_that_is_too_large(spark: SparkSession) -> None:
    with pytest.raises(ConfigError, match="retrieval.ease: 3 items .* max_items 2"):
        fit_ease(known(spark, BOUGHT), EaseConfig(max_items=2))


def test_history_is_the_weight_of_what_the_user_did(spark: SparkSession) -> None:
    vectors = fit_history(known(spark, BOUGHT), HistoryConfig())
    assert terms(vectors) == {name: {name: 1.0} for name in "abc"}
    users = {row["user_id"]: (row["indices"], row["vector"]) for row in vectors.users.collect()}
    assert users == {
        "u1": ([0, 1], [1.0, 2.0]),
        "u2": ([0, 1, 2], [3.0, 1.0, 1.0]),
        "u3": ([2], [2.0]),
    }


def dot(user: dict[int, float], item: dict[int, float]) -> float:
    return sum(value * item.get(place, 0.0) for place, value in user.items())


def places(frame, key: str) -> dict[str, dict[int, float]]:  # type: ignore[no-untyped-def]
    return {
        row[key]: dict(zip(row["indices"] or range(len(row["vector"])), row["vector"], strict=True))
        for row in frame.collect()
    }


def test_who_saw_three_activities_and_bought_in_one_gets_that_one_first(
    spark: SparkSession,
) -> None:
    seen: Rows = [("u", "activity", f"a{n}", 0.1) for n in (1, 3)] + [("u", "activity", "a2", 1.1)]
    vectors = fit_history(known(spark, seen), HistoryConfig())
    users, items = places(vectors.users, "user_id"), places(vectors.items, "item_id")
    scores = {name: dot(users["u"], vector) for name, vector in items.items()}
    assert max(scores, key=lambda name: scores[name]) == "a2"


def test_item_knn_compares_products_with_activities(spark: SparkSession) -> None:
    rows: Rows = [
        ("u1", "product", "p1", 1.0), ("u1", "activity", "a1", 2.0),
        ("u2", "product", "p1", 2.0), ("u2", "product", "p2", 2.0),
        ("u3", "product", "p2", 1.0), ("u3", "activity", "a1", 1.0),
    ]  # fmt: skip
    near = terms(fit_item_knn(known(spark, rows), ItemKnnConfig(shrinkage=0.0, min_users=1)))
    assert near == {
        "a1": {"p1": 2 / (ROOT_5 * ROOT_5), "p2": 1 / (ROOT_5 * ROOT_5)},
        "p1": {"a1": 2 / (ROOT_5 * ROOT_5), "p2": 4 / (ROOT_5 * ROOT_5)},
        "p2": {"a1": 1 / (ROOT_5 * ROOT_5), "p1": 4 / (ROOT_5 * ROOT_5)},
    }


def test_content_is_the_cosine_of_profiles_and_words(spark: SparkSession) -> None:
    rows: Rows = [("u0", "product", "p0", 2.0), ("u0", "product", "p1", 1.0),
                  ("u1", "product", "p1", 1.0), ("u1", "activity", "a2", 3.0)]  # fmt: skip
    vectors = fit_content(known(spark, rows), ContentConfig(features=1_024))
    users, items = places(vectors.users, "user_id"), places(vectors.items, "item_id")
    # Each item has one word, so that its vector is that word: even, odd, or the type even.
    assert {name: sum(v**2 for v in item.values()) for name, item in items.items()} == {
        "p0": pytest.approx(1), "p1": pytest.approx(1), "a2": pytest.approx(1),
    }  # fmt: skip
    found = {(u, i): dot(users[u], items[i]) for u in users for i in items}
    assert found == {
        ("u0", "p0"): pytest.approx(2 / ROOT_5), ("u0", "p1"): pytest.approx(1 / ROOT_5),
        ("u0", "a2"): 0.0, ("u1", "p0"): 0.0,
        ("u1", "p1"): pytest.approx(1 / ROOT_10), ("u1", "a2"): pytest.approx(3 / ROOT_10),
    }  # fmt: skip


def test_bayes_multiplies_likelihood_and_prior() -> None:
    likelihood, prior, evidence = np.array([0.2, 0.5, 0.2]), np.array([0.1, 0.3, 0.1]), 0.5
    joint = likelihood * prior / evidence
    np.testing.assert_allclose(joint, [0.04, 0.3, 0.04])
    scores = np.log(likelihood) + np.log(prior)
    everything = np.ones((1, 3), dtype=bool)
    np.testing.assert_allclose(probabilities(scores[None, :], everything)[0], joint / joint.sum())
    # Only what is live takes part; an unknown user has nothing.
    live = np.array([[True, False, True], [False, False, False]])
    np.testing.assert_allclose(
        probabilities(np.vstack([scores, scores]), live), [[0.5, 0, 0.5], [0, 0, 0]]
    )


def test_bayes_counts_what_the_users_of_an_activity_are(spark: SparkSession) -> None:
    rows: Rows = [(f"u{n}", "activity", "a0", 1.0) for n in (0, 2, 4, 1)]
    rows += [("u3", "activity", "a1", 1.0)]
    vectors = fit_bayes(known(spark, rows), BayesConfig(smoothing=1.0))
    found = {row["item_id"]: np.exp(row["vector"]) for row in vectors.items.collect()}
    # Terms: gender=even of three users, gender=odd of two; then the prior.
    np.testing.assert_allclose(found["a0"], [4 / 6, 2 / 6, 5 / 7], rtol=1e-6)
    np.testing.assert_allclose(found["a1"], [1 / 3, 2 / 3, 2 / 7], rtol=1e-6)


def test_bayes_needs_something_to_look_at(spark: SparkSession) -> None:
    nobody = known(spark, [("u", "activity", "a", 1.0)])
    blank = nobody.users.withColumn("gender", F.lit(None).cast("string"))
    with pytest.raises(StateError, match="users have no attributes"):
        fit_bayes(replace(nobody, users=blank), BayesConfig())


def test_als_over_activities_alone_cannot_score_a_new_one_and_the_blend_can(
    spark: SparkSession,
) -> None:
    board = [(f"u{u}", "product", f"p{p}", 1.0) for u in range(8) for p in range(6)
             if u % 2 == p % 2] + [(f"u{u}", "activity", f"a{u % 2}", 1.0) for u in range(8)
                                   if u > 1]  # fmt: skip
    covered = spark.createDataFrame(
        [("new", "p0"), ("new", "p2")], "activity_id STRING, product_id STRING"
    )
    found = {}
    for kinds in (["activity"], ["product", "activity"]):
        config = AlsConfig(rank=2, max_iter=10, alpha=20.0, blocks=1, items=kinds)
        vectors = fit_als(known(spark, board), config)
        marks = {"fitted_date": F.lit(DAY), "retriever": F.lit("als")}
        activities = activity_vectors(vectors.items.withColumns(marks), covered, 50.0)
        users = places(vectors.users, "user_id")
        new = places(activities.where("activity_id = 'new'"), "activity_id").get("new")
        found[len(kinds)] = new and {user: dot(vector, new) for user, vector in users.items()}
    assert found[1] is None
    assert found[2] is not None
    even, odd = ([found[2][f"u{u}"] for u in range(8) if u % 2 == part] for part in (0, 1))
    assert min(even) > max(odd)


def test_popularity_is_the_share_of_all_weight_or_of_that_of_the_segment(
    spark: SparkSession, planted_config: Config
) -> None:
    rows: Rows = [(f"u{n:02d}", "product", f"p{n % 2}", 2.0) for n in range(12)]
    rows += [("u00", "activity", "a0", 1.0)]
    whole = places(fit_popularity(known(spark, rows), PopularityConfig()).items, "item_id")
    assert whole == {
        "a0": {0: pytest.approx(1 / 25)}, "p0": {0: pytest.approx(12 / 25)},
        "p1": {0: pytest.approx(12 / 25)},
    }  # fmt: skip
    retrieval = {"segments": {"sizes": [2, 5]}, "popularity": {"by_segment": True}}
    config = planted_config.model_copy(update={"retrieval": RetrievalConfig(**retrieval)})
    apart = with_segments(known(spark, rows), config)
    vectors = fit_popularity(apart, config.retrieval.popularity)
    users, items = places(vectors.users, "user_id"), places(vectors.items, "item_id")
    assert dot(users["u02"], items["p0"]) > dot(users["u03"], items["p0"]) == 0
    assert dot(users["u03"], items["p1"]) == pytest.approx(1)


@pytest.mark.slow
def test_the_number_of_segments_is_that_which_tells_them_apart(spark: SparkSession) -> None:
    rows: Rows = [(f"u{n:02d}", "product", f"p{n % 2}", 1.0 + n / 1_000) for n in range(20)]
    found = fit_segments(known(spark, rows), SegmentsConfig(sizes=[2, 3, 6])).collect()
    by_kind = {
        kind: {row["segment"] for row in found if int(row["user_id"][1:]) % 2 == kind}
        for kind in (0, 1)
    }
    assert len(found) == 20
    assert sorted(map(len, by_kind.values())) == [1, 1]
    assert by_kind[0] != by_kind[1]
    alone = fit_segments(known(spark, rows[:1]), SegmentsConfig()).collect()
    assert [tuple(row) for row in alone] == [("u00", 0)]


def test_who_comes_later_is_not_known(spark: SparkSession) -> None:
    """Numbers may be those of a later day, when there are more users."""
    rows: Rows = [(f"u{n}", "product", "p0", 1.0) for n in range(3)]
    board = known(spark, rows)
    before = replace(board, interactions=board.interactions.where("user_id <> 'u2'"))
    found = {row["user_id"] for row in fit_popularity(before, PopularityConfig()).users.collect()}
    assert found == {"u0", "u1"}


def test_segments_are_in_the_order_of_what_their_users_do(spark: SparkSession) -> None:
    board = known(spark, [(f"u{n:02d}", "product", f"p{n % 2}", 1.0) for n in range(12)])
    daily = board.interactions.withColumns(
        {
            "event_type": F.lit("view"),
            # Those with an even number do a lot.
            "events": F.when(F.substring("user_id", 3, 1) % 2 == 0, 90).otherwise(1),
        }
    )
    found = fit_segments(replace(board, daily=daily), SegmentsConfig(sizes=[2], categories=0))
    for row in found.collect():
        assert row["segment"] == (int(row["user_id"][1:]) % 2 == 0)


def test_the_segment_of_an_example_is_that_of_the_last_fit_before_it(spark: SparkSession) -> None:
    first, second = date(2024, 3, 1), date(2024, 4, 1)
    segments = spark.createDataFrame(
        [(first, "u", 0), (second, "u", 1), (second, "new", 2)],
        "fitted_date DATE, user_id STRING, segment INT",
    )
    days = [date(2024, 2, 1), date(2024, 3, 31), second, date(2024, 5, 1)]
    rows = spark.createDataFrame(
        [(day, user) for day in days for user in ("u", "new")], "snapshot_date DATE, user_id STRING"
    )
    found = with_segment(rows, segments, [first, second]).collect()
    by_user = {
        user: [row["segment"] for row in sorted(found) if row["user_id"] == user]
        for user in ("u", "new")
    }
    assert by_user == {"u": [None, "0", "1", "1"], "new": [None, None, "2", "2"]}
    assert with_segment(rows, None, [first]) is rows


def test_popularity_by_segment_needs_segments() -> None:
    with pytest.raises(ValueError, match="by_segment needs segments"):
        RetrievalConfig.model_validate({"popularity": {"by_segment": True}})
