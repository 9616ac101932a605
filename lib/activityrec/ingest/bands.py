"""Bands of numbers: what is kept of an exact figure."""

from collections.abc import Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F


def lower_bound(value: Column, bands: Sequence[float]) -> Column:
    """The lower bound (DOUBLE) of the band that a number falls into.

    Parameters
    ----------
    value
        A number. NULL, NaN and what lies below the first bound give NULL.
    bands
        The lower bounds, ascending.
    """
    return _choose(value, bands, [None, *bands]).cast("double")


def band_label(value: Column, bands: Sequence[float]) -> Column:
    """The band's name for people: ``<18``, ``18-24``, ..., ``65+``.

    Parameters
    ----------
    value
        A text; one that is no number gives NULL.
    bands
        As for :func:`lower_bound`. Between bounds that are not whole the name is ``0.5-<2.5``.
    """
    return _choose(value.try_cast("double"), bands, labels(bands)).cast("string")


def labels(bands: Sequence[float]) -> list[str]:
    """The names of the bands: that below the first bound, and one for each bound."""
    whole = all(float(bound).is_integer() for bound in bands)
    between = []
    for low, high in zip(bands[:-1], bands[1:], strict=True):
        if not whole:
            between.append(f"{low:.12g}-<{high:.12g}")
        elif high - low == 1:
            between.append(f"{low:.12g}")
        else:
            between.append(f"{low:.12g}-{high - 1:.12g}")
    return [f"<{bands[0]:.12g}", *between, f"{bands[-1]:.12g}+"]


def _choose(value: Column, bands: Sequence[float], names: Sequence[float | str | None]) -> Column:
    chosen = F.when(value.isNull() | F.isnan(value), None)
    for bound, name in zip(bands, names[:-1], strict=True):
        chosen = chosen.when(value < bound, name)
    return chosen.otherwise(names[-1])
