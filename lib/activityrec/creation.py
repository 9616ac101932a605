"""Make a Delta table where another writer is about to, or one that was killed had begun to."""

import time
from collections.abc import Callable

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from activityrec.errors import StateError
from activityrec.files import Files

PATIENCE_SECONDS = 5.0
_PAUSE_SECONDS = 0.1


def create(
    spark: SparkSession, statement: str, exists: Callable[[], bool], folder: str | None
) -> bool:
    """Run a CREATE TABLE; where it fails, wait for the table, or clear what is in its way.

    Delta makes the folder of the log, then the first commit, then the entry in the catalog. It
    refuses to create a table where it finds any of them, so that a creation that was killed would
    be in the way of all later ones.

    Parameters
    ----------
    statement
        Without IF NOT EXISTS, which does nothing where the table's folder is there.
    exists
        Whether the table is there for readers.
    folder
        Where its files would be; None where the catalog keeps that to itself.

    Returns
    -------
    bool
        False where another writer made the table.

    Raises
    ------
    StateError
        The table has a log that the catalog does not know of.
    """
    try:
        spark.sql(statement)
    except (PySparkException, Py4JJavaError):
        files = Files(spark)
        if _appears(exists, files, folder):
            return False
        if folder is None or not _is_begun(files, folder):
            raise
        if _has_commits(files, folder):
            raise StateError(
                f"{folder} has the log of a table without data that is not in the catalog: its "
                "creation was cut short. Remove the folder and run the stage again"
            ) from None
        files.delete(f"{folder}/_delta_log")
        spark.sql(statement)
    return True


def _appears(exists: Callable[[], bool], files: Files, folder: str | None) -> bool:
    """Whether the table is there, or comes to be while a writer who has begun may be at work."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not exists():
        if folder is None or not _is_begun(files, folder) or time.monotonic() > end:
            return False
        time.sleep(_PAUSE_SECONDS)
    return True


def _is_begun(files: Files, folder: str) -> bool:
    """Whether a log is there and no data: a folder of other files is nobody's to touch."""
    return files.exists(folder) and files.names(folder) == ["_delta_log"]


def _has_commits(files: Files, folder: str) -> bool:
    """Commits and checkpoints begin with their number; what was on its way to be one does not."""
    return any(name[0].isdigit() for name in files.names(f"{folder}/_delta_log"))
