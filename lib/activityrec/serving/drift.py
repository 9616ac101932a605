"""How the lists of one run differ from those of another."""

from dataclasses import dataclass

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec.evaluation.stability import TENTHS, Floats, shares, stability_index


@dataclass(frozen=True)
class Drift:
    """What changed from the old lists to the new ones.

    Attributes
    ----------
    users_kept
        Users of the new lists divided by users of the old ones.
    changed_lists, changed_first
        Share of the users in both who have another list, and another first activity; None: no
        user is in both.
    score_psi
        Population stability index of the scores, over tenths of the old ones: the sum of
        (b - a) ln(b / a) over the shares a, b of each tenth.
    """

    users_kept: float
    changed_lists: float | None
    changed_first: float | None
    score_psi: float


def drift(new: DataFrame, old: DataFrame) -> Drift:
    """Compare rows of ``serving.recommendations`` of two runs; both have some."""
    users_kept, changed_lists, changed_first = _changed(new, old)
    return Drift(users_kept, changed_lists, changed_first, score_psi(new, old))


def _changed(new: DataFrame, old: DataFrame) -> tuple[float, float | None, float | None]:
    """Each user's two lists, met in one shuffle, as one number and one first activity each."""
    columns = ("user_id", "activity_id", "rank")
    sides = [
        rows.select(*columns, F.lit(side).alias("side"))
        for side, rows in (("new", new), ("old", old))
    ]
    both = sides[0].unionByName(sides[1])
    place = F.xxhash64("activity_id", "rank")
    folded = {}
    for side in ("new", "old"):
        mine = F.col("side") == side
        folded[f"{side}_list"] = F.bit_xor(F.when(mine, place))
        folded[f"{side}_first"] = F.max(F.when(mine & (F.col("rank") == 1), F.col("activity_id")))
    by_user = both.groupBy("user_id").agg(*[value.alias(name) for name, value in folded.items()])
    shared = "new_list IS NOT NULL AND old_list IS NOT NULL"
    found = by_user.agg(
        F.count("new_list").alias("new"),
        F.count("old_list").alias("old"),
        F.avg(F.expr(f"IF({shared}, double(new_list != old_list), NULL)")).alias("lists"),
        F.avg(F.expr(f"IF({shared}, double(NOT new_first <=> old_first), NULL)")).alias("first"),
    ).first()
    assert found is not None
    return found["new"] / found["old"], found["lists"], found["first"]


def score_psi(new: DataFrame, old: DataFrame) -> float:
    """Population stability index of ``score`` from the old rows to the new ones."""
    return stability_index(*score_shares(new, old))


def score_shares(new: DataFrame, old: DataFrame) -> tuple[Floats, Floats]:
    """The shares of old and of new rows in each tenth of the old scores."""
    tenths = [place / TENTHS for place in range(1, TENTHS)]
    found = old.agg(F.percentile_approx("score", tenths)).first()
    assert found is not None
    edges = sorted(set(found[0]))
    # The place of a score: how many of the edges it is above.
    place = F.lit(0)
    for edge in edges:
        place = place + (F.col("score") > edge).cast("int")
    sides = []
    for rows in (old, new):
        counted = rows.groupBy(place.alias("bin")).count().collect()
        counts = np.zeros(len(edges) + 1)
        for row in counted:
            counts[row["bin"]] = row["count"]
        sides.append(shares(counts))
    return sides[0], sides[1]
