"""A small shop whose exports are as bad as they come, and what ingestion must make of them.

``write_hostile`` writes the files and ``hostile.yaml``; EXPECTED says what comes out of them.
Every file is loadable by YAML alone.
"""

import gzip
import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import yaml

from activityrec import tables

AS_OF = date(2024, 6, 1)

_HEADER = "id,user,kind,day,product,paid,note"
_MAY_1 = datetime(2024, 5, 1)

EVENTS: dict[str, dict[str, Any]] = {
    "iso": {"user_id": "u1", "event_ts": _MAY_1, "amount": 1234.5, "text": None},
    "dotted": {"user_id": "u1", "event_ts": _MAY_1, "amount": 0.99, "text": "plain"},
    "words": {"user_id": "u2", "event_ts": _MAY_1, "amount": None, "text": "plain"},
    "quotes": {
        "user_id": "u2",
        "event_ts": datetime(2024, 5, 2),
        "amount": 5.0,
        "text": 'She said "great", twice',
    },
    "newline": {
        "user_id": "u3",
        "event_ts": datetime(2024, 5, 2),
        "amount": 5.0,
        "text": "first line\nsecond line, with a comma\n\nfourth line",
    },
    "twice": {"user_id": "u3", "event_ts": datetime(2024, 5, 3), "amount": 7.0, "text": "copy"},
    "other-order": {
        "user_id": "u1",
        "event_ts": datetime(2024, 5, 4),
        "amount": 1000000.25,
        "text": "second file",
    },
    "umlauts": {
        "user_id": "u2",
        "event_ts": datetime(2024, 5, 5),
        "amount": 3.5,
        "text": "Grüße, größer als £5",
    },
    "app-1": {"user_id": "u1", "event_ts": datetime(2024, 5, 6, 10), "amount": 3.5, "text": None},
    "app-3": {
        "user_id": "u2",
        "event_ts": datetime(2024, 5, 6, 12),
        "amount": None,
        "text": "日本語 😀",
    },
}
"""The clean events, by event_id."""


def _breaks(column: str) -> str:
    """The reason of a value that breaks its column's condition."""
    (condition,) = [c.condition for c in tables.EVENTS.columns if c.name == column]
    return f"{column}: not {condition}"


REFUSED: dict[str, tuple[str, str, list[str]]] = {
    "no-such-format": ("shop", "a.csv", ["event_ts: not a TIMESTAMP"]),
    "no-such-day": ("shop", "a.csv", ["event_ts: not a TIMESTAMP"]),
    "no-day": ("shop", "a.csv", ["event_ts: missing"]),
    "no-user": ("shop", "a.csv", ["user_id: missing"]),
    "no-number": ("shop", "a.csv", ["amount: not a DOUBLE"]),
    "negative": ("shop", "a.csv", [_breaks("amount")]),
    "odd-kind": ("shop", "a.csv", [_breaks("event_type")]),
    "two-faults": ("shop", "a.csv", ["amount: not a DOUBLE", "event_ts: missing"]),
    "nul-in-the-id": ("shop", "a.csv", [_breaks("event_id")]),
    "megabyte": ("shop", "a.csv", [_breaks("text")]),
    "short-line": ("shop", "a.csv", ["malformed line"]),
    "long-line": ("shop", "a.csv", ["malformed line"]),
    "second-file-no-day": ("shop", "b.csv", ["event_ts: missing"]),
    "app-2": ("app", "app.json", ["malformed line"]),
}
"""The quarantined rows, by a text that only this row holds: source, file, reasons (any order)."""

EXPECTED: dict[str, Any] = {
    "events": EVENTS,
    "refused": REFUSED,
    # "twice" is in both files of the shop.
    "copies": 1,
    "rows": {"shop": 21, "latin": 1, "app": 3},
}


def write_hostile(folder: Path) -> Path:
    """Write all sources and ``hostile.yaml`` into the folder; return the YAML's path.

    ``shop/`` is one CSV source: ``a.csv`` with a byte order mark, CRLF and all kinds of rows;
    ``b.csv`` with the header in other case and order; ``empty.csv`` of 0 bytes;
    ``header_only.csv``. ``latin/`` is in ISO-8859-1, ``app/`` JSON lines of which one is broken.
    """
    for name in ("shop", "latin", "app"):
        (folder / name).mkdir(parents=True)
    (folder / "shop/a.csv").write_bytes(b"\xef\xbb\xbf" + _csv(_a_lines(), "\r\n"))
    (folder / "shop/b.csv").write_bytes(_csv(_b_lines(), "\n"))
    (folder / "shop/empty.csv").write_bytes(b"")
    (folder / "shop/header_only.csv").write_bytes(_csv([_HEADER], "\r\n"))
    latin = ["id;user;day;paid;note", "umlauts;u2;05.05.2024;3,50;Grüße, größer als £5"]
    (folder / "latin/latin.csv").write_bytes(_csv(latin, "\n", "iso-8859-1"))
    app = [
        '{"id": "app-1", "user": "u1", "at": "2024-05-06T10:00:00Z", "paid": 3.5}',
        '{"id": "app-2", "user": "u1", "at": "2024-05-06T11:0',
        '{"id": "app-3", "user": "u2", "at": "2024-05-06T12:00:00Z", "note": "日本語 😀"}',
    ]
    (folder / "app/app.json").write_bytes(_csv(app, "\n"))
    _write_entities(folder)
    return _write_yaml(folder, "hostile.yaml", configuration())


