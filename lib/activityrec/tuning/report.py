"""What a search found, as YAML for the configuration and as a table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml


@dataclass(frozen=True)
class Result:
    """What came of a search.

    Attributes
    ----------
    trials, pruned
        How many were measured on all windows, and how many were given up earlier.
    best, current
        Mean of the metric over the windows: of the best trial, of the configuration as it is.
    baselines
        That of the simple models; None where it is not defined.
    number, values
        The best trial and its parameters, by dotted key.
    unchanged
        Whether that is the configuration as it is.
    """

    study: str
    metric: str
    trials: int
    pruned: int
    best: float
    current: float
    baselines: Mapping[str, float | None]
    number: int
    values: Mapping[str, Any]
    unchanged: bool


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by dotted key as the mappings of the YAML."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        *sections, name = key.split(".")
        place = found
        for section in sections:
            place = place.setdefault(section, {})
        place[name] = value
    return found


def fragment(result: Result) -> str:
    """The best parameters as the part of a configuration."""
    words = "the configuration as it is" if result.unchanged else f"trial {result.number}"
    head = [
        f"Best of study {result.study}: {words}.",
        *(f"{name}: {value}" for name, value in rows(result)),
    ]
    comment = "".join(f"# {line}\n" for line in head)
    return comment + yaml.safe_dump(nested(result.values), sort_keys=False)


def rows(result: Result) -> list[tuple[str, str]]:
    """Name and mean of the metric: the best trial, the configuration, the simple models."""
    shown = {"best": result.best, "configuration": result.current, **result.baselines}
    return [
        (f"{result.metric}, {name}", "not defined" if value is None else f"{value:.4f}")
        for name, value in shown.items()
    ]
