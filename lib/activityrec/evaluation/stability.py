"""How far a distribution has moved, from the counts of its bins."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

TENTHS = 10
"""Values are compared in so many parts of equal size."""

ACCURACY = 10_000
"""The limits of the tenths are right to one part in so many of the rows."""

SMALL = 1e-4
"""The share of an empty bin: without it the index of two apart would be infinite."""


def shares(counts: Floats) -> Floats:
    """The share of each bin, at least SMALL."""
    found: Floats = np.maximum(counts / counts.sum(), SMALL)
    return found


def stability_index(before: Floats, after: Floats) -> float:
    """Population stability index Σ (b - a) ln(b / a) of two arrays of shares (Siddiqi 2006)."""
    return float(((after - before) * np.log(after / before)).sum())


def divergence(before: Floats, after: Floats) -> float:
    """Jensen-Shannon divergence of two arrays of shares, in bits (Lin 1991)."""
    a, b = before / before.sum(), after / after.sum()
    middle = (a + b) / 2
    bits = float((a * np.log2(a / middle) + b * np.log2(b / middle)).sum() / 2)
    # The last bits of a sum may lead below 0.
    return max(0.0, bits)
