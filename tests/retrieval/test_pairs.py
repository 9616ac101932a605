"""Scores and ranks of given pairs are those of the last fit by the day, among its activities."""

from datetime import date, datetime

import numpy as np
import pytest
from pyspark.sql import Row, SparkSession

from activityrec import tables
from activityrec.retrieval.fits import last_fit
from activityrec.retrieval.pairs import calendar, pair_scores
from tests.stand_ins import unmarked

MARCH, APRIL = date(2024, 3, 1), date(2024, 4, 1)
FITS = [APRIL, MARCH]
BEFORE, EARLY, LATE = date(2024, 2, 29), date(2024, 3, 31), date(2024, 4, 1)


@pytest.fixture(scope="module")
def found(spark: SparkSession) -> dict[tuple[date, str, str], Row]:
    activities = spark.createDataFrame(
        [
            ("a", datetime(2024, 1, 1), None),
            ("b", datetime(2024, 1, 1), datetime(2024, 4, 1)),
            ("c", datetime(2024, 3, 31, 12), datetime(2024, 5, 1)),
        ],
        "activity_id STRING, start_ts TIMESTAMP, end_ts TIMESTAMP",
    )
    users = [(fit, "als", "u", None, [float(fit.month), 1.0]) for fit in FITS]
    users += [(fit, "knn", "u", [3, 8], [1.0, 2.0]) for fit in FITS]
    vectors = {"a": [1.0, 0.0], "b": [2.0, 0.0], "c": [0.0, 100.0]}
    items = [(fit, "als", name, None, vector) for fit in FITS for name, vector in vectors.items()]
    items += [(fit, "knn", "b", [1, 8], [9.0, float(fit.month)]) for fit in FITS]
    shape = "indices ARRAY<INT>, vector ARRAY<FLOAT>"
    pairs = [
        (day, user, name) for day in (BEFORE, EARLY, LATE) for user in ("u", "new") for name in "ab"
    ]
    rows = pair_scores(
        spark.createDataFrame(pairs, "snapshot_date DATE, user_id STRING, activity_id STRING"),
        FITS,
        spark.createDataFrame(users, unmarked(tables.USER_VECTORS)),
        spark.createDataFrame(
            items, f"fitted_date DATE, retriever STRING, activity_id STRING, {shape}"
        ),
        calendar(activities, planning_days=0),
        ["als", "knn"],
    ).collect()
    assert len(rows) == len(pairs)
    return {(row["snapshot_date"], row["user_id"], row["activity_id"]): row for row in rows}


def test_the_last_fit_by_the_day_scores(found: dict[tuple[date, str, str], Row]) -> None:
    als = {key: row["als_score"] for key, row in found.items() if key[1:] == ("u", "b")}
    # Before the first fit nothing is known; a fit of the same day knew nothing of that day.
    assert {key[0]: score for key, score in als.items()} == {BEFORE: 0.0, EARLY: 6.0, LATE: 8.0}
    knn = {key: row["knn_score"] for key, row in found.items() if key[1] == "u"}
    assert {key[0]: score for key, score in knn.items() if key[2] == "b"} == {
        BEFORE: 0.0, EARLY: 6.0, LATE: 8.0
    }  # fmt: skip
    assert {score for key, score in knn.items() if key[2] == "a"} == {0.0}
    assert {row["als_score"] for key, row in found.items() if key[1] == "new"} == {0.0}


def test_ranks_are_among_the_activities_of_the_day(
    found: dict[tuple[date, str, str], Row],
) -> None:
    ranks = {key[::2]: row["als_rank"] for key, row in found.items() if key[1] == "u"}
    assert ranks == {
        # Nothing is known: both share the middle.
        (BEFORE, "a"): 1.5,
        (BEFORE, "b"): 1.5,
        # "c", the best, starts at noon.
        (EARLY, "a"): 2.0,
        (EARLY, "b"): 1.0,
        # "b" is over; it was shown all the same.
        (LATE, "a"): 3.0,
        (LATE, "b"): 2.0,
    }


def test_what_others_were_shown_changes_nothing(spark: SparkSession) -> None:
    """Ranks and probabilities are over the day's activities and what the user was shown."""
    spans = {"a": None, "b": None, "over": datetime(2024, 3, 5)}
    activities = spark.createDataFrame(
        [(name, datetime(2024, 1, 1), end) for name, end in spans.items()],
        "activity_id STRING, start_ts TIMESTAMP, end_ts TIMESTAMP",
    )
    users = [(MARCH, "bayes", user, None, [1.0]) for user in ("u", "v")]
    items = [(MARCH, "bayes", name, None, [value]) for name, value in
             (("a", 1.0), ("b", 1.0), ("over", 4.0))]  # fmt: skip
    schema = "fitted_date DATE, retriever STRING, activity_id STRING, indices ARRAY<INT>, "
    sides = (
        spark.createDataFrame(users, unmarked(tables.USER_VECTORS)),
        spark.createDataFrame(items, schema + "vector ARRAY<FLOAT>"),
    )

    def scores(*pairs: tuple[str, str]) -> Row:
        wanted = spark.createDataFrame(
            [(EARLY, *pair) for pair in pairs],
            "snapshot_date DATE, user_id STRING, activity_id STRING",
        ).coalesce(1)
        when = calendar(activities, planning_days=0)
        rows = pair_scores(wanted, [MARCH], *sides, when, ["bayes"])
        return rows.where("user_id = 'u' AND activity_id = 'a'").first()

    assert scores(("u", "a"))[3:] == (0.5, 1.5)
    assert scores(("u", "a"), ("v", "over"))[3:] == (0.5, 1.5)
    assert scores(("u", "a"), ("u", "over"))[3:] == (pytest.approx(1 / (2 + np.exp(3))), 2.5)


def test_days_of_an_activity_are_those_on_which_it_is_live(spark: SparkSession) -> None:
    activities = spark.createDataFrame(
        [("day", datetime(2024, 3, 1), datetime(2024, 3, 2)),
         ("noon", datetime(2024, 3, 1, 12), datetime(2024, 3, 2, 12)),
         ("open", datetime(2024, 3, 3), None)],
        "activity_id STRING, start_ts TIMESTAMP, end_ts TIMESTAMP",
    )  # fmt: skip
    number = {day: (date(2024, 3, day) - date(1970, 1, 1)).days for day in range(1, 5)}
    when = calendar(activities, planning_days=0)
    assert [when.on(number[day]).tolist() for day in range(1, 5)] == [[0], [1], [2], [2]]
    planned = calendar(activities, planning_days=1)
    assert planned.on(number[1]).tolist() == [0, 1]
    assert planned.on(number[2]).tolist() == [1, 2]


def test_there_is_no_fit_before_the_first(spark: SparkSession) -> None:
    days = spark.createDataFrame([(BEFORE,), (MARCH,), (LATE,)], "snapshot_date DATE")
    rows = days.select("snapshot_date", last_fit(FITS).alias("fit")).collect()
    assert {row[0]: row[1] for row in rows} == {BEFORE: None, MARCH: MARCH, LATE: APRIL}
    assert np.all([row[0] is None for row in days.select(last_fit([])).collect()])
