"""Samples of users by a hash: the same users in every run and on every cluster."""

from pyspark.sql import Column
from pyspark.sql import functions as F

_PARTS = 1_000_000


def in_sample(share: float, seed: int | str) -> Column:
    """Whether a row's ``user_id`` is among about this share of all; all are with 1 or more."""
    place = F.pmod(F.xxhash64("user_id", F.lit(seed)), F.lit(_PARTS))
    return place < F.lit(round(share * _PARTS))
