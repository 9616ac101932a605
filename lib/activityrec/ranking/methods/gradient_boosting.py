"""Gradient-boosted trees: MLlib's, and XGBoost's."""

from typing import Annotated, Any

from pydantic import Field
from pyspark.ml.classification import GBTClassifier

from activityrec.errors import ConfigError
from activityrec.ranking.methods.method import FEATURES, Method


class GbtConfig(Method):
    """Gradient-boosted trees (Friedman 2001) of MLlib: ``subsample`` is the part of the examples
    that each tree sees."""

    trees: Annotated[int, Field(ge=1)] = 50
    depth: Annotated[int, Field(ge=1, le=30)] = 3
    step: Annotated[float, Field(gt=0, le=1)] = 0.1
    min_leaf: Annotated[int, Field(ge=1)] = 10
    subsample: Annotated[float, Field(gt=0, le=1)] = 1.0

    def stages(self, seed: int, examples: int) -> list[Any]:
        return [
            GBTClassifier(
                featuresCol=FEATURES,
                weightCol="weight",
                maxIter=self.trees,
                maxDepth=self.depth,
                stepSize=self.step,
                minInstancesPerNode=self.min_leaf,
                subsamplingRate=self.subsample,
                seed=seed,
            )
        ]


class XgboostConfig(Method):
    """Gradient-boosted trees of XGBoost (Chen and Guestrin 2016), an extra of the installation:
    ``activityrec[xgboost]``. ``workers`` train together, as many as Spark can run at once."""

    trees: Annotated[int, Field(ge=1)] = 100
    depth: Annotated[int, Field(ge=1)] = 3
    step: Annotated[float, Field(gt=0, le=1)] = 0.1
    min_weight: Annotated[float, Field(ge=0)] = 1.0
    reg: Annotated[float, Field(ge=0)] = 1.0
    subsample: Annotated[float, Field(gt=0, le=1)] = 1.0
    workers: Annotated[int, Field(ge=1)] = 1

    def stages(self, seed: int, examples: int) -> list[Any]:
        try:
            from xgboost.spark import SparkXGBClassifier
        except ImportError:
            raise ConfigError(
                "ranker.method: xgboost is not installed: pip install 'activityrec[xgboost]', "
                "or choose another method"
            ) from None
        return [
            SparkXGBClassifier(
                features_col=FEATURES,
                label_col="label",
                weight_col="weight",
                num_workers=self.workers,
                n_estimators=self.trees,
                max_depth=self.depth,
                learning_rate=self.step,
                min_child_weight=self.min_weight,
                reg_lambda=self.reg,
                subsample=self.subsample,
                random_state=seed,
                verbosity=0,
            )
        ]
