"""Are the probabilities true, and an increasing function that makes them so.

Measured and learnt on the last examples by time, scored by a ranker that is fitted on those
before: a ranker's probabilities on its own examples say nothing.
"""

from dataclasses import dataclass, field
from functools import cached_property

from pyspark.ml import PipelineModel
from pyspark.ml.regression import IsotonicRegression, IsotonicRegressionModel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec.config import Config
from activityrec.errors import StateError
from activityrec.ranking.pipeline import (
    CALIBRATED,
    fit_ranker,
    of_response,
    probabilities,
    weighted,
)

BINS = 10
DIGITS = 4
"""Probabilities that agree to so many digits are one row for the isotonic regression: the
driver, which merges steps, sees 10,000 rows at most."""


@dataclass(frozen=True)
class Calibration:
    """What was decided, why, and the expected calibration errors that it was decided by."""

    decision: str
    reason: str
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Later:
    """Later examples scored by a ranker that is fitted on earlier ones, made when asked for."""

    examples: DataFrame
    config: Config

    @cached_property
    def parts(self) -> list[DataFrame] | None:
        """The examples before, in the first and in the second half of the last
        ``ranker.calibration_share`` by time; None where one lacks answered or unanswered ones."""
        return _parts(weighted(self.examples), self.config.ranker.calibration_share)

    @cached_property
    def early(self) -> PipelineModel:
        """The ranker fitted on the first part."""
        assert self.parts is not None
        return fit_ranker(self.parts[0], self.config)


def calibrated(model: PipelineModel, later: Later) -> tuple[PipelineModel, Calibration]:
    """``model`` with an isotonic regression as its last stage, where it is wanted and helps.

    The examples are cut into three parts by when they were sent; what came of one part may have
    happened while the next was sent. A ranker is fitted on the first. Its error on the other two
    says whether probabilities are off; whether an isotonic regression on the second lowers the
    error on the third says whether correcting helps. The one that is used is learnt on both
    (Zadrozny and Elkan 2002).

    Raises
    ------
    StateError
        ``ranker.calibration`` is ``isotonic`` and a part has no answered or no unanswered
        examples.
    """
    config = later.config
    wanted = config.ranker.calibration
    if wanted == "none":
        return model, Calibration("none", "not wanted")
    if later.parts is None:
        reason = "a part of the examples by time lacks answered or unanswered ones"
        if wanted == "isotonic":
            raise StateError(f"ranker.calibration: isotonic cannot be learnt: {reason}")
        return model, Calibration("none", reason)
    early, (_, second, third) = later.early, later.parts
    scored = early.transform(second.unionByName(third)).persist()
    error = calibration_error(probabilities(early, second.unionByName(third)))
    figures = {"calibration_error": error}
    if wanted == "auto" and error <= config.ranker.calibration_limit:
        return model, Calibration("none", "the error is within the limit", figures)
    trial = _with(early, _isotonic(early.transform(second)))
    figures["calibration_error_before"] = calibration_error(probabilities(early, third))
    figures["calibration_error_after"] = calibration_error(probabilities(trial, third))
    helps = figures["calibration_error_after"] < figures["calibration_error_before"]
    if wanted == "auto" and not helps:
        return model, Calibration("none", "a correction does not help later", figures)
    reason = "a correction helps later" if helps else "wanted"
    return _with(model, _isotonic(scored)), Calibration("isotonic", reason, figures)


def calibration_error(scored: DataFrame) -> float:
    """Expected calibration error (Naeini, Cooper and Hauskrecht 2015) in bins of equal size.

    The mean, over the examples, of the distance between the share of responses in their bin and
    the mean probability in it.

    Parameters
    ----------
    scored
        ``probability``, ``label``, and ``weight`` where examples have one.
    """
    scored = weighted(scored)
    shares = [n / BINS for n in range(1, BINS)]
    edges = sorted(set(scored.approxQuantile("probability", shares, 0.001)))
    above = [(F.col("probability") > edge).cast("int") for edge in edges]
    bin_of = sum(above, F.lit(0)).alias("bin")
    off = F.col("weight") * (F.col("probability") - F.col("label"))
    bins = scored.groupBy(bin_of).agg(F.abs(F.sum(off)).alias("off"), F.sum("weight").alias("all"))
    row = bins.agg(F.sum("off") / F.sum("all")).first()
    return float(row[0]) if row and row[0] is not None else 0.0


def _parts(examples: DataFrame, share: float) -> list[DataFrame] | None:
    seconds = examples.select(F.col("exposure_ts").cast("double").alias("at"))
    begin, middle = seconds.approxQuantile("at", [1 - share, 1 - share / 2], 0.001)
    at = F.col("exposure_ts").cast("double")
    conditions: list[Column] = [at < begin, (at >= begin) & (at < middle), at >= middle]
    parts = [examples.where(condition) for condition in conditions]
    place = F.when(conditions[0], 0).when(conditions[1], 1).otherwise(2)
    outcomes = examples.select(place, "label").distinct().count()
    return parts if outcomes == 2 * len(parts) else None


def _isotonic(scored: DataFrame) -> IsotonicRegressionModel:
    """Learnt on the output of a pipeline; its own input is the vector ``probability``."""
    probability = F.round(of_response(), DIGITS).alias("probability")
    steps = scored.groupBy(probability).agg(
        (F.sum(F.col("weight") * F.col("label")) / F.sum("weight")).alias("label"),
        F.sum("weight").alias("weight"),
    )
    regression = IsotonicRegression(
        featuresCol="probability",
        featureIndex=1,
        labelCol="label",
        weightCol="weight",
        predictionCol=CALIBRATED,
    )
    return regression.fit(steps)


def _with(model: PipelineModel, last: IsotonicRegressionModel) -> PipelineModel:
    return PipelineModel(stages=[*model.stages, last])
