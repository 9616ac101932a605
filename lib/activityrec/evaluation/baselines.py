"""The simple models that a ranker must beat."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec.config import FeaturesConfig
from activityrec.ranking.pipeline import weighted


def with_popularity(rows: DataFrame, examples: DataFrame | None) -> DataFrame:
    """Add ``popularity``: the answered share of the activity's type, by weight.

    It is learnt from the examples that the ranker learnt from, so it is frozen like the ranker;
    a type without examples has the share of all. Without exposures to learn from it is the
    number of users who responded to the activity.

    Parameters
    ----------
    rows
        With ``activity_type`` and ``responders``.
    examples
        ``features.training_examples`` of the run; None where there are none.
    """
    if examples is None:
        return rows.withColumn("popularity", F.col("responders").cast("double"))
    examples = weighted(examples)
    share = F.sum(F.col("weight") * F.col("label")) / F.sum("weight")
    rates = examples.groupBy("activity_type").agg(share.alias("_of_type"))
    overall = examples.agg(share.alias("_overall"))
    return (
        rows.join(F.broadcast(rates), on="activity_type", how="left")
        .join(F.broadcast(overall), how="cross")
        .withColumn("popularity", F.coalesce("_of_type", "_overall"))
        .drop("_of_type", "_overall")
    )


def affinity_amount(features: FeaturesConfig) -> Column:
    """Money spent before on the eligible products; NULL where the data have no purchases."""
    kind = features.purchase_type
    return F.col(f"{kind}_eligible_amount") if kind else F.lit(None).cast("double")
