"""Models on their way between MLflow, which works on the driver's disk, and Spark's executors,
which do not see it."""

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
from mlflow.environment_variables import MLFLOW_DFS_TMP
from mlflow.models import Model
from py4j.protocol import Py4JError
from pyspark.ml import PipelineModel
from pyspark.sql import SparkSession

from activityrec.files import DISK, Files

log = logging.getLogger("activityrec")
DEFAULT_SYSTEM = "fs.defaultFS"


@contextmanager
def folder_for_a_model(root: str | None) -> Iterator[str | None]:
    """A name on storage that all nodes see, deleted when the block ends: under the lakehouse's
    ``root`` or, for tables in a catalog, under ``spark.checkpoint.dir``. None leaves it to MLflow:
    there is neither, or MLflow's own setting for this, ``MLFLOW_DFS_TMP``."""
    spark = SparkSession.active()
    own = MLFLOW_DFS_TMP.is_set()
    base = None if own else root or spark.conf.get("spark.checkpoint.dir", None)
    if base is None:
        yield None
        return
    folder = f"{base}/.models/{uuid.uuid4().hex}"
    try:
        yield folder
    finally:
        try:
            Files(spark).delete(folder)
        except Py4JError as error:
            log.warning("%s could not be deleted: %s", folder, type(error).__name__)


@contextmanager
def saving(root: str | None) -> Iterator[str | None]:
    """The folder that Spark writes a model to before MLflow fetches it, for ``dfs_tmpdir`` of
    ``mlflow.spark``; gone when the block ends."""
    with folder_for_a_model(root) as folder:
        if folder is None:
            yield None
            return
        spark = SparkSession.active()
        conf = spark.sparkContext._jsc.hadoopConfiguration()
        default = conf.get(DEFAULT_SYSTEM)
        # MLflow fetches by the default file system, whichever the folder is on: by the one that it
        # finds first, and a process has one lakehouse.
        conf.set(DEFAULT_SYSTEM, Files(spark).system(folder))
        try:
            yield folder
        finally:
            conf.set(DEFAULT_SYSTEM, default)


def load_pipeline(uri: str, root: str | None) -> PipelineModel:
    """A model of MLflow by its address, as ``models:/name/version``. What Spark reads lazily, as
    the factors of ALS, cannot be read later: the files are gone."""
    with folder_for_a_model(root) as folder:
        if folder is None:
            return mlflow.spark.load_model(uri)
        files = Files(SparkSession.active())
        here = folder.removeprefix(DISK) if files.system(folder).startswith(DISK) else None
        if here is not None:
            Path(here).mkdir(parents=True)
        fetched = mlflow.artifacts.download_artifacts(uri, dst_path=here)
        model = str(Path(fetched, Model.load(fetched).flavors["spark"]["model_data"]))
        if here is not None:
            return PipelineModel.load(f"{DISK}{model}")
        files.put(model, folder)
        return PipelineModel.load(folder)
