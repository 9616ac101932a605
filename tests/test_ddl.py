"""What an operator may change of a table, and what the contract decides."""

from pyspark.sql import SparkSession
from pyspark.sql.types import StructField, StructType

from activityrec import tables
from activityrec.ddl import _properties, differences
from activityrec.tables import Table

FEED = "delta.enableChangeDataFeed"


def differs(table: Table, **changes: str | None) -> list[str]:
    schema = StructType(
        [
            StructField(c.name, StructType.fromDDL(f"c {c.type}")[0].dataType, not c.required)
            for c in table.columns
        ]
    )
    properties = _properties(table) | {f"delta.{key}": value for key, value in changes.items()}
    kept = {key: value for key, value in properties.items() if value is not None}
    return differences(table, schema, kept)


def test_changes_may_be_recorded_where_the_contract_does_not_ask(spark: SparkSession) -> None:
    assert not tables.USERS.change_feed
    assert differs(tables.USERS) == []
    assert differs(tables.USERS, enableChangeDataFeed="true", checkpointInterval="2") == []


def test_what_the_contract_asks_for_cannot_be_stopped(spark: SparkSession) -> None:
    assert tables.EVENTS.change_feed
    assert differs(tables.EVENTS) == []
    assert differs(tables.EVENTS, enableChangeDataFeed=None) == [
        f"{FEED} is missing, should be true"
    ]
    assert differs(tables.EVENTS, enableChangeDataFeed="false") == [
        f"{FEED} is false, should be true"
    ]
    assert differs(tables.EVENTS, dataSkippingNumIndexedCols="5") == [
        "delta.dataSkippingNumIndexedCols is 5, should be absent"
    ]
