"""What MLflow says besides what the jobs say."""

import logging
import os
import warnings

SETTINGS = {
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""With a server MLflow prints bars and addresses otherwise, the second on the output of the job."""


def quiet() -> None:
    """Only errors from here on; what the environment says of SETTINGS goes before."""
    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="mlflow")
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
