"""Naive Bayes."""

from typing import Annotated, Any, Literal

from pydantic import Field
from pyspark.ml.classification import NaiveBayes
from pyspark.ml.feature import Binarizer

from activityrec.ranking.methods.method import STANDARDISED, Method


class NaiveBayesConfig(Method):
    """Naive Bayes: inputs that are independent given the response. ``gaussian`` has a mean and a
    deviation of each for either outcome; ``bernoulli`` the share of examples in which it is above
    its mean, smoothed by ``smoothing`` examples."""

    kind: Literal["gaussian", "bernoulli"] = "gaussian"
    smoothing: Annotated[float, Field(gt=0)] = 1.0

    def stages(self, seed: int, examples: int) -> list[Any]:
        bayes = NaiveBayes(modelType=self.kind, smoothing=self.smoothing, weightCol="weight")
        if self.kind == "gaussian":
            return [bayes.setFeaturesCol(STANDARDISED)]
        # MLlib refuses negative values, also where it predicts: min-max scaling is not enough.
        above = Binarizer(inputCol=STANDARDISED, outputCol="above_mean", threshold=0.0)
        return [above, bayes.setFeaturesCol("above_mean")]
