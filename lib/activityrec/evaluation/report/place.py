"""Where the report of a run is kept."""

from importlib.util import find_spec
from urllib.parse import quote

from activityrec.config import Config

MISSING = "matplotlib or jinja2 is not installed; get them by pip install 'activityrec[report]'"


def can_render() -> bool:
    """Whether the packages of the extra ``report`` are installed."""
    return all(find_spec(name) is not None for name in ("matplotlib", "jinja2"))


def report_path(config: Config, run_id: str) -> str | None:
    """The file of a run's report: in ``evaluate.report_folder``, or in ``reports`` beside the
    tables; None where these are in a catalog and no folder is configured."""
    folder = config.evaluate.report_folder
    if folder is None:
        if config.lakehouse.root is None:
            return None
        folder = f"{config.lakehouse.root}/reports"
    return f"{folder.rstrip('/')}/{quote(run_id, safe='')}.html"
