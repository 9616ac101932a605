"""Models on their way between MLflow, which works on the driver's disk, and Spark's executors,
which do not see it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlflow.environment_variables import MLFLOW_DFS_TMP
from pyspark.sql import SparkSession

from activityrec.files import Files, on_disk

FOLDER = ".models"
DEFAULT_SYSTEM = "fs.defaultFS"


@dataclass(frozen=True)
class Way:
    """Folders for ``mlflow.spark``; None leaves MLflow to its own."""

    spark_folder: str | None = None
    """Where Spark writes and reads (``dfs_tmpdir``)."""
    fetch_folder: str | None = None
    """Where MLflow puts what it fetched (``dst_path``), if Spark can read it there."""


@contextmanager
def way_of_models(root: str | None) -> Iterator[Way]:
    """A folder that all nodes see, gone when the block ends: what is read lazily, as ALS's factors
    are, must be read before.

    It is under the lakehouse's ``root``, or, for tables in a catalog, under
    ``spark.checkpoint.dir``. ``MLFLOW_DFS_TMP``, MLflow's own setting, goes before both.
    """
    spark = SparkSession.active()
    base = root or spark.conf.get("spark.checkpoint.dir", None)
    if MLFLOW_DFS_TMP.is_set() or base is None:
        yield Way()
        return
    files, folder = Files(spark), f"{base}/{FOLDER}"
    conf = spark.sparkContext._jsc.hadoopConfiguration()
    default = conf.get(DEFAULT_SYSTEM)
    # MLflow copies by the default file system, whichever the folder is on.
    conf.set(DEFAULT_SYSTEM, files.system(folder))
    disk = on_disk(folder)
    try:
        if disk is not None:
            Path(disk).mkdir(parents=True, exist_ok=True)
        yield Way(folder, disk)
    finally:
        files.delete(folder)
        conf.set(DEFAULT_SYSTEM, default)
