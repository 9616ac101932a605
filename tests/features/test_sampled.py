"""Where there are no exposures: what stands in for them, worked by hand."""

from dataclasses import replace
from datetime import date, datetime

import pytest
from pyspark.sql import Row, SparkSession

from activityrec.config import Config
from activityrec.features.history import History
from activityrec.features.sampled import known_outcomes, sampled_exposures

DAY, NEXT = date(2024, 5, 10), date(2024, 5, 11)
OTHERS = [f"other{n}" for n in range(20)]


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2024, 5, day, hour)


@pytest.fixture(scope="module")
def history(spark: SparkSession) -> History:
    spans = {
        "noon": (at(10, 12), at(20)),
        "over": (at(1), at(10)),
        "tomorrow": (at(11), at(20)),
        **{name: (at(1), None) for name in OTHERS},
    }
    activities = spark.createDataFrame(
        [(name, "gift", *span) for name, span in spans.items()],
        "activity_id STRING, activity_type STRING, start_ts TIMESTAMP, end_ts TIMESTAMP",
    )
    events = spark.createDataFrame(
        [
            ("anna", "answer", at(10, 13), "noon"),
            ("anna", "answer", at(10, 14), "other3"),
            ("anna", "answer", at(10, 15), "other3"),
            ("anna", "answer", at(11, 9), "other4"),
            ("bert", "answer", at(10, 9), "other3"),
            # Not live: an answer to nothing that could be shown.
            ("carl", "answer", at(10, 9), "over"),
            ("dora", "purchase", at(10, 9), "other3"),
        ],
        "user_id STRING, event_type STRING, event_ts TIMESTAMP, activity_id STRING",
    )
    nothing = spark.range(0)
    return History(NEXT, nothing, nothing, activities, nothing, events, nothing)


@pytest.fixture(scope="module")
def config(planted_config: Config) -> Config:
    ranker = planted_config.ranker.model_copy(update={"examples": "responses", "negatives": 5})
    return planted_config.model_copy(update={"ranker": ranker})


@pytest.fixture(scope="module")
def outcomes(history: History, config: Config) -> list[Row]:
    return known_outcomes(history, config).collect()


def _of(rows: list[Row], user: str, day: int, answered: bool) -> dict[str, float]:
    return {
        row["activity_id"]: row["weight"]
        for row in rows
        if (row["user_id"], row["exposure_ts"]) == (user, at(day))
        and (row["response_ts"] is not None) == answered
    }


def test_what_was_answered_on_a_day_counts_once(outcomes: list[Row]) -> None:
    assert {row["user_id"] for row in outcomes} == {"anna", "bert"}
    assert _of(outcomes, "anna", 10, True) == {"noon": 1.0, "other3": 1.0}
    assert _of(outcomes, "anna", 11, True) == {"other4": 1.0}
    assert _of(outcomes, "bert", 10, True) == {"other3": 1.0}


def test_a_sample_of_what_was_live_and_not_answered_stands_for_all_of_it(
    outcomes: list[Row],
) -> None:
    # On the 11th anna has answered two on the day before: they are no candidates any more.
    for user, day, live in (("anna", 10, 19), ("anna", 11, 19), ("bert", 10, 20)):
        negatives = _of(outcomes, user, day, False)
        assert 1 < len(negatives) <= 5
        assert (user, day) != ("anna", 11) or not set(negatives) & {"noon", "other3"}
        assert not set(negatives) & {"over", "other3" if day == 10 else "other4"}
        assert (day == 11) or "tomorrow" not in negatives
        assert sum(negatives.values()) == pytest.approx(live)
    # What anna answers on the next day is no answer of this one.
    assert "other4" not in _of(outcomes, "anna", 10, True)


def test_the_draw_is_the_same_however_rows_lie_and_another_for_another_seed(
    history: History, config: Config
) -> None:
    def drawn(history: History, config: Config) -> list[Row]:
        return sorted(sampled_exposures(history, config).collect())

    shuffled = replace(
        history,
        events=history.events.orderBy("event_ts", ascending=False).repartition(3),
        activities=history.activities.orderBy("activity_id", ascending=False).repartition(4),
    )
    assert drawn(shuffled, config) == drawn(history, config)
    other = config.ranker.model_copy(update={"seed": 18})
    again = config.model_copy(update={"ranker": other})
    assert drawn(history, again) != drawn(history, config)


def test_few_activities_are_all_there(history: History, config: Config) -> None:
    many = config.ranker.model_copy(update={"negatives": 30})
    rows = known_outcomes(history, config.model_copy(update={"ranker": many})).collect()
    negatives = _of(rows, "bert", 10, False)
    wanted = {"noon", *OTHERS} - {"other3"}
    assert negatives == dict.fromkeys(wanted, 1.0)


def test_examples_are_exposures_where_the_data_have_them(planted_config: Config) -> None:
    assert not planted_config.samples_exposures
    without = planted_config.sources.model_copy(update={"exposures": []})
    config = planted_config.model_copy(update={"sources": without})
    assert config.samples_exposures
    never = config.ranker.model_copy(update={"examples": "exposures"})
    assert not config.model_copy(update={"ranker": never}).samples_exposures
