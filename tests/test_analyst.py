"""The questions of ``docs/analyst``: every table has ten, and each is answered by its statement."""

import json
import os
from collections.abc import Iterator

import pytest
from pyspark.sql import DataFrame, SparkSession

from activityrec import tables
from activityrec.analyst import SAMPLED, answers_path, questions
from activityrec.serving.views import VIEWS
from activityrec.tables import Table
from tests.sample_shop import plain, sample_rows

EXECUTED = 2
"""Questions of each table whose rows the fast test looks at."""


@pytest.fixture(scope="module")
def shop(spark: SparkSession) -> Iterator[SparkSession]:
    """A session with the tables and views of the small shop, from memory."""
    session = spark.newSession()
    for table in SAMPLED:
        name = f"{table.name}_rows" if table.name in VIEWS else table.name
        sample_rows(session, table).createOrReplaceTempView(name)
    for view, query in VIEWS.items():
        names = {t.name: f"{t.name}_rows" if t.name in VIEWS else t.name for t in SAMPLED}
        session.sql(f"CREATE OR REPLACE TEMPORARY VIEW {view} AS {query.format(**names)}")
    yield session


@pytest.mark.parametrize("table", tables.SERVING, ids=lambda table: table.name)
def test_every_table_has_ten_questions(table: Table) -> None:
    asked = questions(table)
    assert len({question.text for question in asked}) >= 10
    assert all(question.text and question.sql for question in asked)
    reading = [table.name, *[name for name, sql in VIEWS.items() if f"{{{table.name}}}" in sql]]
    for question in asked:
        words = question.sql.replace("(", " ").replace(")", " ").split()
        assert set(reading) & set(words), f"does not ask {table.name}: {question.text}"


@pytest.mark.parametrize("table", tables.SERVING, ids=lambda table: table.name)
def test_every_statement_gives_the_columns_and_the_first_ones_the_rows(
    shop: SparkSession, table: Table
) -> None:
    """All are answered by a slow test, through the Thrift Server.

    To accept a change: WRITE_SNAPSHOTS=1, look at the difference, and `make docs`.
    """
    path = answers_path(table)
    frames = {question.text: shop.sql(question.sql) for question in questions(table)}
    if os.environ.get("WRITE_SNAPSHOTS"):
        found = {text: answer_of(frame) for text, frame in frames.items()}
        lines = [f"{json.dumps(t)}: {json.dumps(a, ensure_ascii=False)}" for t, a in found.items()]
        path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    expected = json.loads(path.read_text(encoding="utf-8"))
    assert {text: frame.columns for text, frame in frames.items()} == {
        text: answer["columns"] for text, answer in expected.items()
    }
    for text, frame in list(frames.items())[:EXECUTED]:
        assert answer_of(frame) == expected[text]


def answer_of(frame: DataFrame) -> dict[str, list]:
    return {"columns": frame.columns, "rows": plain(frame.collect())}
