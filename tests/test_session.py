"""What differs where the session is one of Spark Connect, as on serverless compute."""

from typing import Any

import pytest

from activityrec import tables, upkeep
from activityrec.config import LakehouseConfig
from activityrec.lakehouse import Lakehouse
from activityrec.session import is_connected, release


class Connected:
    """Refuses what serverless compute refuses, and keeps the statements."""

    __module__ = "pyspark.sql.connect.session"

    def __init__(self) -> None:
        self.statements: list[str] = []

    def sql(self, statement: str) -> None:
        self.statements.append(statement)

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} is refused")


class Deployment:
    name, lakehouse = "shop", LakehouseConfig(catalog="main")


def test_nothing_is_kept_in_memory_and_nothing_is_set() -> None:
    spark: Any = Connected()
    deployment: Any = Deployment()
    assert is_connected(spark)
    release(spark)
    Lakehouse(spark, deployment).vacuum(tables.USERS, upkeep.WEEK)
    assert spark.statements == ["VACUUM main.clean.users RETAIN 168 HOURS"]
    with pytest.raises(AssertionError, match="conf is refused"):
        Lakehouse(spark, deployment).vacuum(tables.USERS, 24)
