"""What retrievers may learn from, read from the lakehouse."""

from datetime import date

from pyspark.sql import Column, DataFrame

from activityrec import tables
from activityrec.config import Config
from activityrec.features.history import before
from activityrec.lakehouse import Lakehouse
from activityrec.retrieval.interactions import interactions
from activityrec.retrieval.numbers import number_ids
from activityrec.retrieval.protocol import Known, Numbers


def known_before(
    lakehouse: Lakehouse, config: Config, day: date, numbers: Numbers | None = None
) -> Known:
    """What a retriever that is fitted on a day may learn from.

    Parameters
    ----------
    numbers
        Of these users and items, and perhaps of later ones; without them they are made.
    """
    daily = lakehouse.read(tables.USER_DAILY)
    # Every retriever looks at them.
    rows = interactions(daily, day, config.interactions).persist()
    return Known(
        day,
        rows,
        numbers or number_ids(rows),
        daily.where(before("event_date", day)),
        lakehouse.read(tables.USERS),
        lakehouse.read(tables.PRODUCTS),
        lakehouse.read(tables.ACTIVITIES),
    )


def segments_of(lakehouse: Lakehouse, config: Config, fits: Column) -> DataFrame | None:
    """``features.user_segments`` of some fits; None where the configuration has no segments."""
    if config.retrieval.segments is None:
        return None
    return lakehouse.read(tables.USER_SEGMENTS).where(fits)
