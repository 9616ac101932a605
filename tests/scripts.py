"""The scripts of jobs/ as they start, without what they then do."""

import argparse
import inspect
import runpy
from pathlib import Path
from typing import Any

import pytest

from activityrec import job as job_module

_SIGNATURE = inspect.signature(job_module.main)


def parse(
    script: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> argparse.Namespace:
    """What the script's own parser makes of arguments; the script is run up to there."""
    calls: list[Any] = []
    monkeypatch.setattr(job_module, "main", lambda *given, **named: calls.append((given, named)))
    runpy.run_path(str(script), run_name="__main__")
    ((given, named),) = calls
    bound = _SIGNATURE.bind(*given, **named)
    bound.apply_defaults()
    taken = {name: bound.arguments[name] for name in ("description", "options", "flags", "dated")}
    return job_module.argument_parser(**taken).parse_args(arguments)
