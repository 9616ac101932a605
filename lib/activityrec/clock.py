"""Times of rows that are read in the order in which they were written."""

from datetime import datetime, timedelta, timezone


def later_than(last: datetime | None, now: datetime) -> datetime:
    """``now``, or a microsecond after ``last`` where a clock was set back or two disagree.

    Parameters
    ----------
    last
        Of the last row, as Spark collects it; None: there is none.
    now
        With a time zone.
    """
    if last is None:
        return now
    return max(now, last.astimezone(timezone.utc) + timedelta(microseconds=1))
