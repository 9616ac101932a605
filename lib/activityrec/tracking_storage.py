"""Models on their way between MLflow, which works on the driver's disk, and Spark's executors,
which do not see it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
from mlflow.environment_variables import MLFLOW_DFS_TMP
from mlflow.models import Model
from pyspark.ml import PipelineModel
from pyspark.sql import SparkSession

from activityrec.files import Files, on_disk

FOLDER = ".models"
DEFAULT_SYSTEM = "fs.defaultFS"


def folder_of_models(root: str | None) -> str | None:
    """A folder that all nodes see: under the lakehouse's ``root`` or, for tables in a catalog,
    under ``spark.checkpoint.dir``. None leaves it to MLflow: there is neither, or MLflow's own
    setting for this, ``MLFLOW_DFS_TMP``."""
    base = root or SparkSession.active().conf.get("spark.checkpoint.dir", None)
    return None if MLFLOW_DFS_TMP.is_set() or base is None else f"{base}/{FOLDER}"


@contextmanager
def saving(root: str | None) -> Iterator[str | None]:
    """The folder that Spark writes models to before MLflow fetches them, for ``dfs_tmpdir`` of
    ``mlflow.spark``; gone when the block ends."""
    folder = folder_of_models(root)
    if folder is None:
        yield None
        return
    spark = SparkSession.active()
    files, conf = Files(spark), spark.sparkContext._jsc.hadoopConfiguration()
    default = conf.get(DEFAULT_SYSTEM)
    # MLflow fetches by the default file system, whichever the folder is on.
    conf.set(DEFAULT_SYSTEM, files.system(folder))
    try:
        yield folder
    finally:
        conf.set(DEFAULT_SYSTEM, default)
        files.delete(folder)


def load_pipeline(uri: str, root: str | None) -> PipelineModel:
    """A model of MLflow by its address, as ``models:/name/version``. What Spark reads lazily, as
    the factors of ALS, cannot be read later: the files are gone."""
    folder = folder_of_models(root)
    if folder is None:
        return mlflow.spark.load_model(uri)
    files, disk = Files(SparkSession.active()), on_disk(folder)
    try:
        if disk is not None:
            Path(disk).mkdir(parents=True, exist_ok=True)
        fetched = mlflow.artifacts.download_artifacts(uri, dst_path=disk)
        model = Path(fetched, Model.load(fetched).flavors["spark"]["model_data"])
        if disk is not None:
            return PipelineModel.load(model.as_uri())
        files.put(str(model), folder)
        return PipelineModel.load(folder)
    finally:
        files.delete(folder)
