"""What came of publications: planted exposures whose answers are counted by hand."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import pytest
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from activityrec.config import ResponseConfig
from activityrec.evaluation.draws import Bootstrap
from activityrec.features.history import History
from activityrec.serving.attribution import Published, attributed, known_feedback
from activityrec.serving.performance import performance
from activityrec.serving.views import VIEWS

THREE_DAYS = ResponseConfig(event_types=["answer"], window_days=3)
UNTIL = date(2024, 5, 8)
LISTS = "user_id STRING, activity_id STRING, rank INT, probability DOUBLE, propensity DOUBLE, "
LISTS += "reason_codes ARRAY<STRUCT<code: STRING, figures: MAP<STRING, DOUBLE>, "
LISTS += "contribution: DOUBLE>>"
SHOWN = [
    ("u1", "a", "2024-05-01 11:00:00"),  # before the first publication, answered
    ("u1", "a", "2024-05-01 12:00:00"),  # first, rank 1, answered
    ("u2", "b", "2024-05-01 13:00:00"),  # first, in no list
    ("u1", "a", "2024-05-02 12:00:00"),  # second, whose list has b alone; answered before
    ("u1", "b", "2024-05-02 13:00:00"),  # second, rank 1, answered
    ("u1", "a", "2024-05-03 11:59:59.999999"),  # the last instant of second
    ("u2", "a", "2024-05-03 12:00:00"),  # first again, rank 1, answered too late
    ("u1", "b", "2024-05-06 00:00:00"),  # first, rank 2, answered, but open
    ("u9", "c", "2024-05-04 00:00:00"),  # first, audience alone
    ("u3", "ghost", "2024-05-04 00:00:00"),  # no such activity
    ("u1", "a", "2024-05-08 00:00:00"),  # not known yet
]
ANSWERS = [
    ("u1", "a", "2024-05-02 10:00:00"),
    ("u1", "b", "2024-05-04 12:00:00"),
    ("u2", "a", "2024-05-06 12:00:00"),
    ("u1", "b", "2024-05-07 12:00:00"),
    ("u2", "b", "2024-05-08 00:00:00"),
]


def codes(*names: str) -> list[tuple]:
    return [(name, {}, None) for name in names]


FIRST = [
    ("u1", "a", 1, 0.5, 1.0, codes("answers", "recent")),
    ("u1", "b", 2, 0.25, 0.3, codes("answers")),
    ("u2", "a", 1, 0.4, 0.3, codes()),
]
SECOND = [("u1", "b", 1, 0.2, 0.7, codes("recent")), ("u2", "c", 1, 0.1, 1.0, codes())]


@dataclass(frozen=True)
class Field:
    """What was published, and what happened."""

    published: Published
    history: History

    def rows(self, until: date = UNTIL, days: int = 30, **changed: DataFrame) -> DataFrame:
        """Each exposure that is known then, with its publication."""
        end = F.lit(until).cast("timestamp")
        history = replace(
            self.history,
            until=until,
            exposures=self.history.exposures.where(F.col("exposure_ts") < end),
            events=self.history.events.where(F.col("event_ts") < end),
        )
        published = replace(self.published, **changed)
        return attributed(known_feedback(history, THREE_DAYS, days), published, until)


@pytest.fixture(scope="module")
def field(spark: SparkSession) -> Field:
    """Publications: first on 1 May at 12:00, second a day later, and a day later first again."""
    noon = datetime(2024, 5, 1, 12)
    runs = [("first", 0), ("second", 1), ("first", 2)]
    publications = spark.createDataFrame(
        [(run, "m/1", noon + timedelta(days)) for run, days in runs],
        "run_id STRING, model STRING, published_ts TIMESTAMP",
    )
    lists = [(run, *row) for run, rows in (("first", FIRST), ("second", SECOND)) for row in rows]
    sent = [("first", "u1", "a", 0.5), ("first", "u9", "c", 0.1)]
    pair = "run_id STRING, user_id STRING, activity_id STRING"
    timed = "user_id STRING, activity_id STRING, at STRING"
    answers = spark.createDataFrame(ANSWERS, timed)
    nothing = publications.limit(0)
    return Field(
        Published(
            publications,
            spark.createDataFrame(lists, f"run_id STRING, {LISTS}"),
            spark.createDataFrame(sent, f"{pair}, probability DOUBLE"),
        ),
        History(
            until=UNTIL,
            users=nothing,
            products=nothing,
            activities=spark.createDataFrame(
                [(name, "gift", datetime(2024, 5, 9)) for name in "abc"],
                "activity_id STRING, activity_type STRING, end_ts TIMESTAMP",
            ),
            activity_products=nothing,
            events=answers.selectExpr(
                "*", "'answer' AS event_type", "to_timestamp(at) AS event_ts"
            ),
            exposures=spark.createDataFrame(SHOWN, timed).selectExpr(
                "user_id", "activity_id", "to_timestamp(at) AS exposure_ts"
            ),
        ),
    )


def told(rows: DataFrame, least: int = 1) -> dict[tuple, Row]:
    """By slice, value and attribution."""
    made = performance(rows, Bootstrap(0, 1), least).collect()
    keys = [(row["slice"], row["slice_value"], row["attribution"]) for row in made]
    assert len(set(keys)) == len(keys)
    return dict(zip(keys, made, strict=True))


def counts(rows: Mapping[tuple, Row], wanted: str) -> dict[tuple, tuple]:
    """(exposures, users, open, responses) of one slice."""
    figures = ("exposures", "users", "open", "responses")
    return {
        (value, attribution): tuple(row[figure] for figure in figures)
        for (slice_, value, attribution), row in rows.items()
        if slice_ == wanted
    }


@pytest.fixture(scope="module")
def rows(field: Field) -> dict[tuple, Row]:
    return told(field.rows())


def test_every_known_exposure_is_counted_once_with_what_came_of_it(rows: dict) -> None:
    assert counts(rows, "all") == {
        (None, "unpublished"): (1, 1, 0, 1),
        (None, "recommended"): (4, 2, 1, 2),
        (None, "audience"): (1, 1, 0, 0),
        (None, "not_recommended"): (4, 3, 1, 0),
    }


def test_an_exposure_belongs_to_the_publication_of_its_instant_across_a_rollback(
    rows: dict,
) -> None:
    assert counts(rows, "run") == {
        ("first", "recommended"): (3, 2, 1, 1),
        ("second", "recommended"): (1, 1, 0, 1),
        ("first", "audience"): (1, 1, 0, 0),
        ("first", "not_recommended"): (2, 2, 1, 0),
        ("second", "not_recommended"): (2, 1, 0, 0),
    }


def test_rates_and_promises_are_those_of_closed_windows(rows: dict) -> None:
    row = rows["all", None, "recommended"]
    assert row["closed"] == 3
    assert row["response_rate"] == pytest.approx(2 / 3)
    assert row["promised_rate"] == pytest.approx((0.5 + 0.2 + 0.4) / 3)
    assert row["calibration_ratio"] == pytest.approx(1.1 / 2)
    audience = rows["all", None, "audience"]
    assert (audience["response_rate"], audience["promised_rate"]) == (0, 0.1)
    assert audience["calibration_ratio"] is None
    assert rows["all", None, "not_recommended"]["promised_rate"] is None
    only_open = rows["activity", "ghost", "not_recommended"]
    assert (only_open["open"], only_open["closed"], only_open["response_rate"]) == (1, 0, None)


def test_slices_of_what_was_recommended(rows: dict) -> None:
    def of(name: str) -> dict[str, tuple]:
        every = counts(rows, name)
        return {value: c for (value, how), c in every.items() if how == "recommended"}

    assert of("activity") == {"a": (2, 2, 0, 1), "b": (2, 1, 1, 1)}
    assert of("rank") == {"1": (3, 2, 0, 2), "2": (1, 1, 1, 0)}
    assert of("model") == {"m/1": (4, 2, 1, 2)}
    # One of them has two reasons, and one has none.
    assert of("reason") == {
        "answers": (2, 1, 1, 1), "recent": (2, 1, 0, 2), "none": (1, 1, 0, 0),
    }  # fmt: skip
    assert of("propensity_band") == {
        "1": (1, 1, 0, 1), "0.5 to 1": (1, 1, 0, 1), "0.2 to 0.5": (2, 2, 1, 0),
    }  # fmt: skip
    assert of("day") == {
        "2024-05-01": (1, 1, 0, 1), "2024-05-02": (1, 1, 0, 1),
        "2024-05-03": (1, 1, 0, 0), "2024-05-06": (1, 1, 1, 0),
    }  # fmt: skip
    whole = {key[2] for key in rows if key[0] in ("rank", "reason", "propensity_band")}
    assert whole == {"recommended"}


def test_what_was_not_known_yet_is_open_and_not_unanswered(field: Field) -> None:
    """On 5 May the window of the exposure of 2 May at 13:00 is open, and its answer known."""
    earlier = told(field.rows(date(2024, 5, 5)))
    assert counts(earlier, "all")[None, "recommended"] == (3, 2, 2, 1)


def test_few_users_are_not_told_of(field: Field) -> None:
    large = told(field.rows(), least=2)
    # One exposure of those recommended is open, and one of the others.
    assert counts(large, "all") == {}
    assert counts(large, "rank") == {("1", "recommended"): (3, 2, 0, 2)}


def attributions(rows: DataFrame) -> Counter:
    return Counter((row["run_id"], row["attribution"]) for row in rows.collect())


def test_exposures_to_runs_whose_lists_are_gone_are_told_apart(field: Field) -> None:
    kept = field.published.lists.where("run_id = 'first'")
    assert attributions(field.rows(lists=kept)) == {
        (None, "unpublished"): 1,
        ("first", "recommended"): 3,
        ("first", "audience"): 1,
        ("first", "not_recommended"): 2,
        ("second", "expired"): 3,
    }


def test_days_that_are_looked_at_and_days_without_a_publication(field: Field) -> None:
    last = attributions(field.rows(days=5))
    assert last == {
        ("second", "not_recommended"): 1, ("first", "recommended"): 2,
        ("first", "not_recommended"): 1, ("first", "audience"): 1,
    }  # fmt: skip
    never = field.rows(publications=field.published.publications.limit(0))
    assert attributions(never) == {(None, "unpublished"): 10}


def test_the_current_day_is_that_of_the_monitor_also_where_it_has_no_rows(
    spark: SparkSession,
) -> None:
    names = {name: f"{name}_days" for name in ("performance", "monitoring")}
    days = spark.createDataFrame([(date(2024, 5, day),) for day in (1, 2)], "as_of DATE")
    days.createOrReplaceTempView("monitoring_days")
    days.limit(1).createOrReplaceTempView("performance_days")
    query = VIEWS["current_performance"].format(**names)
    assert spark.sql(query).isEmpty()
    days.createOrReplaceTempView("performance_days")
    assert [row["as_of"] for row in spark.sql(query).collect()] == [date(2024, 5, 2)]
