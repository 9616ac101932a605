"""What is registered and logged: versions of models, their aliases and tags, and recipes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec
from pyspark.ml import PipelineModel
from pyspark.sql.types import StructType

from activityrec.config import Config

CHAMPION = "champion"
"""Alias of the version that production uses."""
CHALLENGER = "challenger"
"""Alias of the version that was trained last."""
ORDERED_BY = "ordered_by"
"""Tag of a ranker: the column that its lists are ordered by."""
VERSIONS_FILE = "delta_versions.json"
RECIPE_FILE = "recipe.json"
PARTS = ("retrieval", "ranker")
TAG_LENGTH = 5_000
NOT_THERE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""How MLflow says that a model, a version or an alias does not exist."""
RETRIEVAL_VERSION = "retrieval_version"
"""Tag of a ranker: the version of the retrieval model whose scores it learnt with."""
SETTINGS = "settings"
"""Tag of a retrieval model: the hash of the settings that its vectors are kept under."""
HAS_RANKER = "has_ranker"
"""Tag of a retrieval model: whether a ranker was trained with it, ``true`` or ``false``."""


@dataclass(frozen=True)
class ModelVersion:
    """A registered model version; ``model`` is None where it was not loaded."""

    name: str
    version: str
    as_of: date
    model: PipelineModel | None
    tags: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"


@dataclass(frozen=True)
class Logged:
    """What a run logged: its name and day, the configuration as plain values, Delta versions of
    the tables that it read, and metrics."""

    name: str
    as_of: date
    recipe: dict[str, Any]
    versions: dict[str, int]
    metrics: dict[str, float]


def recipe_of(config: Config) -> dict[str, Any]:
    """The configuration as plain values, without the options of sources: they may be passwords."""
    values = config.model_dump(mode="json")
    for sources in values["sources"].values():
        for source in sources:
            source["options"] = {}
    return values


def signature_of(inputs: StructType) -> ModelSignature:
    """The signature of a model that reads these columns and predicts one number."""
    columns: list[ColSpec | TensorSpec] = [
        ColSpec(_TYPES.get(field.dataType.typeName(), "string"), field.name, not field.nullable)
        for field in inputs
    ]
    return ModelSignature(Schema(columns), Schema([ColSpec("double", "prediction")]))


_TYPES = {
    "integer": "integer",
    "long": "long",
    "double": "double",
    "float": "float",
    "boolean": "boolean",
    "date": "datetime",
    "timestamp": "datetime",
}
"""Spark's names of types to MLflow's."""
