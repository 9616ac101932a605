"""Random columns that depend on nothing but a seed and keys: the same on any number of machines."""

import math
from collections.abc import Mapping

from pyspark.sql import Column
from pyspark.sql import functions as F

_FINE = 2**53


class Draws:
    """Draws of one seed. Each purpose has a name; two purposes never share a draw."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def uniform(self, purpose: str, *keys: Column | str) -> Column:
        """DOUBLE in [0, 1), evenly distributed over the keys."""
        hashed = F.xxhash64(F.lit(f"{self.seed} {purpose}"), *keys)
        return F.pmod(hashed, F.lit(_FINE)) / F.lit(float(_FINE))

    def below(self, limit: Column | int, purpose: str, *keys: Column | str) -> Column:
        """BIGINT in [0, limit)."""
        top = limit if isinstance(limit, Column) else F.lit(limit)
        return F.floor(self.uniform(purpose, *keys) * top)

    def normal(self, purpose: str, *keys: Column | str) -> Column:
        """DOUBLE with mean 0 and standard deviation 1 (Box and Muller 1958)."""
        radius = F.sqrt(-2 * F.log(1 - self.uniform(f"{purpose} radius", *keys)))
        return radius * F.cos(2 * math.pi * self.uniform(f"{purpose} angle", *keys))

    def one_of(self, shares: Mapping[str, float], purpose: str, *keys: Column | str) -> Column:
        """STRING, each value with its share; the last one has what is left."""
        drawn, *names = self.uniform(purpose, *keys), *shares
        chosen, upto = F.lit(names[-1]), sum(list(shares.values())[:-1])
        for name in reversed(names[:-1]):
            chosen = F.when(drawn < upto, name).otherwise(chosen)
            upto -= shares[name]
        return chosen
