"""The user's own repeats: what they did with the very products before."""

from pyspark.sql import functions as F

from activityrec.config import HistoryConfig
from activityrec.retrieval.protocol import Known, Vectors, interests, named_items


def fit_history(known: Known, config: HistoryConfig) -> Vectors:
    """A user is the sparse vector of their interests, an item a one in its own place.

    So an activity scores the interest in its products, added up or averaged by ``pooling``: people
    buy again what they bought, which beats collaborative filtering wherever repeats count.

    Raises
    ------
    StateError
        There are no interactions.
    """
    rows = known.numbered(["product", "activity"])
    items = (
        rows.select("item")
        .distinct()
        .select(
            "item",
            F.array("item").alias("indices"),
            F.array(F.lit(1.0)).cast("array<float>").alias("vector"),
        )
    )
    return Vectors(interests(known, rows), named_items(known, items, rows))
