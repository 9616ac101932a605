"""Random forest."""

from typing import Annotated, Any

from pydantic import Field
from pyspark.ml.classification import RandomForestClassifier

from activityrec.ranking.methods.method import FEATURES, Method


class RandomForestConfig(Method):
    """Random forest (Breiman 2001): the mean of the shares of responses in the leaves of trees
    that each see a sample of the examples and, at each split, of the inputs."""

    trees: Annotated[int, Field(ge=1)] = 100
    depth: Annotated[int, Field(ge=1, le=30)] = 8
    min_leaf: Annotated[int, Field(ge=1)] = 10

    def stages(self, seed: int, examples: int) -> list[Any]:
        return [
            RandomForestClassifier(
                featuresCol=FEATURES,
                weightCol="weight",
                numTrees=self.trees,
                maxDepth=self.depth,
                minInstancesPerNode=self.min_leaf,
                seed=seed,
            )
        ]