def write_truncated_gzip(folder: Path) -> Path:
    """Write ``cut/cut.csv.gz``, which ends in its middle, and ``truncated.yaml``; return this.

    The YAML reads only this source and the entities, so that nothing else can fail: its header
    is readable, and so are thousands of rows before the end.
    """
    (folder / "cut").mkdir(parents=True)
    lines = [_HEADER, *(f"cut-{n},u{n % 3 + 1},view,2024-05-01,p1,,{n * n}" for n in range(20_000))]
    whole = gzip.compress(_csv(lines, "\n"), mtime=0)
    (folder / "cut/cut.csv.gz").write_bytes(whole[: len(whole) // 2])
    _write_entities(folder)
    truncated = configuration()
    shop = truncated["sources"]["events"][0]
    changed = {"name": "cut", "path": "cut", "options": {"header": "true"}}
    truncated["sources"]["events"] = [{**shop, **changed}]
    return _write_yaml(folder, "truncated.yaml", truncated)


def configuration() -> dict:
    """The YAML of the hostile data set, as Python; tests change a copy of it."""
    # What fits no format stays text, and is refused as such instead of becoming NULL.
    formats = ("yyyy-MM-dd", "dd.MM.yyyy", "MMM d yyyy")
    tried = [f"cast(try_to_timestamp(day, '{format}') as string)" for format in formats]
    shop = {
        "event_id": "id",
        "user_id": "user",
        "event_type": "kind",
        "event_ts": f"coalesce({', '.join(tried)}, day)",
        "product_id": "product",
        "amount": "replace(replace(paid, '.', ''), ',', '.')",
        "text": "note",
    }
    latin = {**shop, "event_type": "'view'", "product_id": "'p1'"}
    app = {
        "event_id": "id",
        "user_id": "user",
        "event_type": "'view'",
        "event_ts": "at",
        "amount": "paid",
        "text": "note",
    }
    quoted = {"header": "true", "multiLine": "true", "escape": '"'}
    semicolons = {"header": "true", "sep": ";", "encoding": "ISO-8859-1"}
    return {
        "name": "hostile",
        "lakehouse": {"root": "lakehouse"},
        "tracking": {"uri": "sqlite:///mlflow.db", "artifacts": "mlflow"},
        "sources": {
            "users": [_entity("users", user_id="user")],
            "products": [_entity("products", product_id="product", category="category")],
            "activities": [
                _entity(
                    "activities",
                    activity_id="activity",
                    activity_type="kind",
                    start_ts="`from`",
                    end_ts="`to`",
                )
            ],
            "events": [
                _events("shop", "csv", quoted, shop),
                _events("latin", "csv", semicolons, latin),
                _events("app", "json", {}, app),
            ],
        },
        # 13 of the 21 rows of the shop.
        "ingest": {"max_refused_share": 0.7},
        "response": {"event_types": ["view"]},
        "interactions": {"weights": {"purchase": 1.0, "view": 0.1}},
        "features": {"event_types": ["purchase", "view"]},
    }


def _a_lines() -> list[str]:
    return [
        _HEADER,
        'iso,u1,purchase,2024-05-01,p1,"1.234,50",',
        'dotted,u1,purchase,01.05.2024,p1,"0,99",plain',
        "words,u2,view,May 1 2024,p2,,plain",
        'quotes,u2,purchase,2024-05-02,p1,"5,00","She said ""great"", twice"',
        'newline,u3,purchase,02.05.2024,p1,"5,00","first line\nsecond line, with a comma\n\n'
        'fourth line"',
        'twice,u3,purchase,2024-05-03,p2,"7,00",copy',
        "no-such-format,u1,view,soon,p1,,",
        "no-such-day,u1,view,31.02.2024,p1,,",
        "no-day,u1,view,,p1,,",
        "no-user,,view,2024-05-01,p1,,",
        "no-number,u1,purchase,2024-05-01,p1,free,",
        'negative,u1,purchase,2024-05-01,p1,"-5,00",',
        "odd-kind,u1,Add to cart!,2024-05-01,p1,,",
        "two-faults,u1,purchase,,p1,free,",
        "n\0ul,u1,view,2024-05-01,p1,,nul-in-the-id",
        f"megabyte,u1,view,2024-05-01,p1,,{'x' * 1_000_000}",
        "short-line,u1,view,2024-05-01",
        "long-line,u1,view,2024-05-01,p1,,note,one more,and another",
    ]


def _b_lines() -> list[str]:
    """Other case, other order: by position every value would be in a wrong column."""
    return [
        "NOTE,Paid,Product,ID,Day,KIND,User",
        'second file,"1.000.000,25",p2,other-order,May 4 2024,purchase,u1',
        'copy,"7,00",p2,twice,2024-05-03,purchase,u3',
        ",,p1,second-file-no-day,,view,u1",
    ]


def _write_entities(folder: Path) -> None:
    rows: dict[str, list[dict[str, str]]] = {
        "users": [{"user": f"u{n}"} for n in (1, 2, 3)],
        "products": [{"product": f"p{n}", "category": "tea"} for n in (1, 2)],
        "activities": [
            {"activity": "a1", "kind": "gift", "from": "2024-05-01", "to": "2024-07-01"}
        ],
    }
    for name, lines in rows.items():
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{name}.json").write_text(text, encoding="utf-8")


def _entity(name: str, /, **columns: str) -> dict:
    return {"format": "json", "path": f"{name}.json", "columns": columns}


def _events(name: str, format: str, options: dict[str, str], columns: dict[str, str]) -> dict:
    source = {"name": name, "format": format, "path": name, "load": "append"}
    return {**source, "options": options, "columns": columns}


def _csv(lines: list[str], end: str, encoding: str = "utf-8") -> bytes:
    return "".join(line + end for line in lines).encode(encoding)


def _write_yaml(folder: Path, name: str, content: dict) -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path
