"""One connection to a database, by the JDBC driver that Spark has: no further package."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from activityrec.errors import ConfigError, StateError, first_line

DRIVER = "org.postgresql.Driver"


class Database:
    """Statements on one connection; each is committed by itself, outside of a transaction."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def execute(self, sql: str) -> None:
        statement = self.connection.createStatement()
        try:
            statement.execute(sql)
        finally:
            statement.close()

    def value(self, sql: str) -> Any:
        """The first column of the first row; None: there is no row, or it is NULL."""
        statement = self.connection.createStatement()
        try:
            found = statement.executeQuery(sql)
            return found.getObject(1) if found.next() else None
        finally:
            statement.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements inside take effect at once, or none does."""
        self.connection.setAutoCommit(False)
        try:
            yield
            self.connection.commit()
        except BaseException:
            # Where the connection is gone the server has done so, and the first error says why.
            with suppress(Py4JJavaError):
                self.connection.rollback()
                self.connection.setAutoCommit(True)
            raise
        self.connection.setAutoCommit(True)


@contextmanager
def connect(spark: SparkSession, target: str, options: Mapping[str, str]) -> Iterator[Database]:
    """A connection for the time of a block.

    Parameters
    ----------
    options
        As :func:`resolved` gives them: ``url``, ``driver`` and what the driver takes.

    Raises
    ------
    StateError
        The driver is not there, or the database refused a statement, in its own words.
    """
    try:
        connection = _open(spark, options)
        try:
            yield Database(connection)
        finally:
            connection.close()
    except Py4JJavaError as error:
        raise StateError(f"export target {target}: {first_line(error)}") from None


def _open(spark: SparkSession, options: Mapping[str, str]) -> Any:
    jvm: Any = spark._jvm
    # Spark's own jars are not those of Java's DriverManager.
    loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()
    driver = jvm.java.lang.Class.forName(options.get("driver", DRIVER), True, loader)
    properties = jvm.java.util.Properties()
    for key, value in options.items():
        if key not in ("url", "driver"):
            properties.setProperty(key, value)
    return driver.newInstance().connect(options["url"], properties)


def resolved(target: str, options: Mapping[str, str]) -> dict[str, str]:
    """The options, ``${NAME}`` in their values replaced by the environment variable.

    Raises
    ------
    ConfigError
        There is no such variable, no ``url``, or a password is written in the configuration.
    """
    if "url" not in options:
        raise ConfigError(f"export target {target}: options has no url")
    written = [options.get("password", "${}"), *re.findall(r"password=([^&]*)", options["url"])]
    if any("${" not in password for password in written):
        raise ConfigError(
            f"export target {target}: a password is in the configuration: put ${{NAME}} there, "
            "and the password in that environment variable"
        )

    def variable(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in os.environ:
            raise ConfigError(f"export target {target}: environment variable {name} is not set")
        return os.environ[name]

    return {key: re.sub(r"\$\{([A-Za-z_]\w*)\}", variable, value) for key, value in options.items()}
