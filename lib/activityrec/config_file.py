"""Reading the YAML of a deployment.

An unknown key, a wrong type or a value out of range raises :class:`ConfigError` with one line
that names the file, the key and what is allowed. Relative paths are relative to the YAML's folder,
and ``{catalog}`` in a path is the lakehouse's catalog, where it has one.
"""

import re
from datetime import date, datetime
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from activityrec.config import Config, SourceConfig, SourcesConfig
from activityrec.errors import ConfigError


def load_config(path: str | Path, catalog: str | None = None) -> Config:
    """Read and validate the YAML at ``path``; a ``catalog`` takes the place of ``lakehouse``.

    Raises
    ------
    ConfigError
        The file is missing or not YAML, a key is unknown, a value is missing or wrong.
    """
    path = Path(path)
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the configuration: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: expected a mapping with the keys {_allowed(Config)}")
    if catalog is not None:
        raw["lakehouse"] = {"catalog": catalog}
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{path}: {_explain(error)}") from None
    return _resolve_paths(config, path.resolve().parent)


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML keeps the last of two equal keys in silence; here it is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys: list[Any] = []
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in keys:
                line = key_node.start_mark.line + 1
                raise yaml.YAMLError(f"line {line}: key {key!r} given twice")
            keys.append(key)
        return super().construct_mapping(node, deep)


def _explain(error: ValidationError) -> str:
    """Every fault as ``key: what is wrong``, on one line."""
    faults = []
    for fault in error.errors():
        key = ".".join(str(part) for part in fault["loc"]) or "(whole file)"
        given = fault["input"]
        if fault["type"] == "extra_forbidden":
            wrong = f"unknown key; allowed: {_allowed(_section_at(fault['loc'][:-1]))}"
        elif fault["type"] == "model_type":
            wrong = f"expected a mapping with the keys {_allowed(_section_at(fault['loc']))}"
        elif isinstance(given, str | int | float) and "options" not in fault["loc"]:
            wrong = f"{fault['msg']} (given: {given!r})"
        else:  # nothing to show, or an option: it may be a password
            wrong = fault["msg"].removeprefix("Value error, ")
        faults.append(f"{key}: {wrong}")
    return "; ".join(faults)


def _section_at(location: tuple[int | str, ...]) -> type[BaseModel]:
    """The section model that a validation error's location leads to."""
    model: type[BaseModel] = Config
    for part in location:
        # A part that is no field is a number in a list, or a name that the YAML chose.
        if part in model.model_fields:
            model = _section_in(model.model_fields[str(part)].annotation) or model
    return model


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """The section model that a type is made of, if any."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_section_in, get_args(annotation))), None)


def _allowed(model: type[BaseModel]) -> str:
    return ", ".join(sorted(model.model_fields))


def _resolve_paths(config: Config, folder: Path) -> Config:
    """Make the relative paths of the YAML absolute, seen from its folder."""

    catalog = config.lakehouse.catalog

    def in_catalog(path: str | None) -> str | None:
        return path.replace("{catalog}", catalog) if path and catalog else path

    def resolve(path: str | None) -> str | None:
        path = in_catalog(path)
        if path is None or re.match(r"^(/|[a-z][a-z0-9+.-]*:)", path, re.IGNORECASE):
            return path
        return str((folder / path).resolve())

    def resolve_source(source: SourceConfig) -> SourceConfig:
        return source.model_copy(update={"path": resolve(source.path)})

    sources = {
        table: [resolve_source(source) for source in getattr(config.sources, table)]
        for table in SourcesConfig.model_fields
    }

    def resolve_database(uri: str | None) -> str | None:
        if uri is None or not uri.startswith("sqlite:///") or uri.startswith("sqlite:////"):
            return uri
        return f"sqlite:///{resolve(uri.removeprefix('sqlite:///'))}"

    tracking = {
        "uri": resolve_database(config.tracking.uri),
        "artifacts": resolve(config.tracking.artifacts),
        # A path of the workspace, or a plain name.
        "experiment": in_catalog(config.tracking.experiment),
    }
    storage = {"storage": resolve_database(config.tune.storage)}
    checkpoints = {"checkpoints": resolve(config.ingest.checkpoints)}
    reports = {"report_folder": resolve(config.evaluate.report_folder)}
    export = {
        "files": {
            name: target.model_copy(update={"path": resolve(target.path)})
            for name, target in config.export.files.items()
        },
        "warehouses": {
            name: target.model_copy(update={"path": resolve(target.path or target.location)})
            for name, target in config.export.warehouses.items()
        },
    }
    return config.model_copy(
        update={
            "export": config.export.model_copy(update=export),
            "evaluate": config.evaluate.model_copy(update=reports),
            "ingest": config.ingest.model_copy(update=checkpoints),
            "lakehouse": config.lakehouse.model_copy(
                update={"root": resolve(config.lakehouse.root)}
            ),
            "tracking": config.tracking.model_copy(update=tracking),
            "sources": config.sources.model_copy(update=sources),
            "tune": config.tune.model_copy(update=storage),
        }
    )


def parse_as_of(text: str) -> date:
    """The date of ``--as-of``; a run at it knows nothing from that day on.

    Raises
    ------
    ConfigError
        Not a date of the form YYYY-MM-DD.
    """
    try:
        # date.fromisoformat takes more forms from Python 3.11 on.
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise ConfigError(f"--as-of {text}: not a date, expected YYYY-MM-DD") from None
