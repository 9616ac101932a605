"""How alike the live activities are, and the lists that a re-ranking by it makes."""

from pyspark.sql import DataFrame

from activityrec.evaluation.listed import similarities
from activityrec.features.affinity import Floats
from activityrec.features.attributes import declared_columns
from activityrec.serving.blocks import ListRules
from activityrec.serving.candidates import Serving, Sides
from activityrec.serving.lists import ranked_lists
from activityrec.serving.slots import SlotPolicy


def activity_similarity(serving: Serving, both: Sides) -> Floats:
    """(activities, activities): how alike the live activities are, by type, channel, declared
    attributes and the categories of their products; see
    :func:`activityrec.evaluation.listed.similarities`."""
    history, ids = serving.history, both.live.side.activity_ids
    labels = list(declared_columns(serving.config.attributes, "activities"))
    described = history.activities.select("activity_id", "activity_type", "channel").join(
        serving.activities.select("activity_id", *labels), on="activity_id", how="inner"
    )
    columns = ["activity_type", "channel", *labels]
    return similarities(described, history.activity_products, history.products, ids, columns)


def diversified(
    scored: DataFrame, activity_ids: tuple[str, ...], similarity: Floats, strength: float, k: int
) -> DataFrame:
    """The lists of maximal marginal relevance, see :func:`activityrec.serving.slots.fill_slots`.

    Parameters
    ----------
    scored
        user_id, activity_id, ``score``; the rows of a user stand together.
    strength
        ``recommend.diversity``.

    Returns
    -------
    DataFrame
        user_id, activity_id, ``rank`` from 1 to k.
    """
    policy = SlotPolicy(diversity=strength, similarity=similarity)
    made = ranked_lists(scored, k, 1, ListRules(policy, activity_ids))
    return made.where("listed = 'user'").select("user_id", "activity_id", "rank")
