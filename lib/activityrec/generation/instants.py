"""Days of a world, numbers with a fraction that count from its start, and instants (TIMESTAMP)."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from activityrec.generation.world import World

DAY = 86_400


def instant(world: World, day: Column) -> Column:
    """The whole second of a day."""
    return F.timestamp_seconds(_start(world) + F.floor(day * DAY))


def day_of(world: World, at: Column) -> Column:
    """DOUBLE: the day of an instant."""
    return (F.unix_micros(at) / 1e6 - _start(world)) / DAY


def _start(world: World) -> Column:
    return F.unix_timestamp(F.lit(str(world.start)), "yyyy-MM-dd")
