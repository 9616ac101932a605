"""Naive Bayes."""

from typing import Annotated, Any, Literal

from pydantic import Field
from pyspark.ml.classification import NaiveBayes
from pyspark.ml.feature import MinMaxScaler

from activityrec.ranking.methods.method import FEATURES, STANDARDISED, Method


class NaiveBayesConfig(Method):
    """Naive Bayes: inputs that are independent given the response. ``gaussian`` has a mean and a
    deviation of each for either outcome; ``multinomial`` has shares of inputs scaled to [0, 1],
    smoothed by ``smoothing``."""

    kind: Literal["gaussian", "multinomial"] = "gaussian"
    smoothing: Annotated[float, Field(gt=0)] = 1.0

    def stages(self, seed: int) -> list[Any]:
        bayes = NaiveBayes(modelType=self.kind, smoothing=self.smoothing, weightCol="weight")
        if self.kind == "gaussian":
            return [bayes.setFeaturesCol(STANDARDISED)]
        # Multinomial counts are not negative.
        scaler = MinMaxScaler(inputCol=FEATURES, outputCol="scaled")
        return [scaler, bayes.setFeaturesCol("scaled")]
