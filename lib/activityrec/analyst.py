"""The pages of ``docs/analyst``: each serving table's columns, sample rows and questions.

What they are made of lies beside them, as plain files: ``questions/<table>.sql`` has each question
as a comment above the statement that answers it, ``samples/<table>.jsonl`` the rows of a small
shop, ``answers/<table>.json`` what the statements return on these rows, as a test found them.
For a new table, write the first two, then ``WRITE_SNAPSHOTS=1 pytest tests/test_analyst.py`` and
``make docs``, and look at what they wrote.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from activityrec import tables
from activityrec.serving.views import NAMING, VIEWS
from activityrec.tables import Table

FOLDER = Path(__file__).parents[2] / "docs" / "analyst"
SAMPLED = (*tables.SERVING, *NAMING)
"""The tables of the small shop."""
SHOWN = 3
"""Sample rows on a page."""
_LONG = 60


@dataclass(frozen=True)
class Question:
    """What an analyst asks of a table, and the statement that answers it."""

    text: str
    sql: str


def questions(table: Table) -> list[Question]:
    """The questions of a table; none where it has no file."""
    path = FOLDER / "questions" / f"{table.name}.sql"
    return parse(path.read_text(encoding="utf-8")) if path.exists() else []


def parse(text: str) -> list[Question]:
    """Statements that end with ``;``, each below a comment that asks its question."""
    found = []
    for part in text.split(";\n"):
        lines = part.strip().splitlines()
        asked = [line.removeprefix("--").strip() for line in lines if line.startswith("--")]
        if lines:
            sql = "\n".join(line for line in lines if not line.startswith("--"))
            found.append(Question(" ".join(asked), sql))
    return found


def sample_path(table: Table) -> Path:
    """The file with the rows of a table, one JSON object a line."""
    return FOLDER / "samples" / f"{table.name}.jsonl"


def answers_path(table: Table) -> Path:
    """The file with what its questions are answered by: columns and rows."""
    return FOLDER / "answers" / f"{table.name}.json"


def pages() -> dict[str, str]:
    """File name, below ``docs``, to content of every page."""
    found = {f"analyst/{table.name}.md": table_page(table) for table in tables.SERVING}
    return {"analyst.md": index_page()} | found


def index_page() -> str:
    """Which tables there are, and how to ask them."""
    lines = [
        "# For the analyst",
        "",
        "Generated from `docs/analyst/` by `make docs`. Each page has the columns of a table, some",
        "rows of a small shop, and ten questions with the statement that answers each, and the",
        "answer on these rows. A test runs them all. The statements are Spark SQL: run them by the",
        "[Thrift Server](readers.md), in a notebook, or by `jobs/show.py --query`.",
        "",
        "| table | what |",
        "|---|---|",
        *[
            f"| [{table.full_name}](analyst/{table.name}.md) | {table.comment} |"
            for table in tables.SERVING
        ],
        "",
        "Views of the current publication, and of all of them, are in [tables.md](tables.md);",
        "`activities` and `products` say what ids stand for. Charts: [bi.md](bi.md).",
    ]
    return "\n".join(lines) + "\n"


def table_page(table: Table) -> str:
    """Columns, sample rows, questions and answers."""
    rows = [json.loads(line) for line in sample_path(table).read_text("utf-8").splitlines()]
    views = [f"`{name}`" for name, query in VIEWS.items() if f"{{{table.name}}}" in query]
    lines = [
        f"# {table.full_name}",
        "",
        f"{table.comment} A row: {', '.join(f'`{name}`' for name in table.key)}. "
        f"Views that read it: {', '.join(views) or 'none'}.",
        "",
        "| column | type | what |",
        "|---|---|---|",
        *[f"| `{c.name}` | {c.type} | {_cell(c.comment)} |" for c in table.columns],
        "",
        "## Sample rows",
        "",
        *_upright(table, rows[-SHOWN:]),
        "",
        "## Questions",
    ]
    answers = json.loads(answers_path(table).read_text(encoding="utf-8"))
    for number, question in enumerate(questions(table), start=1):
        lines += ["", f"### {number}. {question.text}", "", "```sql", question.sql, "```", ""]
        lines += _answer(answers.get(question.text, {"columns": [], "rows": []}))
    return "\n".join(lines) + "\n"


def _upright(table: Table, rows: list[dict[str, Any]]) -> list[str]:
    """Rows as columns: tables have more columns than a page is wide."""
    head = [f"row {number}" for number in range(1, len(rows) + 1)]
    return [
        f"| column | {' | '.join(head)} |",
        "|---" * (len(rows) + 1) + "|",
        *[
            f"| `{name}` | {' | '.join(_value(row.get(name)) for row in rows)} |"
            for name in table.column_names
        ],
    ]


def _answer(answer: dict[str, list]) -> list[str]:
    columns, rows = answer["columns"], answer["rows"] or [["no rows"]]
    return [
        f"| {' | '.join(columns)} |",
        "|---" * len(columns) + "|",
        *[f"| {' | '.join(_value(value) for value in row)} |" for row in rows],
    ]


def _value(value: Any) -> str:
    if value is None:
        return "NULL"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _cell(text if len(text) <= _LONG else f"{text[:_LONG]}…")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
