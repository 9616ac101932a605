"""The score that a user needs at least to be in an audience, found from a sample of users.

Each task hands on the best users of each activity that it has seen. Of many users a task sees few,
and hands on nearly all candidates, of which an audience takes a small part. Who is not among the
best of a sample is not among the best of all users either, but for chance; so what is below a place
in the sample that leaves chance enough room need not leave its task.
"""

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec.sampling import in_sample
from activityrec.serving.candidates import Serving, Sides, scored_candidates
from activityrec.serving.lists import audiences, ranked_lists
from activityrec.serving.rules import with_favours

SAMPLED = 100
"""How many users of a full audience the sample is expected to have."""
FLOOR = 160
"""The place in the sample whose score is the floor. It is too high if the sample has so many users
of a full audience: by a Poisson distribution of mean ``SAMPLED`` once in 49 million audiences."""
LARGEST_SHARE = 0.02
"""Of users in the sample: a larger one costs more than it saves."""
LEAST_CANDIDATES = 5
"""For each place of all audiences: of fewer, many may enter one."""


def audience_floors(serving: Serving, sides: Sides) -> dict[str, float]:
    """activity_id to floor; without those that few users are candidates of, and empty where a
    sample does not pay."""
    limits, activities = serving.config.recommend, len(sides.live.side.activity_ids)
    most = serving.users.count() * min(limits.candidates, activities)
    if not pays(limits.audience_size, activities, most):
        return {}
    return sampled_floors(serving, sides, SAMPLED / limits.audience_size, FLOOR)


def pays(size: int, activities: int, candidates: int) -> bool:
    """Whether a sample saves more than it costs, where users have so many candidates together."""
    large = LARGEST_SHARE * size >= SAMPLED
    return large and candidates >= LEAST_CANDIDATES * size * activities


def sampled_floors(serving: Serving, sides: Sides, share: float, place: int) -> dict[str, float]:
    """activity_id to the score that has this place among the users of a sample; without the
    activities that fewer users of it may be sent."""
    # Drawn anew every day: bad luck does not come again.
    some = serving.where(in_sample(share, f"audiences {serving.as_of}"))
    scored = scored_candidates(some, sides.for_users(some))
    scored = with_favours(scored, serving.config.rules)
    room = ["room"] if "room" in scored.columns else []
    ranked = ranked_lists(scored.select("user_id", "activity_id", "score", *room), 1, place)
    rows = audiences(ranked, place).where(F.col("rank") == place)
    return {row["activity_id"]: row["score"] for row in rows.collect()}


def short_audiences(ranked: DataFrame, floors: Mapping[str, float], size: int) -> list[str]:
    """The activities with a floor that fewer than ``size`` users reached, of rows as
    :func:`activityrec.serving.lists.ranked_lists` gives them: their floor was too high."""
    counted = ranked.where("listed = 'activity'").groupBy("activity_id").count()
    found = {row["activity_id"]: row["count"] for row in counted.collect()}
    return sorted(name for name in floors if found.get(name, 0) < size)
