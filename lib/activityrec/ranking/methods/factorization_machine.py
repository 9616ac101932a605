"""Factorization machine."""

from typing import Annotated, Any, ClassVar

from pydantic import Field
from pyspark.ml.classification import FMClassificationModel, FMClassifier

from activityrec.ranking.methods.method import STANDARDISED, Method


class FmConfig(Method):
    """Factorization machine (Rendle 2010): a weight for each input, and for each pair of inputs
    the product of two vectors of ``factors`` numbers. Inputs are standardised.
    MLlib's penalty ``reg`` is a weight decay, of the intercept too: it draws probabilities to one
    half, which calibration mends."""

    weighted: ClassVar[bool] = False

    factors: Annotated[int, Field(ge=1)] = 4
    reg: Annotated[float, Field(ge=0)] = 1.0
    step: Annotated[float, Field(gt=0)] = 0.05
    max_iter: Annotated[int, Field(ge=1)] = 100

    def stages(self, seed: int, examples: int) -> list[Any]:
        return [
            FMClassifier(
                featuresCol=STANDARDISED,
                factorSize=self.factors,
                regParam=self.reg,
                stepSize=self.step,
                maxIter=self.max_iter,
                seed=seed,
            )
        ]

    def corrected(self, model: FMClassificationModel, log_odds: float) -> FMClassificationModel:
        # The intercept is a term of the log-odds; MLlib has no setter for it.
        shifted: FMClassificationModel = FMClassificationModel._create_from_java_class(
            "org.apache.spark.ml.classification.FMClassificationModel",
            model.uid,
            model.intercept + log_odds,
            model.linear,
            model.factors,
        )
        return model._copyValues(shifted)
