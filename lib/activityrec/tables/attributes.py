"""The feature columns of declared attributes."""

from collections.abc import Sequence
from typing import Literal

from activityrec.config import AttributeConfig, AttributesConfig
from activityrec.tables.contract import Column

AttributeTable = Literal["users", "products", "activities"]

_PREFIX: dict[AttributeTable, str] = {
    "users": "attribute_",
    "products": "product_attribute_",
    "activities": "activity_attribute_",
}


def attribute_column(table: AttributeTable, name: str) -> str:
    """Name of the feature column of an attribute; those of two tables are never the same.

    >>> attribute_column("users", "city"), attribute_column("activities", "city")
    ('attribute_city', 'activity_attribute_city')
    """
    return f"{_PREFIX[table]}{name}"


def attribute_columns(attributes: AttributesConfig, table: AttributeTable) -> tuple[Column, ...]:
    """The feature columns of the declared attributes of one clean table."""
    declared: dict[str, AttributeConfig] = getattr(attributes, table)
    return tuple(
        Column(attribute_column(table, name), "STRING", _how_made(table, name, attribute), True)
        for name, attribute in declared.items()
    )


def band_labels(bounds: Sequence[float]) -> list[str]:
    """Labels of what is below the first of ascending bounds, and of the bands that they open.

    >>> band_labels([10.0, 20.0, 30.5])
    ['<10', '10-20', '20-30.5', '30.5+']
    """
    words = [str(int(bound)) if bound == int(bound) else str(bound) for bound in bounds]
    between = [f"{lower}-{upper}" for lower, upper in zip(words, words[1:], strict=False)]
    return [f"<{words[0]}", *between, f"{words[-1]}+"]


def _how_made(table: AttributeTable, name: str, attribute: AttributeConfig) -> str:
    """In words, how the label of an attribute is made."""
    numeric = attribute.type == "numeric"
    value = {
        "users": f"{name} of the user",
        "activities": f"{name} of the activity",
        "products": f"{'mean' if numeric else 'most frequent'} {name} of the eligible products",
    }[table]
    if not numeric:
        return (
            f"{value}; 'other' if not one of the {attribute.cap} most frequent, 'unknown' if NULL"
        )
    if attribute.bands:
        bands = ", ".join(f"'{label}'" for label in band_labels(attribute.bands))
        return f"band of the {value}: {bands}; 'unknown' if no number"
    rows = "users" if table == "users" else "activities"
    return (
        f"which of {attribute.quantiles} equal parts of the {rows} by {value}: 'q1' (lowest) to "
        f"'q{attribute.quantiles}'; 'unknown' if no number"
    )
