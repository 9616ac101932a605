"""What came of what was published, in counts and rates."""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec.evaluation.draws import Bootstrap, Ratio, ratio_draws, summarised
from activityrec.evaluation.slices import WHOLE
from activityrec.serving.anonymity import large_counts

KEYS = ("slice", "slice_value", "attribution")
COUNTS = ("exposures", "users", "open", "closed", "responses")
"""Those that tell of persons where they are few."""

BANDS = (0.5, 0.2, 0.1, 0.05, 0.01, 0.0)
"""Where the bands of propensities below 1 begin."""
UNEXPLAINED = "none"
"""The reason of a recommendation without any."""


def performance(rows: DataFrame, bootstrap: Bootstrap, least: int) -> DataFrame:
    """``serving.performance`` without as_of.

    Parameters
    ----------
    rows
        As :func:`activityrec.serving.attribution.attributed` gives them, with ``closed`` and
        ``label``.
    least
        Rows with a count from 1 to ``least`` - 1 are left out.
    """
    parts = rows.select(
        "user_id", "closed", "label", "probability", "attribution", F.inline(_parts())
    )
    counted = parts.groupBy(*KEYS).agg(
        F.count("*").alias("exposures"),
        F.count_distinct("user_id").alias("users"),
        F.count_if(~F.col("closed")).alias("open"),
        F.count_if("closed").alias("closed"),
        F.sum("label").alias("responses"),
    )
    found = summarised(ratio_draws(parts.where("closed"), field_ratios(), bootstrap, KEYS))
    # Together by what both have in common, which may be NULL.
    together = (
        counted.unionByName(_wide(found), allowMissingColumns=True)
        .groupBy(*KEYS)
        .agg(*[F.max(name).alias(name) for name in (*counted.columns[3:], *_WIDE)])
    )
    return large_counts(together, COUNTS, least)


def field_ratios() -> dict[str, Ratio]:
    """Rates of closed exposures, with ``label`` and ``probability`` (NULL: none was published)."""
    label, probability = F.col("label"), F.col("probability")
    return {
        "response_rate": (label, F.lit(1.0)),
        "promised_rate": (probability, F.lit(1.0)),
        "calibration_ratio": (probability, label),
    }


_WIDE = {
    "response_rate": ("response_rate", "value"),
    "low": ("response_rate", "low"),
    "high": ("response_rate", "high"),
    "promised_rate": ("promised_rate", "value"),
    "calibration_ratio": ("calibration_ratio", "value"),
    "calibration_low": ("calibration_ratio", "low"),
    "calibration_high": ("calibration_ratio", "high"),
}


def _wide(found: DataFrame) -> DataFrame:
    """The metrics of a part in one row."""
    return found.groupBy(*KEYS).agg(
        *[
            F.max(F.when(F.col("metric") == metric, F.col(figure))).alias(name)
            for name, (metric, figure) in _WIDE.items()
        ]
    )


def _parts() -> Column:
    """(slice, slice_value) of a row; several of the slice ``reason``, and none of what does not
    apply: a pair in no list has no rank."""
    one: dict[str, Column] = {
        WHOLE: F.lit(None).cast("string"),
        "activity": F.col("activity_id"),
        "day": F.date_format("exposure_ts", "yyyy-MM-dd"),
    }
    of_publication = {
        "run": F.col("run_id"),
        "model": F.col("model"),
        "rank": F.col("rank").cast("string"),
        "propensity_band": _band(F.col("propensity")),
    }
    always = F.array(*[_part(name, value) for name, value in one.items()])
    known = F.filter(
        F.array(*[_part(name, value) for name, value in of_publication.items()]),
        lambda part: part["slice_value"].isNotNull(),
    )
    codes = F.when(F.size("codes") == 0, F.array(F.lit(UNEXPLAINED))).otherwise(F.col("codes"))
    reasons = F.transform(F.array_distinct(codes), lambda code: _part("reason", code))
    nothing = F.array().cast("array<struct<slice: string, slice_value: string>>")
    return F.concat(always, known, F.coalesce(reasons, nothing))


def _part(name: str, value: Column) -> Column:
    return F.struct(F.lit(name).alias("slice"), value.alias("slice_value"))


def _band(propensity: Column) -> Column:
    ends: Sequence[float] = (1.0, *BANDS)
    band = F.when(propensity == 1, "1")
    for begin, end in zip(BANDS, ends, strict=False):
        band = band.when(propensity >= begin, f"{begin:g} to {end:g}")
    return band
