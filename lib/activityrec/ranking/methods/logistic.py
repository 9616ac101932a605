"""Logistic regression."""

from typing import Annotated, Any

from pydantic import Field
from pyspark.ml.classification import LogisticRegression

from activityrec.ranking.methods.method import FEATURES, Method


class LogisticConfig(Method):
    """Logistic regression: ``penalty`` is that on the weights of inputs scaled to unit deviation,
    beside the summed loss of all examples, so that it says less the more there are;
    ``elastic_net`` is the part of it that is L1 (Zou and Hastie 2005). MLlib's regParam is the
    penalty by the number of examples."""

    penalty: Annotated[float, Field(ge=0)] = 30.0
    elastic_net: Annotated[float, Field(ge=0, le=1)] = 0.0
    max_iter: Annotated[int, Field(ge=1)] = 100

    def stages(self, seed: int, examples: int) -> list[Any]:
        return [
            LogisticRegression(
                featuresCol=FEATURES,
                weightCol="weight",
                regParam=self.penalty / examples,
                elasticNetParam=self.elastic_net,
                maxIter=self.max_iter,
            )
        ]
