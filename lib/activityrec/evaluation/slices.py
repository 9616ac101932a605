"""Slices: the metrics of parts of the exposures, and whether they differ from the whole."""

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec.config import Config
from activityrec.errors import ConfigError
from activityrec.evaluation.draws import Bootstrap, ratio_draws, summarised
from activityrec.evaluation.metrics import PROBABILITIES, pooled_draws, proper_ratios
from activityrec.ranking.pipeline import weighted
from activityrec.tables import AttributeTable, attribute_column

WHOLE = "all"
"""The name of the slice that is no slice."""

KEYS = ("model", "slice", "slice_value")
_TABLES: tuple[AttributeTable, ...] = ("users", "activities", "products")


def slice_columns(config: Config) -> dict[str, Column]:
    """Name of each slice to its value, STRING, over the rows of
    :meth:`activityrec.evaluation.exposures.LaterExposures.examples` with ``user_known`` and
    ``activity_known``: those of ``evaluate.slices``, or all that there are."""
    attributes = [
        attribute_column(table, name)
        for table in _TABLES
        for name in getattr(config.attributes, table)
    ]
    names = ("activity_type", "age_band", "gender", *attributes)
    every: dict[str, Column] = {name: F.col(name) for name in names}
    if config.retrieval.segments is not None:
        every["segment"] = F.col("segment").cast("string")
    for side in ("user", "activity"):
        every[side] = F.when(F.col(f"{side}_known"), F.lit("known")).otherwise("new")
    every["week"] = F.date_format(F.date_trunc("week", "exposure_ts"), "yyyy-MM-dd")
    wanted = config.evaluate.slices
    if wanted is None:
        return every
    if unknown := sorted(set(wanted) - set(every)):
        raise ConfigError(f"evaluate.slices: {unknown} are none of {', '.join(every)}")
    return {name: every[name] for name in wanted}


def slice_map(columns: Mapping[str, Column]) -> Column:
    """The slices of a row as one map; a slice without a value is left out."""
    if not columns:
        return F.create_map().cast("map<string,string>")
    entries = F.array(
        *[F.struct(F.lit(n).alias("key"), c.alias("value")) for n, c in columns.items()]
    )
    return F.map_from_entries(F.filter(entries, lambda entry: entry["value"].isNotNull()))


def parts_of(scores: DataFrame) -> DataFrame:
    """A row for each slice of a row with ``slices``, with ``slice`` and ``slice_value``; models
    whose score is no probability are left out."""
    rows = weighted(scores).where(F.col("model").isin(*PROBABILITIES))
    kept = [name for name in rows.columns if name != "slices"]
    return rows.select(*kept, F.explode("slices").alias("slice", "slice_value"))


def slice_draws(parts: DataFrame, bootstrap: Bootstrap, large: bool = False) -> DataFrame:
    """``auc``, ``average_precision``, ``log_loss``, ``brier``, ``calibration_ratio`` of each model
    and part, with draws."""
    ranked = pooled_draws(parts, bootstrap, KEYS, large)
    return ranked.unionByName(ratio_draws(parts, proper_ratios(), bootstrap, KEYS))


def large_parts(parts: DataFrame, least: int) -> DataFrame:
    """Of each model and part with ``least`` users or more: KEYS, ``rows``, ``positives`` and
    ``groups``, the users."""
    counted = parts.groupBy(*KEYS).agg(
        F.count("*").alias("rows"),
        F.sum("label").alias("positives"),
        F.count_distinct("user_id").alias("groups"),
    )
    return counted.where(F.col("groups") >= least)


def slice_metrics(draws: DataFrame, whole: DataFrame) -> DataFrame:
    """KEYS, metric, value, low, high, and ``differs``: whether the interval of the part's
    difference from the whole, on the same replicates, leaves out 0.

    Parameters
    ----------
    draws, whole
        Of :func:`slice_draws`, and of the same metrics of all exposures.
    """
    whole = whole.select("model", "metric", F.col("draws").alias("_whole"))
    gap = F.zip_with("draws", "_whole", lambda part, all_: part - all_)
    gaps = summarised(
        draws.join(F.broadcast(whole), on=["model", "metric"], how="inner").select(
            *KEYS, "metric", gap.alias("draws")
        )
    ).select(*KEYS, "metric", F.expr("low > 0 OR high < 0").alias("differs"))
    return summarised(draws).join(gaps, on=[*KEYS, "metric"], how="left")
