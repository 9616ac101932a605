"""A lakehouse with little runs in it, for what is about publishing."""

from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.config import Config
from activityrec.lakehouse import Lakehouse
from activityrec.serving.publication import commit, latest_publication, publish
from tests.planted import configuration

DAY = date(2024, 5, 1)
NOON = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
ROW = "user_id STRING, activity_id STRING, rank INT, score DOUBLE"


def at(hour: int) -> datetime:
    return NOON.replace(hour=hour)


def config_at(root: Path, **sections: dict[str, Any]) -> Config:
    raw = configuration() | {"lakehouse": {"root": str(root)}} | sections
    return Config.model_validate(raw)


def lakehouse_at(spark: SparkSession, root: Path) -> Lakehouse:
    return stock(Lakehouse(spark, config_at(root)))


def stock(made: Lakehouse) -> Lakehouse:
    """With the users u1 to u9, and of the activities a, b, c and over all live but the last."""
    spark = made.spark
    start, end = datetime(2024, 4, 25), datetime(2024, 5, 9)
    ends = {"a": end, "b": end, "c": end, "over": datetime(2024, 4, 30)}
    activities = spark.createDataFrame(
        [(name, "gift", start, until) for name, until in ends.items()],
        "activity_id STRING, activity_type STRING, start_ts TIMESTAMP, end_ts TIMESTAMP",
    )
    write(made, tables.ACTIVITIES, activities)
    users = [(f"u{number}",) for number in range(1, 10)]
    write(made, tables.USERS, spark.createDataFrame(users, "user_id STRING"))
    return made


def write(lakehouse: Lakehouse, table: tables.Table, rows: DataFrame, where: str = "true") -> None:
    """Rows with whatever columns a test does not care about filled in."""
    fillers = {"score": 0.5, "propensity": 1.0, "model": "m/1", "source": "s", "batch_id": "s/0"}
    for column in table.columns:
        if column.name not in rows.columns:
            empty = {"ARRAY": F.array(), "MAP": F.create_map()}
            kind = column.type.partition("<")[0]
            value = empty.get(kind, F.lit(fillers.get(column.name)))
            rows = rows.withColumn(column.name, value.cast(column.type))
    lakehouse.replace(table, rows, where)


def make_run(lakehouse: Lakehouse, run: str, lists: dict[str, str], day: date = DAY) -> None:
    """Lists (a user's activities, one letter each, or one name) and the audiences they make."""
    marks = {"run_id": F.lit(run), "as_of": F.lit(day)}
    rows, audience = [], []
    members: dict[str, int] = {}
    for user, listed in lists.items():
        names = [listed] if listed == "over" else list(listed)
        for rank, activity in enumerate(names, start=1):
            rows.append((user, activity, rank, 1 / rank))
            members[activity] = members.get(activity, 0) + 1
            audience.append((user, activity, members[activity], 0.5))
    for table, made in ((tables.RECOMMENDATIONS, rows), (tables.AUDIENCES, audience)):
        frame = lakehouse.spark.createDataFrame(made, ROW).coalesce(1)
        write(lakehouse, table, frame.withColumns(marks), f"run_id = '{run}'")


def publish_run(lakehouse: Lakehouse, run: str, when: datetime = NOON, **limits: object) -> bool:
    """Publish; scores of so few rows may be as unlike as they like."""
    section = {"max_score_psi": 100.0} | limits
    return publish(lakehouse, run, DAY, config_at(Path(str(lakehouse.root)), publish=section), when)


def make_current(lakehouse: Lakehouse, run: str, when: datetime = NOON) -> None:
    """Publish without an audit, which takes most of the time, where a test is about neither."""
    mine = F.col("run_id") == run
    lists = lakehouse.read(tables.RECOMMENDATIONS).where(mine)
    users = lists.select("user_id").distinct().count()
    audiences = lakehouse.read(tables.AUDIENCES).where(mine).count()
    row = (run, DAY, when, "m/1", users, lists.count(), audiences)
    commit(lakehouse, row, latest_publication(lakehouse))
