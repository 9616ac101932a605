"""One trial: parameters drawn, measured window by window, kept in MLflow."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from activityrec.config import Config, RangeConfig
from activityrec.config_tune import Values
from activityrec.errors import StateError
from activityrec.tracking import Tracking
from activityrec.tuning.measure import ConfigMeasure, Metrics, mean
from activityrec.tuning.space import METHOD, active, value_at, with_values
from activityrec.tuning.study import load_optuna

if TYPE_CHECKING:
    from optuna import Trial

log = logging.getLogger("activityrec")

CURRENT = "current"
"""Marks the trial of the configuration as it is."""


@dataclass(frozen=True)
class Objective:
    """What Optuna maximises: the mean over windows of the metric."""

    config: Config
    space: Mapping[str, Values]
    measure: ConfigMeasure
    tracking: Tracking
    windows: int

    def __call__(self, trial: "Trial") -> float:
        current = bool(trial.user_attrs.get(CURRENT))
        values = self._current(trial) if current else self._drawn(trial)
        config = self.config if current else with_values(self.config, values)
        trial.set_user_attr("values", values)
        with self.tracking.nested(f"trial {trial.number}", values):
            found, pruned = self._measured(trial, config, keep=current)
            value = mean(found, self.config.tune.metric)
            state = "pruned" if pruned else "complete"
            self.tracking.tag(state=state, current=str(current).lower())
            if value is not None and not pruned:
                self.tracking.log_metrics({f"mean_{self.config.tune.metric}": value})
        if value is None:
            raise StateError(f"tune.metric: {self.config.tune.metric} is defined in no window")
        shown = ", ".join(f"{key} {entry}" for key, entry in values.items())
        label = f"trial {trial.number}{' (the configuration)' if current else ''}"
        log.info("%s: %s %.4f, %s; %s", label, self.config.tune.metric, value, state, shown)
        if pruned:
            raise load_optuna().TrialPruned
        return value

    def _measured(self, trial: "Trial", config: Config, keep: bool) -> tuple[list[Metrics], bool]:
        """Metrics of the windows, and whether the trial was given up before the last of them."""
        found: list[Metrics] = []
        for number, metrics in enumerate(self.measure(config)):
            self.tracking.log_metrics(metrics, step=number)
            found.append(metrics)
            so_far = mean(found, self.config.tune.metric)
            if so_far is not None:
                trial.report(so_far, number)
                if not keep and len(found) < self.windows and trial.should_prune():
                    return found, True
        return found, False

    def _drawn(self, trial: "Trial") -> dict[str, Any]:
        """A value for every key that matters to the method drawn."""
        values: dict[str, Any] = {}
        for key, tried in self.space.items():
            if active(key, values.get(METHOD, self.config.ranker.method)):
                values[key] = _suggest(trial, key, tried, value_at(self.config, key))
        return values

    def _current(self, trial: "Trial") -> dict[str, Any]:
        """The configuration's values; those inside the space are told to the sampler."""
        for key, value in inside(self.config, self.space).items():
            _suggest(trial, key, self.space[key], value)
        return current_values(self.config, self.space)


def current_values(config: Config, space: Mapping[str, Values]) -> dict[str, Any]:
    """The configuration's own values of the keys that matter to its method."""
    return {key: value_at(config, key) for key in space if active(key, config.ranker.method)}


def inside(config: Config, space: Mapping[str, Values]) -> dict[str, Any]:
    """Those of the configuration's values that a trial could draw."""
    values = current_values(config, space)
    return {key: value for key, value in values.items() if _has(space[key], value)}


def _has(tried: Values, value: Any) -> bool:
    if not isinstance(tried, RangeConfig):
        return value in tried
    steps = 0.0 if tried.step is None else (value - tried.low) / tried.step
    return tried.low <= value <= tried.high and abs(steps - round(steps)) < 1e-9


def _suggest(trial: "Trial", key: str, tried: Values, current: Any) -> Any:
    if not isinstance(tried, RangeConfig):
        return trial.suggest_categorical(key, tried)
    low, high, log_scale = tried.low, tried.high, tried.log
    if isinstance(current, int):
        step = int(tried.step or 1)
        return trial.suggest_int(key, int(low), int(high), step=step, log=log_scale)
    return trial.suggest_float(key, float(low), float(high), step=tried.step, log=log_scale)
