"""The pages of ``docs`` that follow from the code: ``make docs`` writes them, a test compares.

Run as ``python -m activityrec.documentation docs``.
"""

import re
import sys
from datetime import date
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from activityrec import analyst
from activityrec.config import (
    AttributeConfig,
    AttributesConfig,
    Config,
    FeaturesConfig,
    SourcesConfig,
    TuneConfig,
)
from activityrec.serving.views import VIEWS
from activityrec.tables import Column, Table, all_tables

_ATTRIBUTES = {
    "{category}": AttributeConfig.model_construct(cap="{cap}"),
    "{number}": AttributeConfig.model_construct(type="numeric", quantiles="{quantiles}"),
    "{banded}": AttributeConfig(type="numeric", bands=[10, 20]),
}
_ANY_DATA_SET = Config.model_construct(
    attributes=AttributesConfig.model_construct(
        users=_ATTRIBUTES, products=_ATTRIBUTES, activities=_ATTRIBUTES
    ),
    features=FeaturesConfig.model_construct(
        event_types=["{event_type}"],
        purchase_type="{event_type}",
        affinity_types=["{event_type}"],
        windows=["{days}"],
        affinity_windows=["{days}"],
    ),
)
_PLACES = {
    SourcesConfig: "<table>",
    AttributesConfig: "<table>.<name>",
    TuneConfig: "space.<key>",
}
"""Sections that hold one other section under many keys: how these are written."""


def pages() -> dict[str, str]:
    """File name to content of every generated page."""
    written = {"tables.md": tables_page(), "configuration.md": configuration_page()}
    return written | analyst.pages()


def tables_page() -> str:
    """Every table with its columns, keys and rules, from the contracts."""
    lines = [
        "# Tables",
        "",
        "Generated from `lib/activityrec/tables/` by `make docs`. `{event_type}` and `{days}`",
        "stand for what the YAML lists under `features`; `{category}`, `{number}` and `{banded}`",
        "for what it declares under `attributes`: of type categorical (with its `cap`), numeric",
        "(with its `quantiles`) and numeric with bands (here 10 and 20). A key marks a row;",
        "required columns are never NULL. Times are UTC; money is in the currency of the data.",
        "",
    ]
    for table in all_tables(_ANY_DATA_SET):
        lines += _table(table)
    lines += ["## Views of publications", ""]
    lines += [f"- `{name}`: `{_sql(query)}`" for name, query in VIEWS.items()]
    return "\n".join(lines) + "\n"


def configuration_page() -> str:
    """Every key of the YAML with its type and default, from the models."""
    lines = [
        "# Configuration",
        "",
        "Generated from the models in `lib/activityrec/config*.py` by `make docs`. One YAML",
        "describes one data set; an unknown key is an error. Paths are relative to the file;",
        "in one of a deployment with a catalog, `{catalog}` is that (or the one of `--catalog`).",
        "",
    ]
    for key, model in _sections(Config, ""):
        lines += _section(key, model)
    return "\n".join(lines) + "\n"


def _table(table: Table) -> list[str]:
    keys = ", ".join(f"`{name}`" for name in table.key)
    rows = [f"| `{column.name}` | {column.type} | {_words(column)} |" for column in table.columns]
    rules = [f"Rule `{name}`: `{sql}`.\n" for name, sql in table.checks]
    rules += [
        f"`{r.column}` refers to `clean.{r.target}`; orphans: {r.orphans}, unless "
        f"`ingest.orphans` says otherwise.\n"
        for r in table.references
    ]
    return [
        f"## {table.full_name}",
        "",
        f"{table.comment} Key: {keys}.",
        "",
        "| column | type | what |",
        "|---|---|---|",
        *rows,
        "",
        *rules,
    ]


def _words(column: Column) -> str:
    words = column.comment
    if column.required:
        words += "; required"
    if column.default:
        words += f"; if missing: {column.default}"
    if column.condition:
        words += f"; must be `{column.condition}`"
    if column.occurred:
        words += "; neither before `ingest.earliest` nor after the load"
    return words.replace("|", "\\|")


def _sql(query: str) -> str:
    return query.format(**{table.name: table.full_name for table in all_tables(_ANY_DATA_SET)})


def _sections(model: type[BaseModel], key: str) -> list[tuple[str, type[BaseModel]]]:
    """The model and those below it, with their keys, in the order of the YAML."""
    found = [(key, model)]
    for name, field in model.model_fields.items():
        for part in _parts(field.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                place = _PLACES.get(model, name)
                below = _sections(part, f"{key}.{place}".strip("."))
                found += [entry for entry in below if entry[1] not in [old for _, old in found]]
    return found


def _section(key: str, model: type[BaseModel]) -> list[str]:
    text = " ".join((model.__doc__ or "").split()).replace("``", "`")
    text = re.sub(r":\w+:`activityrec\.([\w.]+)`", r"`\1`", text)
    rows = []
    for name, field in model.model_fields.items():
        default = field.default_factory() if field.default_factory else field.default  # type: ignore[call-arg]
        if isinstance(default, BaseModel):
            shown = "see below"
        else:
            shown = "required" if default is PydanticUndefined else f"`{default}`"
        limits = ", ".join(str(rule) for rule in field.metadata)
        kind = _type(field.annotation) + (f" ({limits})" if limits else "")
        rows.append(f"| `{name}` | {kind} | {shown} |".replace("None", "none"))
    title = f"## `{key}`" if key else "## The file"
    return [title, "", text, "", "| key | type | default |", "|---|---|---|", *rows, ""]


def _type(annotation: Any) -> str:
    """The type as a reader of YAML would say it."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(args[0])
    if origin in (Union, UnionType):
        return " or ".join(_type(arg) for arg in args if arg is not type(None))
    if origin is list:
        return f"list of {_type(args[0])}"
    if origin is dict:
        return f"mapping of {_type(args[0])} to {_type(args[1])}"
    if origin is Literal:
        return " or ".join(f"`{arg}`" for arg in args)
    names = {str: "text", int: "integer", float: "number", bool: "true or false", date: "date"}
    return names.get(annotation, "section")


def _parts(annotation: Any) -> list[Any]:
    """A type and the types that it is made of."""
    return [annotation, *[part for arg in get_args(annotation) for part in _parts(arg)]]


if __name__ == "__main__":
    for file_name, content in pages().items():
        (Path(sys.argv[1]) / file_name).write_text(content, encoding="utf-8")
