"""Is the ranker better than the best of what it is made of?"""

from dataclasses import dataclass, field

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from activityrec.ranking.calibration import Later
from activityrec.ranking.pipeline import probabilities, weighted


@dataclass(frozen=True)
class Order:
    """What lists are ordered by: ``column`` (``probability``, or the part that beat it), and the
    average precision of the ranker and of each part on later examples."""

    column: str = "probability"
    figures: dict[str, float] = field(default_factory=dict)


RATES = {"past_rate": "response_rate", "popularity": "type_response_rate"}
"""What is measured beside the parts. A rate of the user, or of the type, cannot order a list, or an
audience: it is the same for all of it."""


def best_order(later: Later) -> Order:
    """Compare the ranker with its parts on the last examples by time.

    A ranker is fitted on the examples before the last ``ranker.calibration_share``, and scores
    these; a part that orders them better is to order the lists. Where there are too few examples
    to tell, the ranker does.
    """
    if not later.config.ranker.beat_parts or later.parts is None:
        return Order()
    _, second, third = later.parts
    scored = probabilities(later.early, second.unionByName(third))
    columns = {"ranker": "probability", **later.config.retrieval.score_columns}
    figures = average_precisions(scored, columns | RATES)
    best = max(columns, key=lambda name: figures[name])
    # At equal quality the ranker, which also says how likely a response is.
    column = columns[best] if figures[best] > figures["ranker"] else "probability"
    return Order(column, {f"later_ap_{name}": value for name, value in figures.items()})


def average_precisions(scored: DataFrame, columns: dict[str, str]) -> dict[str, float]:
    """Σ (R_n - R_(n-1)) P_n over the distinct values of each column; NULL is the lowest."""
    weight = weighted(scored)
    entries = [part for n, c in columns.items() for part in (F.lit(n), F.col(c).cast("double"))]
    long = weight.select("label", "weight", F.explode(F.create_map(*entries)).alias("name", "x"))
    value = F.coalesce("x", F.lit(float("-inf")))
    steps = long.groupBy("name", value.alias("x")).agg(
        F.sum(F.col("weight") * F.col("label")).alias("hits"), F.sum("weight").alias("all")
    )
    above = Window.partitionBy("name").orderBy(F.desc("x"))
    above = above.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    precision = F.sum("hits").over(above) / F.sum("all").over(above)
    rows = (
        steps.withColumn("gain", F.col("hits") * precision)
        .groupBy("name")
        .agg((F.sum("gain") / F.sum("hits")).alias("value"))
        .collect()
    )
    return {row["name"]: row["value"] for row in rows}
