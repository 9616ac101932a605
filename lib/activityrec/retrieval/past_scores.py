"""What the retrievers said of exposures on their day, read from the lakehouse."""

from collections.abc import Sequence
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.config import Config
from activityrec.lakehouse import Lakehouse
from activityrec.retrieval.activities import activity_vectors
from activityrec.retrieval.known import segments_of
from activityrec.retrieval.pairs import calendar, pair_scores
from activityrec.retrieval.segments import with_segment


def past_scores(
    lakehouse: Lakehouse, config: Config, pairs: DataFrame, fits: Sequence[date], settings: str
) -> DataFrame:
    """Scores by the last fit before each pair's day, and the user's segment then.

    Parameters
    ----------
    pairs
        As :func:`activityrec.features.snapshots.exposed_pairs` gives them.
    fits, settings
        Which rows of ``features.user_vectors`` and ``features.item_vectors`` count.

    Returns
    -------
    DataFrame
        As :func:`activityrec.retrieval.pairs.pair_scores` gives them, with ``segment`` where the
        configuration has segments.
    """
    known = F.col("fitted_date").isin(list(fits)) & (F.col("settings") == settings)
    scores = pair_scores(
        pairs,
        fits,
        lakehouse.read(tables.USER_VECTORS).where(known),
        activity_vectors(
            lakehouse.read(tables.ITEM_VECTORS).where(known),
            lakehouse.read(tables.ACTIVITY_PRODUCTS),
            config.retrieval.own_prior,
            config.retrieval.summed,
        ),
        calendar(lakehouse.read(tables.ACTIVITIES), config.recommend.planning_days),
        list(config.retrieval.weights),
    )
    return with_segment(scores, segments_of(lakehouse, config, known), fits)
