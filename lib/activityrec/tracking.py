"""MLflow: runs, registered models, champion and challenger. The one module that knows it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.data.delta_dataset_source import DeltaDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities.model_registry import ModelVersion as RegisteredVersion
from mlflow.exceptions import MlflowException
from pyspark.ml.base import Model
from pyspark.sql.types import StructType

from activityrec.config import Config
from activityrec.errors import StateError
from activityrec.tracking_output import quiet
from activityrec.tracking_records import (
    CHALLENGER,
    CHAMPION,
    HAS_RANKER,
    NOT_THERE,
    ORDERED_BY,
    PARTS,
    RECIPE_FILE,
    RETRIEVAL_VERSION,
    SETTINGS,
    TAG_LENGTH,
    VERSIONS_FILE,
    Logged,
    ModelVersion,
    recipe_of,
    signature_of,
)
from activityrec.tracking_storage import load_pipeline, saving

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "HAS_RANKER",
    "ORDERED_BY",
    "PARTS",
    "RETRIEVAL_VERSION",
    "SETTINGS",
    "Logged",
    "MlflowException",
    "ModelVersion",
    "Tracking",
]


class Tracking:
    """The tracking server and registry of one deployment."""

    def __init__(self, config: Config) -> None:
        self.config = config.tracking
        self.name = config.name
        self.experiment = config.tracking.experiment or config.name
        self.recipe = recipe_of(config)
        self.place = config.lakehouse

    def model_name(self, part: str) -> str:
        """Registered name of a part, one of PARTS."""
        if self.config.in_unity:
            return f"{self.place.catalog}.serving.{self.name}_{part}"
        return f"{self.name}-{part}"

    @contextmanager
    def run(
        self,
        name: str,
        as_of: date,
        params: Mapping[str, object],
        versions: Mapping[str, int],
        resume: str | None = None,
    ) -> Iterator[str]:
        """An MLflow run with parameters, the configuration (``recipe.json``), and the tables that
        were read as datasets with their Delta versions; its id. ``resume`` is that of an earlier
        run to go on with, where it is still there."""
        self._connect()
        old = resume if resume is not None and self._exists(resume) else None
        with mlflow.start_run(run_id=old, run_name=None if old else name) as run:
            mlflow.set_tag("as_of", as_of.isoformat())
            mlflow.log_params(dict(params))
            mlflow.log_dict(dict(versions), VERSIONS_FILE)
            mlflow.log_dict(self.recipe, RECIPE_FILE)
            for table, version in versions.items():
                mlflow.log_input(self._dataset(table, version))
            mlflow.set_tags({f"delta.{table}": str(v) for table, v in versions.items()})
            yield run.info.run_id

    @contextmanager
    def nested(self, name: str, params: Mapping[str, object]) -> Iterator[None]:
        """A run below the current one."""
        with mlflow.start_run(run_name=name, nested=True):
            mlflow.log_params(dict(params))
            yield

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Metrics of the current run; MLflow refuses ``@`` in their names."""
        named = {name.replace("@", "_at_"): value for name, value in metrics.items()}
        mlflow.log_metrics(named, step=step)

    def log_text(self, text: str, file: str) -> None:
        """A file among the artifacts of the current run."""
        mlflow.log_text(text, file)

    def tag(self, **tags: str) -> None:
        """Tags of the current run."""
        mlflow.set_tags(tags)

    def register(
        self,
        part: str,
        model: Model,
        as_of: date,
        tags: Mapping[str, str] | None = None,
        inputs: StructType | None = None,
    ) -> str:
        """Log a fitted Spark model in the current run and register it; its version. ``inputs``
        are the columns that it reads: they, and a prediction, are its signature."""
        import pyspark

        name = self.model_name(part)
        with saving(self.place.root) as folder:
            info = mlflow.spark.log_model(
                model,
                artifact_path=part,
                dfs_tmpdir=folder,
                registered_model_name=name,
                signature=signature_of(inputs) if inputs is not None else None,
                pip_requirements=[f"pyspark=={pyspark.__version__}"],
            )
        client = MlflowClient()
        version = info.registered_model_version
        for key, value in {"as_of": as_of.isoformat(), **(tags or {})}.items():
            client.set_model_version_tag(name, version, key, value)
        return str(version)

    def point(self, alias: str, versions: Mapping[str, str]) -> None:
        """Make these versions, by part, the champions or the challengers; the ranker first: it
        names its retrieval, so that what was broken off between the two can be completed."""
        self._connect()
        for part in sorted(versions, key=lambda part: part != "ranker"):
            name, version = self.model_name(part), versions[part]
            MlflowClient().set_registered_model_alias(name, alias, version)

    def unpoint(self, alias: str) -> None:
        """Take an alias back from every part; where there is none, nothing happens."""
        self._connect()
        for part in PARTS:
            if self.version(part, alias) is not None:
                MlflowClient().delete_registered_model_alias(self.model_name(part), alias)

    def tag_version(self, version: ModelVersion, tags: Mapping[str, str]) -> None:
        """Tags of a registered version; long texts are cut as MLflow asks for."""
        self._connect()
        client = MlflowClient()
        for key, value in tags.items():
            client.set_model_version_tag(version.name, version.version, key, value[:TAG_LENGTH])

    def version(self, part: str, alias: str) -> ModelVersion | None:
        """The version of a part with this alias, not loaded; None where there is none."""
        self._connect()
        try:
            return _of(MlflowClient().get_model_version_by_alias(self.model_name(part), alias))
        except MlflowException as error:
            if error.error_code not in NOT_THERE:
                raise
            return None

    def named(self, name: str) -> list[ModelVersion]:
        """The version that ``str`` of a version names, and the retrieval model that a ranker was
        trained with, not loaded; those that are gone are left out."""
        self._connect()
        model, _, number = name.rpartition("/")
        found = self._numbered(model, number)
        if found is None or RETRIEVAL_VERSION not in found.tags:
            return [found] if found else []
        number = found.tags[RETRIEVAL_VERSION]
        retrieval = self._numbered(self.model_name("retrieval"), number)
        return [found, retrieval] if retrieval else [found]

    def _numbered(self, model: str, number: str) -> ModelVersion | None:
        try:
            return _of(MlflowClient().get_model_version(model, number))
        except MlflowException:
            return None

    def model(
        self, part: str, as_of: date, alias: str = CHAMPION, load: bool = True
    ) -> ModelVersion:
        """The champion of a part, or the challenger, with its model where ``load`` is true; that
        of the ranker: ALS would read its factors when they are gone from their way here.

        Raises
        ------
        StateError
            There is none, or it was trained on data from ``as_of`` or later.
        """
        found = self.version(part, alias)
        if found is None:
            steps = "train" if alias == CHALLENGER else "train, evaluate and promote"
            raise StateError(f"model {self.model_name(part)} has no {alias}: run {steps} first")
        if found.as_of > as_of:
            raise StateError(
                f"model {found.name} version {found.version} was trained as of {found.as_of}, "
                f"which is after {as_of}: it knows the future; run train at {as_of} first"
            )
        if not load:
            return found
        model = load_pipeline(f"models:/{found.name}/{found.version}", self.place.root)
        return replace(found, model=model)

    def logged(self, run_id: str) -> "Logged":
        """What a run logged, so that it can be repeated.

        Raises
        ------
        StateError
            There is no such run, or it has no recipe.
        """
        self._connect()
        try:
            run = MlflowClient().get_run(run_id)
            place = run.info.artifact_uri
            recipe = json.loads(mlflow.artifacts.load_text(f"{place}/{RECIPE_FILE}"))
            versions = json.loads(mlflow.artifacts.load_text(f"{place}/{VERSIONS_FILE}"))
        except (MlflowException, OSError) as error:
            raise StateError(f"MLflow run {run_id}: {error}") from None
        as_of = date.fromisoformat(run.data.tags["as_of"])
        return Logged(run.info.run_name, as_of, recipe, versions, dict(run.data.metrics))

    def latest(self, name: str) -> str:
        """The id of the latest run of this name.

        Raises
        ------
        StateError
            There is none.
        """
        self._connect()
        found = mlflow.search_runs(
            experiment_names=[self.experiment],
            filter_string=f"attributes.run_name = '{name}'",
            order_by=["attributes.start_time DESC"],
            max_results=1,
            output_format="list",
        )
        if not found:
            raise StateError(f"MLflow experiment {self.experiment} has no run named {name}")
        return str(found[0].info.run_id)

    def _dataset(self, table: str, version: int) -> MetaDataset:
        if self.place.root is None:
            name = f"{self.place.catalog}.{table}"
            source = DeltaDatasetSource(delta_table_name=name, delta_table_version=version)
        else:
            path = f"{self.place.root}/{table.replace('.', '/')}"
            source = DeltaDatasetSource(path=path, delta_table_version=version)
        return MetaDataset(source, name=table)  # type: ignore[abstract]

    def _exists(self, run_id: str) -> bool:
        try:
            return MlflowClient().get_run(run_id).info.lifecycle_stage == "active"
        except MlflowException:
            return False

    def _connect(self) -> None:
        """Point MLflow at this deployment: its address is one for the whole process."""
        quiet()
        if self.config.uri.startswith("sqlite:///"):
            Path(self.config.uri.removeprefix("sqlite:///")).parent.mkdir(
                parents=True, exist_ok=True
            )
        mlflow.set_tracking_uri(self.config.uri)
        mlflow.set_registry_uri(self.config.registry or self.config.uri)
        if mlflow.get_experiment_by_name(self.experiment) is None:
            mlflow.create_experiment(self.experiment, self.config.artifacts)
        mlflow.set_experiment(self.experiment)


def _of(found: RegisteredVersion) -> ModelVersion:
    trained = date.fromisoformat(found.tags["as_of"])
    return ModelVersion(found.name, str(found.version), trained, None, dict(found.tags))
