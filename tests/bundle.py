"""The Databricks bundle as the CLI would put it together: includes, variables, targets."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
FILE = ROOT / "databricks.yml"
TARGETS = ("dev", "prod")
RUN_DAY = "2024-05-01"


def written() -> dict[str, Any]:
    """databricks.yml with all that it includes, as written."""
    merged = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    for pattern in merged["include"]:
        for path in sorted(ROOT.glob(pattern)):
            part = yaml.safe_load(path.read_text(encoding="utf-8"))
            for section, values in part.items():
                for name, value in values.items():
                    place = merged.setdefault(section, {})
                    if section == "resources":
                        assert not set(place.setdefault(name, {})) & set(value), path
                        place[name] |= value
                    else:
                        assert name not in place, (path, name)
                        place[name] = value
    return merged


def resources(target: str) -> dict[str, dict[str, Any]]:
    """The resources of a target by kind and name, every ``${...}`` resolved."""
    bundle = written()
    known = {f"var.{name}": value.get("default") for name, value in bundle["variables"].items()}
    chosen = bundle["targets"][target]
    known |= {f"var.{name}": value for name, value in chosen["variables"].items()}
    known |= {
        "bundle.name": bundle["bundle"]["name"],
        "bundle.target": target,
        "workspace.file_path": str(ROOT),
    }
    for kind, named in bundle["resources"].items():
        for name, resource in named.items():
            known |= {f"resources.{kind}.{name}.{key}": value for key, value in resource.items()}
    return _resolved(bundle["resources"], known)


def _resolved(value: Any, known: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        return {key: _resolved(one, known) for key, one in value.items()}
    if isinstance(value, list):
        return [_resolved(one, known) for one in value]
    if not isinstance(value, str):
        return value
    if whole := re.fullmatch(r"\$\{([\w.]+)\}", value):
        return _resolved(_value(whole.group(1), known), known)
    return re.sub(r"\$\{([\w.]+)\}", lambda found: str(_value(found.group(1), known)), value)


def _value(name: str, known: dict[str, Any]) -> Any:
    assert known.get(name) is not None, f"${{{name}}} has no value"
    return known[name]


def arguments(job: dict[str, Any], task: dict[str, Any]) -> list[str]:
    """What the task's script gets on its command line, in a run on RUN_DAY."""
    given = {f"job.parameters.{one['name']}": one["default"] for one in job["parameters"]}
    given |= {"job.start_time.iso_date": RUN_DAY}

    def replaced(text: str) -> str:
        return re.sub(r"\{\{([\w.]+)\}\}", lambda found: replaced(given[found.group(1)]), text)

    return [replaced(text) for text in task["spark_python_task"]["parameters"]]
