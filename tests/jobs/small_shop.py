"""A shop of a few rows, for what jobs say and leave behind when they cannot do their work."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.planted import configuration

AS_OF = "2024-05-01"
LINES: dict[str, list[dict[str, Any]]] = {
    "users": [{"user": "u1", "age": 30, "city": "north"}, {"user": "u2", "age": -1, "city": "x"}],
    "products": [{"product": "p1", "category": "tea"}],
    "activities": [
        {"activity": "a1", "kind": "gift", "from": "2024-04-20", "to": "2024-05-04"},
        {"activity": "a2", "kind": "gift", "from": "2024-06-20", "to": "2024-07-04"},
    ],
    "offers": [{"activity": "a1", "offer": "o1", "product": "p1"}],
    "purchases": [
        {"id": n, "user": "u1", "product": "p1", "at": day, "units": 1, "paid": 2}
        for n, day in enumerate(["2024-03-01", "2024-04-30", "2024-07-31"])
    ],
    "answers": [{"user": "u1", "activity": "a1", "at": "2024-04-21"}] * 2,
    "sent": [{"user": "u1", "activity": "a1", "at": "2024-04-20"}],
}

Change = Callable[[dict[str, Any]], object]
Run = Callable[..., list[str]]


def write_files(folder: Path) -> None:
    """The shop's files, and two that are no Parquet file and no Delta table."""
    for name, lines in LINES.items():
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
    (folder / "torn.parquet").write_bytes(b"PAR1 and nothing that is Parquet")
    cut = folder / "cut/_delta_log/00000000000000000000.json"
    cut.parent.mkdir(parents=True)
    cut.write_text('{"commitInfo":{"timestamp":17145', encoding="utf-8")


def add_user(folder: Path, user: str) -> None:
    """One more among the sources."""
    with (folder / "users.json").open("a", encoding="utf-8") as lines:
        lines.write(json.dumps({"user": user, "age": 40, "city": "north"}) + "\n")


def write_yaml(folder: Path, change: Change = lambda raw: None) -> Path:
    raw = configuration() | {"name": "shop"}
    change(raw)
    path = folder / "changed.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    return path


def expression(table: str, column: str, sql: str) -> Change:
    return lambda raw: raw["sources"][table][0]["columns"].update({column: sql})


def files_of(folder: Path) -> dict[str, int]:
    """Every file of the lakehouse's tables, with its size."""
    return {
        str(path.relative_to(folder)): path.stat().st_size
        for path in (folder / "lakehouse").rglob("*")
        # Loads before the one that fails are told of in clean.batches.
        if path.is_file() and path.name != ".lock" and not {"batches", "stages"} & set(path.parts)
    }
