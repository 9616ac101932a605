"""Days in SQL: conditions that Delta can skip files by, and the day of an instant."""

from collections.abc import Iterable
from datetime import date, timedelta

from pyspark.sql import Column
from pyspark.sql import functions as F


def spans(days: Iterable[date], around: int = 0) -> list[tuple[date, date]]:
    """Days, each with as many ``around`` it on both sides, as first and last days of spans.

    >>> spans([date(2024, 5, 1), date(2024, 5, 2), date(2024, 5, 9)])
    [(datetime.date(2024, 5, 1), datetime.date(2024, 5, 2)), \
(datetime.date(2024, 5, 9), datetime.date(2024, 5, 9))]
    """
    found: list[tuple[date, date]] = []
    for day in sorted(days):
        first, last = day - timedelta(days=around), day + timedelta(days=around)
        if found and first <= found[-1][1] + timedelta(days=1):
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return found


def within(timestamp: str, days: Iterable[date], around: int = 0) -> str:
    """SQL condition: the column of type TIMESTAMP lies on one of the days; false for none."""
    conditions = [
        f"({timestamp} >= timestamp('{first}') AND "
        f"{timestamp} < timestamp('{last + timedelta(days=1)}'))"
        for first, last in spans(days, around)
    ]
    return f"({' OR '.join(conditions)})" if conditions else "false"


def among(column: str, days: Iterable[date]) -> str:
    """SQL condition: the column of type DATE is one of the days; false for none."""
    names = ", ".join(f"DATE'{day}'" for day in sorted(days))
    return f"{column} IN ({names})" if names else "false"


def first_day_from(instant: str) -> Column:
    """DATE of the first day that does not begin before a TIMESTAMP column."""
    return F.date_add(F.to_date(F.col(instant) - F.expr("INTERVAL 1 MICROSECOND")), 1)
