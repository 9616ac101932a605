"""Which columns ``privacy.columns`` may name, and what may become of each."""

from collections.abc import Mapping

from activityrec.config import Config, ProtectionConfig
from activityrec.errors import ConfigError
from activityrec.tables import CLEAN, Column, Table

_ATTRIBUTES = "MAP<STRING, STRING>"
_WHOLE = ("INT", "BIGINT")
_HASHABLE_KEYS = {"events.event_id"}
"""Keys that no other table names, so that a hash does as well."""


def protected_columns(
    table: Table, columns: Mapping[str, ProtectionConfig]
) -> dict[str, dict[str | None, ProtectionConfig]]:
    """What is configured for a table: by column, then by attribute, None for the whole column."""
    found: dict[str, dict[str | None, ProtectionConfig]] = {}
    for name, way in columns.items():
        of_table, column, attribute = _parts(name)
        if of_table == table.name:
            found.setdefault(column, {})[attribute] = way
    return found


def check_columns(config: Config) -> None:
    """Verify that ``privacy.columns`` names columns that can be protected in that way.

    Raises
    ------
    ConfigError
        One names no column that a source gives, or its way does not suit the column: keys and
        references must stay what they are (``user_id`` is hashed always), what is required
        cannot be NULL, text cannot be banded, numbers cannot be hashed or encrypted.
    """
    if config.privacy is None:
        return
    for name, way in config.privacy.columns.items():
        if fault := _fault(name, way):
            raise ConfigError(f"privacy.columns.{name}: {fault}")


def _fault(name: str, way: ProtectionConfig) -> str | None:
    of_table, column_name, attribute = _parts(name)
    by_name = {table.name: table for table in CLEAN}
    if of_table not in by_name:
        return f"no table {of_table!r}; allowed: {', '.join(by_name)}"
    table = by_name[of_table]
    column = next((c for c in table.given if c.name == column_name), None)
    if column is None or (attribute is not None and column.type != _ATTRIBUTES):
        listed = [c.name for c in table.given if _ways(table, c)]
        listed += [f"{c.name}.<name>" for c in table.given if c.type == _ATTRIBUTES]
        return f"no such column of {table.full_name}; allowed: {', '.join(listed)}"
    ways = ["drop", "hash", "band", "encrypt"] if attribute else _ways(table, column)
    if column.name == "user_id":
        return "user_id is always hashed; there is nothing to configure"
    if way.how not in ways:
        allowed = ", ".join(ways) or "nothing, for rows are found by it"
        return f"{way.how} does not suit it; allowed: {allowed}"
    if way.bands != sorted(set(way.bands)):
        return f"bands {way.bands} are not in ascending order"
    if column.type in _WHOLE and any(not float(bound).is_integer() for bound in way.bands):
        return f"bands {way.bands} are not whole, and the column is {column.type}"
    return None


def _ways(table: Table, column: Column) -> list[str]:
    """What may become of a whole column."""
    references = [reference.column for reference in table.references]
    if f"{table.name}.{column.name}" in _HASHABLE_KEYS:
        return ["hash"]
    if column.name in table.key or column.name in references:
        return []
    text = column.type == "STRING" and not column.check
    fits = {
        "drop": not column.required,
        "hash": text,
        "band": not column.required and column.type in (*_WHOLE, "DOUBLE"),
        "encrypt": not column.required and text,
    }
    return [way for way, fit in fits.items() if fit]


def _parts(name: str) -> tuple[str, str, str | None]:
    """Table, column and attribute (None: the whole column) of ``users.attributes.email``."""
    table, _, rest = name.partition(".")
    column, _, attribute = rest.partition(".")
    return table, column, attribute or None
