"""Logistic regression."""

from typing import Annotated, Any

from pydantic import Field
from pyspark.ml.classification import LogisticRegression

from activityrec.ranking.methods.method import FEATURES, Method


class LogisticConfig(Method):
    """Logistic regression: ``reg`` is the strength of the penalty on the weights of inputs scaled
    to unit deviation, ``elastic_net`` the part of it that is L1 (Zou and Hastie 2005)."""

    reg: Annotated[float, Field(ge=0)] = 0.01
    elastic_net: Annotated[float, Field(ge=0, le=1)] = 0.0
    max_iter: Annotated[int, Field(ge=1)] = 100

    def stages(self, seed: int) -> list[Any]:
        return [
            LogisticRegression(
                featuresCol=FEATURES,
                weightCol="weight",
                regParam=self.reg,
                elasticNetParam=self.elastic_net,
                maxIter=self.max_iter,
            )
        ]
