"""What the current publication says of one user."""

from pyspark.sql import Row
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.lakehouse import Lakehouse
from activityrec.serving.publication import current_publication


def recommend(lakehouse: Lakehouse, user_id: str, n: int = 5) -> list[Row]:
    """The user's n best activities in the current publication, best first.

    Returns
    -------
    list of Row
        Of ``serving.recommendations``; empty for a user without a list.

    Raises
    ------
    StateError
        Nothing has been published.
    """
    current = current_publication(lakehouse)
    lists = lakehouse.read(tables.RECOMMENDATIONS)
    mine = (F.col("run_id") == current["run_id"]) & (F.col("user_id") == user_id)
    return lists.where(mine & (F.col("rank") <= n)).orderBy("rank").collect()
