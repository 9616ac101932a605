"""The study: what Optuna keeps of a search. With ``trials``, what knows Optuna."""

import json
import warnings
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from activityrec.config import Config, RangeConfig
from activityrec.config_tune import Values
from activityrec.errors import ConfigError
from activityrec.fingerprint import fingerprint
from activityrec.tuning.windows import Window

if TYPE_CHECKING:
    from optuna import Study

SQLITE = "sqlite:///"
HEARTBEAT_SECONDS = 60
"""How often a trial shows that it is alive; one that has not for twice that time was killed."""


def load_optuna() -> ModuleType:
    """Optuna, without words of its own.

    Raises
    ------
    ConfigError
        It is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise ConfigError(
            "tune: Optuna is not installed: pip install 'activityrec[tune]'"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


def folder_of(config: Config) -> Path | None:
    """Where MLflow's SQLite is; None where it keeps its runs elsewhere."""
    uri = config.tracking.uri
    return Path(uri.removeprefix(SQLITE)).parent if uri.startswith(SQLITE) else None


def storage_url(config: Config) -> str:
    """The data base of the trials.

    Raises
    ------
    ConfigError
        It is not given, and MLflow's is no SQLite that it could be beside.
    """
    folder = folder_of(config)
    if config.tune.storage is None and folder is None:
        raise ConfigError(
            f"tune.storage: give the URL of a data base, tracking.uri {config.tracking.uri} is no "
            "SQLite that it could be beside"
        )
    return config.tune.storage or f"{SQLITE}{folder}/optuna.db"


def study_name(
    config: Config, as_of: date, space: Mapping[str, Values], windows: Sequence[Window]
) -> str:
    """Name of the study: another one where values of trials could not be compared.

    It has a hash of the space, the metric, the windows, and of the sections that trials change.
    """
    tried = {
        key: values.model_dump() if isinstance(values, RangeConfig) else values
        for key, values in space.items()
    }
    sections = ("ranker", "retrieval", "interactions", "evaluate")
    what = [
        tried,
        [config.tune.model, config.tune.metric],
        [f"{window.first} {window.until}" for window in windows],
        [getattr(config, name).model_dump(mode="json") for name in sections],
    ]
    text = json.dumps(what, sort_keys=True)
    return f"{config.name}-{as_of:%Y%m%d}-{fingerprint(text)[:10]}"


def open_study(config: Config, name: str) -> "Study":
    """The study of that name, which may have trials of earlier runs."""
    optuna = load_optuna()
    url = storage_url(config)
    if url.startswith(SQLITE):
        Path(url.removeprefix(SQLITE)).parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=optuna.storages.RDBStorage(url, heartbeat_interval=HEARTBEAT_SECONDS),
        study_name=name,
        direction="maximize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=config.tune.prune_after),
    )
    # Drawn from the beginning again, the second run would repeat the first one's trials.
    seed = config.tune.seed + len(study.get_trials(deepcopy=False))
    study.sampler = optuna.samplers.TPESampler(seed=seed)
    return study
