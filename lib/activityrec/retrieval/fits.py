"""The days at which retrievers are fitted, and how fits are told apart."""

from collections.abc import Sequence
from datetime import date, timedelta

from pyspark.sql import Column
from pyspark.sql import functions as F

from activityrec.config import Config
from activityrec.fingerprint import fingerprint


def settings_of(config: Config) -> str:
    """A hash of what a fit depends on beside the data and the day."""
    text = config.retrieval.model_dump_json() + config.interactions.model_dump_json()
    return fingerprint(text)


def fit_dates(as_of: date, first_exposure: date | None, refit_days: int) -> list[date]:
    """The days at which retrievers are fitted: ``as_of``, and every ``refit_days`` back from it
    until the first exposure that is learnt from has a fit before it; earliest first."""
    dates = [as_of]
    while first_exposure is not None and dates[-1] > first_exposure:
        dates.append(dates[-1] - timedelta(days=refit_days))
    return dates[::-1]


def last_fit(fits: Sequence[date]) -> Column:
    """Column: the last of ``fits`` at or before ``snapshot_date``; NULL before the first."""
    known = [F.when(F.lit(day) <= F.col("snapshot_date"), F.lit(day)) for day in sorted(fits)]
    return F.array_max(F.array(*known)) if known else F.lit(None).cast("date")
