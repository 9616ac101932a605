"""Make a Delta table where another writer is about to, or one that was killed had begun to."""

from collections.abc import Callable
from time import monotonic, sleep

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from activityrec.errors import StateError
from activityrec.files import Files

PATIENCE_SECONDS = 5.0
_PAUSE_SECONDS = 0.1
_SPARK_ERRORS = (PySparkException, Py4JJavaError)


def create(
    spark: SparkSession,
    statement: str,
    folder: Callable[[], str | None],
    in_catalog: Callable[[], bool] | None,
) -> bool:
    """Run a CREATE TABLE; where it fails, wait for the table, or clear what is in its way.

    Delta makes the folder of the log, then the first commit, then the entry in the catalog. It
    refuses to create a table where it finds any of them, so that a creation that was killed would
    be in the way of all later ones.

    Parameters
    ----------
    statement
        Without IF NOT EXISTS, which does nothing where the table's folder is there.
    folder
        Where its files would be; None where the catalog keeps that to itself.
    in_catalog
        Whether the catalog has the table; None: without one, a table is there by its first commit.

    Returns
    -------
    bool
        False where another writer made the table.

    Raises
    ------
    StateError
        The table has a log that the catalog does not know of.
    """
    for is_last in (False, True):
        try:
            spark.sql(statement)
            return True
        except _SPARK_ERRORS as error:
            try:
                if _Rest(Files(spark), folder(), in_catalog).is_a_table():
                    return False
            except _SPARK_ERRORS:
                # What looking for the cause met is not the cause.
                raise error from None
            if is_last:
                raise
    raise AssertionError


class _Rest:
    """What is found where a table could not be made."""

    def __init__(
        self, files: Files, folder: str | None, in_catalog: Callable[[], bool] | None
    ) -> None:
        self.files, self.folder, self.in_catalog = files, folder, in_catalog

    def is_a_table(self) -> bool:
        """Whether the table is there, or comes to be while a writer who has begun may be at work.
        Where it is not, what was begun is cleared away.

        Raises
        ------
        StateError
            It has commits, but no entry in the catalog.
        """
        end = monotonic() + PATIENCE_SECONDS
        while not self._is_there():
            if not self._is_begun():
                return False
            if monotonic() > end:
                return not self._is_cleared()
            sleep(_PAUSE_SECONDS)
        return True

    def _is_there(self) -> bool:
        return self._has_commits() if self.in_catalog is None else self.in_catalog()

    def _is_begun(self) -> bool:
        """Whether a log is there and no data: a folder of other files is nobody's to touch."""
        if self.folder is None or not self.files.exists(self.folder):
            return False
        return self.files.names(self.folder) == ["_delta_log"]

    def _has_commits(self) -> bool:
        return any(name[0].isdigit() for name in self._log())

    def _log(self) -> list[str]:
        """The names in it. Commits and checkpoints begin with their number; what was on its way to
        be one does not."""
        log = f"{self.folder}/_delta_log"
        return self.files.names(log) if self.files.exists(log) else []

    def _is_cleared(self) -> bool:
        """Delete a log without commits; False where it got one meanwhile."""
        if self._has_commits() and self.in_catalog is not None:
            raise StateError(
                f"{self.folder} has the log of a table without data that is not in the catalog. "
                "If no other run is at work on it, its creation was cut short: remove the folder "
                "and run the stage again"
            )
        for name in self._log():
            if name[0].isdigit():
                return False
            self.files.delete(f"{self.folder}/_delta_log/{name}")
        return self.files.delete_empty(f"{self.folder}/_delta_log")
