"""Validation windows before ``as_of``: what each trains on and validates on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.days import first_day_from
from activityrec.errors import ConfigError, StateError
from activityrec.features.history import read_history
from activityrec.features.sampled import known_outcomes
from activityrec.job import Job


@dataclass(frozen=True)
class Window:
    """The days of ``[first, until)``."""

    first: date
    until: date

    def training(self, examples: DataFrame) -> DataFrame:
        """Those whose outcome was known before the window."""
        return examples.where(F.col("closes_ts") <= F.lit(self.first).cast("timestamp"))

    def validation(self, examples: DataFrame) -> DataFrame:
        """Those that were sent in it."""
        at = F.col("exposure_ts")
        first, until = (F.lit(day).cast("timestamp") for day in (self.first, self.until))
        return examples.where((at >= first) & (at < until))


def closed_examples(job: Job) -> DataFrame:
    """The training examples of the run at ``as_of`` with the end of their response window,
    ``closes_ts``, which is not after it.

    Raises
    ------
    StateError
        There are none.
    """
    history = read_history(job.lakehouse, job.as_of)
    known = known_outcomes(history, job.config).select(
        "user_id", "activity_id", "exposure_ts", "closes_ts"
    )
    table = tables.training_examples(job.config)
    rows = job.lakehouse.read(table).where(f"as_of = '{job.as_of}'")
    if rows.isEmpty():
        raise StateError(
            f"table {table.full_name} has no rows of {job.as_of}: "
            f"run features and train at {job.as_of} first"
        )
    closed = F.col("closes_ts") <= F.lit(job.as_of).cast("timestamp")
    key = ["user_id", "activity_id", "exposure_ts"]
    return rows.join(known.where(closed), on=key, how="inner")


def rolling(firsts: Sequence[date], as_of: date) -> list[Window]:
    """Each window until the next one, the last until ``as_of``.

    Raises
    ------
    ConfigError
        A first day is not before ``as_of``.
    """
    days = sorted(firsts)
    if late := [str(day) for day in days if day >= as_of]:
        raise ConfigError(f"tune.windows: {', '.join(late)} is not before as_of, {as_of}")
    return [Window(*ends) for ends in zip(days, [*days[1:], as_of], strict=True)]


def make_windows(examples: DataFrame, wanted: int | list[date], as_of: date) -> list[Window]:
    """The windows by their first days, or so many of about equal size.

    Raises
    ------
    ConfigError
        A first day is not before ``as_of``.
    StateError
        Before or in a window there are not both answered and unanswered examples.
    """
    counts = _counts(examples)
    firsts = wanted if isinstance(wanted, list) else _spread(counts, wanted)
    windows = rolling(firsts, as_of)
    for window in windows:
        for where, rows in (
            ("closed before", [row for row in counts if row["closed"] <= window.first]),
            ("sent in", [row for row in counts if window.first <= row["day"] < window.until]),
        ):
            positives, negatives = _outcomes(rows)
            if not positives or not negatives:
                raise StateError(
                    f"tune.windows: of the examples {where} the window of {window.first}, "
                    f"{positives} are answered and {negatives} are not; both are needed: "
                    "choose other days, or fewer windows"
                )
    return windows


def _counts(examples: DataFrame) -> list[Row]:
    """Examples by their day and by the first day at whose beginning they are closed."""
    closed = first_day_from("closes_ts")
    grouped = examples.groupBy(F.to_date("exposure_ts").alias("day"), closed.alias("closed"))
    counted = grouped.agg(F.count("*").alias("rows"), F.sum("label").alias("positives"))
    return counted.orderBy("day", "closed").collect()


def _outcomes(rows: Sequence[Row]) -> tuple[int, int]:
    positives = sum(row["positives"] for row in rows)
    return positives, sum(row["rows"] for row in rows) - positives


def _spread(counts: Sequence[Row], wanted: int) -> list[date]:
    """First days that divide the last half of the examples evenly: fewer where there are not so
    many days, and none before something of both outcomes had closed."""
    total = sum(row["rows"] for row in counts)
    firsts: list[date] = []
    for number in range(wanted):
        share = total * (0.5 + 0.5 * number / wanted)
        seen = 0
        for row in counts:
            known = [old for old in counts if old["closed"] <= row["day"]]
            if seen >= share and row["day"] not in firsts and all(_outcomes(known)):
                firsts.append(row["day"])
                break
            seen += row["rows"]
    if not firsts:
        raise StateError(
            "tune.windows: no day in the last half of the training examples has answered and "
            "unanswered ones that closed before it: give the windows' first days"
        )
    return firsts
