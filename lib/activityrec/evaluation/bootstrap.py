"""Poisson bootstrap over users: intervals in the pass that computes a metric.

Each replicate counts every user Poisson(1) times (Chamandy et al. 2012, "Estimating uncertainty for
massive data streams"), by a hash of user, replicate and seed: the same user has the same counts
wherever and however often it is looked at. So two models are compared on the same users, and a run
can be repeated.
"""

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.float64]
Hashes = npt.NDArray[np.uint64]

_ODD = np.uint64(0x9E3779B97F4A7C15)
_CUMULATIVE = np.cumsum([np.exp(-1.0) / f for f in (1, 1, 2, 6, 24, 120, 720, 5_040, 40_320)])
"""P(n <= 0), P(n <= 1), ... of a Poisson distribution of mean 1."""
_LEAST = np.ceil(_CUMULATIVE * 2.0**53).astype(np.uint64) << np.uint64(11)
"""From which hash on a user is drawn once, twice, ...: the first 53 bits are the uniform number.
To compare with each is several times faster than to search in the list."""


def counts(users: Hashes, replicates: int, seed: int, first: int = 0) -> Counts:
    """(users, 1 + replicates): how often each user is drawn; 1 in the first column, the data.

    Parameters
    ----------
    users
        A hash of each, such as Spark's ``xxhash64``.
    first
        Replicates that are left out at the beginning.
    """
    number = np.arange(first + 1, first + replicates + 1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        start = _mixed(users ^ _mixed(np.full(1, seed, dtype=np.uint64)))
        drawn = _mixed(start[:, None] + number[None, :] * _ODD)
    times = np.zeros(drawn.shape, dtype=np.uint8)
    for least in _LEAST:
        times += drawn >= least
    found = np.ones((len(users), replicates + 1))
    found[:, 1:] = times
    return found


def _mixed(values: Hashes) -> Hashes:
    """The finalizer of SplitMix64 (Steele, Lea, Flood 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
