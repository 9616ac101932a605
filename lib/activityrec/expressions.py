"""Spark SQL expressions of the configuration, looked at before anything runs."""

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DataType, NumericType

from activityrec.errors import ConfigError, first_line

CONDITION, NUMBER = BooleanType, NumericType


def check_expression(rows: DataFrame, key: str, sql: str, kind: type[DataType] = DataType) -> None:
    """Whether ``sql``, the configuration's value of ``key``, is an expression over ``rows``.

    Parameters
    ----------
    kind
        What it must give, or NULL.

    Raises
    ------
    ConfigError
        It does not resolve, is an aggregate, or gives something else.
    """
    try:
        # Beside a plain column an aggregate does not resolve either.
        found = rows.select(rows.columns[0], F.expr(sql)).schema[-1].dataType
    except PySparkException as error:
        raise ConfigError(f"{key}: {sql!r} does not resolve: {first_line(error)}") from None
    if not isinstance(found, kind) and found.typeName() != "void":
        wanted = "condition" if kind is CONDITION else "number"
        raise ConfigError(f"{key}: {sql!r} is no {wanted}: it gives {found.simpleString()}")
