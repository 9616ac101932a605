"""What windows train on and validate on."""

from datetime import date, datetime, timedelta

import pytest
from pyspark.sql import DataFrame, SparkSession

from activityrec.errors import ConfigError, StateError
from activityrec.tuning.scores import fit_spans
from activityrec.tuning.windows import Window, make_windows, rolling

MAY = date(2024, 5, 1)
SCHEMA = "user_id STRING, exposure_ts TIMESTAMP, closes_ts TIMESTAMP, label INT"


@pytest.fixture(scope="module")
def examples(spark: SparkSession) -> DataFrame:
    """Two exposures on each of the first ten days of April, closed after two days: one answered."""
    rows = []
    for day in range(1, 11):
        at = datetime(2024, 4, day)
        rows += [(f"u{label}", at, at + timedelta(days=2), label) for label in (0, 1)]
    return spark.createDataFrame(rows, SCHEMA).persist()


def days(rows: DataFrame) -> list[int]:
    return sorted({row["exposure_ts"].day for row in rows.collect()})


def test_a_window_trains_on_what_had_closed_and_validates_until_the_next(
    examples: DataFrame,
) -> None:
    first, second = rolling([date(2024, 4, 8), date(2024, 4, 5)], MAY)
    assert (first.until, second.until) == (date(2024, 4, 8), MAY)
    assert days(first.training(examples)) == [1, 2, 3], "that of the 3rd closes as the 5th begins"
    assert days(first.validation(examples)) == [5, 6, 7]
    assert days(second.training(examples)) == [1, 2, 3, 4, 5, 6]
    assert days(second.validation(examples)) == [8, 9, 10]


def test_windows_by_number_divide_the_last_half(examples: DataFrame) -> None:
    found = make_windows(examples, 2, MAY)
    assert [window.first.day for window in found] == [6, 9]
    assert found[-1].until == MAY


def test_a_window_at_as_of_is_refused() -> None:
    with pytest.raises(ConfigError, match="tune.windows: 2024-05-01 is not before as_of"):
        rolling([date(2024, 4, 1), MAY], MAY)


@pytest.mark.parametrize(
    "first, message",
    [
        (date(2024, 4, 2), "closed before the window of 2024-04-02, 0 are answered and 0"),
        (date(2024, 4, 20), "sent in the window of 2024-04-20, 0 are answered and 0"),
    ],
)
def test_a_window_without_both_outcomes_is_refused(
    examples: DataFrame, first: date, message: str
) -> None:
    with pytest.raises(StateError, match=message):
        make_windows(examples, [first], MAY)


def test_every_example_is_scored_by_a_fit_before_it() -> None:
    windows = rolling([date(2024, 3, 11), date(2024, 3, 31)], MAY)
    spans = fit_spans(windows, date(2024, 1, 31), MAY, refit_days=60)
    assert spans == [
        Window(date(2024, 1, 2), date(2024, 3, 2)),
        Window(date(2024, 3, 2), date(2024, 3, 11)),
        Window(date(2024, 3, 11), date(2024, 3, 31)),
        Window(date(2024, 3, 31), MAY),
    ]
