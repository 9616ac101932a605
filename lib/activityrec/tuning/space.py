"""The space of a search: dotted keys of the configuration, and what is tried for each."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from activityrec.config import Config, RangeConfig
from activityrec.config_tune import Values
from activityrec.errors import ConfigError
from activityrec.ranking.methods import Method
from activityrec.tuning.defaults import default_space, measured_retrievers

METHOD = "ranker.method"


def search_space(config: Config) -> dict[str, Values]:
    """What is tried for each key, in order; checked.

    Raises
    ------
    ConfigError
        A key is unknown, has no effect on what is measured, or has a value that the
        configuration refuses.
    """
    space = config.tune.space or default_space(config)
    if not space:
        raise ConfigError(f"tune.space: give one, there is no default for {config.tune.model}")
    for key, values in space.items():
        current = value_at(config, key)
        if why := _no_effect(config, space, key):
            raise ConfigError(f"tune.space: {key} {why}")
        if not isinstance(current, bool | int | float | str):
            raise ConfigError(f"tune.space: {key} is no single value: it cannot be searched")
        if isinstance(values, RangeConfig):
            _check_range(key, values, current)
            tried: list[Any] = [values.low, values.high]
        else:
            tried = list(values)
        for value in tried:
            with_values(config, {key: value})
    return dict(sorted(space.items(), key=lambda entry: entry[0] != METHOD))


def active(key: str, method: str) -> bool:
    """Whether a key matters to a ranker of this method."""
    parts = key.split(".")
    return len(parts) != 3 or parts[0] != "ranker" or parts[1] == method


def value_at(config: Config, key: str) -> Any:
    """The configuration's value of a dotted key.

    Raises
    ------
    ConfigError
        There is none.
    """
    found: Any = config
    for part in key.split("."):
        if not isinstance(found, BaseModel) or part not in type(found).model_fields:
            allowed = sorted(type(found).model_fields) if isinstance(found, BaseModel) else []
            raise ConfigError(
                f"tune.space: unknown key {key}; allowed in place of {part}: "
                f"{', '.join(allowed) or 'nothing'}"
            )
        found = getattr(found, part)
    return found


def with_values(config: Config, values: Mapping[str, Any]) -> Config:
    """The configuration with other values of some dotted keys.

    Raises
    ------
    ConfigError
        It refuses one.
    """
    for key, value in values.items():
        try:
            config = _changed(config, key.split("."), value)
            # What its sections say together.
            Config.model_validate(config.model_dump())
        except ValidationError as error:
            fault = error.errors()[0]["msg"]
            raise ConfigError(f"tune.space: {key} refuses {value!r}: {fault}") from None
    return config


def _changed(section: Any, path: list[str], value: Any) -> Any:
    name, *rest = path
    if rest:
        return section.model_copy(update={name: _changed(getattr(section, name), rest, value)})
    return type(section).model_validate(section.model_dump() | {name: value})


def _check_range(key: str, values: RangeConfig, current: Any) -> None:
    if isinstance(current, bool | str):
        raise ConfigError(f"tune.space: {key} is no number: give a list of values")
    whole = values.step is None or float(values.step).is_integer()
    if isinstance(current, int) and not whole:
        raise ConfigError(f"tune.space: {key} is an integer: step {values.step} is not")


def _no_effect(config: Config, space: Mapping[str, Values], key: str) -> str | None:
    """Why a known key would change nothing that is measured; None where it would."""
    head, *rest = key.split(".")
    names = measured_retrievers(config)
    if head == "retrieval" and len(rest) > 1:
        if rest[0] in names:
            return None
        read = "the ranker reads" if config.tune.model == "ranker" else "is measured"
        return f"has no effect: of the retrievers {read} {', '.join(names) or 'none'}"
    if head == "interactions" or key == "retrieval.own_prior":
        return None if names else "has no effect: the ranker reads no retriever's score"
    ranker = config.ranker
    is_method = (
        head == "ranker" and bool(rest) and isinstance(getattr(ranker, rest[0], None), Method)
    )
    if config.tune.model != "ranker" or not (is_method or key in (METHOD, "ranker.seed")):
        return (
            "cannot be searched: the trials use the training examples as they are; allowed are "
            "ranker.method and its section, retrieval.<name>, retrieval.own_prior, interactions"
        )
    methods = space.get(METHOD, [ranker.method])
    possible = isinstance(methods, list) and rest[0] in methods
    if is_method and not possible and rest[0] != ranker.method:
        return f"has no effect: ranker.method is never {rest[0]}"
    return None
