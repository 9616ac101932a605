"""The whole search: windows, study, trials, and what came of them."""

import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from activityrec.config_tune import Values
from activityrec.errors import ActivityRecError
from activityrec.job import Job
from activityrec.tuning.defaults import measured_retrievers
from activityrec.tuning.measure import BASELINES, Measure, Metrics, baseline_metrics, mean
from activityrec.tuning.report import Result, fragment
from activityrec.tuning.space import search_space
from activityrec.tuning.study import load_optuna, open_study, study_name
from activityrec.tuning.trials import CURRENT, Objective, inside
from activityrec.tuning.windows import closed_examples, make_windows

if TYPE_CHECKING:
    from optuna import Study

log = logging.getLogger("activityrec")


def tune(job: Job) -> Result:
    """Search for better parameters; go on with an earlier search for the same.

    Needs ``features`` and ``train`` at ``as_of``, and reads nothing later.

    Raises
    ------
    ConfigError
        The section ``tune`` does not fit the configuration, or Optuna is not installed.
    StateError
        There are no training examples of ``as_of``, or too few.
    """
    load_optuna()
    space = search_space(job.config)
    # Stays when the cache is cleared between trials.
    examples = closed_examples(job).localCheckpoint()
    windows = make_windows(examples, job.config.tune.windows, job.as_of)
    log.info("windows: %s", ", ".join(f"{w.first} to {w.until}" for w in windows))
    measure = Measure.of(job, examples, windows, changed_retrievers(job, space))
    name = study_name(job.config, job.as_of, space, windows)
    study = open_study(job.config, name)
    params = {
        "study": name,
        "model": job.config.tune.model,
        "metric": job.config.tune.metric,
        "windows": ", ".join(str(window.first) for window in windows),
    }
    parent = study.user_attrs.get("mlflow_run")
    with job.tracking.run(
        f"{job.run_id} tune", job.as_of, params, job.lakehouse.reads, resume=parent
    ) as run_id:
        study.set_user_attr("mlflow_run", run_id)
        baselines = [baseline_metrics(job.config, examples, window) for window in windows]
        log_baselines(job, baselines)
        run_trials(
            study,
            Objective(job.config, space, measure, job.tracking, len(windows)),
        )
        result = result_of(study, job, baselines)
        job.tracking.log_metrics({"best": result.best, "current": result.current})
        job.tracking.log_text(fragment(result), "best.yaml")
    return result


def changed_retrievers(job: Job, space: Mapping[str, Values]) -> list[str]:
    """The retrievers that must be fitted anew, because a key of the space changes them."""
    names = measured_retrievers(job.config)
    if any(key.startswith("interactions.") or key == "retrieval.own_prior" for key in space):
        return names
    return [name for name in names if any(key.startswith(f"retrieval.{name}.") for key in space)]


def log_baselines(job: Job, baselines: list[dict[str, Metrics]]) -> None:
    for number, of_window in enumerate(baselines):
        for model, metrics in of_window.items():
            named = {f"{model}/{metric}": value for metric, value in metrics.items()}
            job.tracking.log_metrics(named, step=number)


def run_trials(study: "Study", objective: Objective) -> None:
    """The configuration as it is, then what is missing of the trials.

    A trial that was killed, or failed, is none of them.
    """
    optuna = load_optuna()
    started = time.monotonic()
    tune, states = objective.config.tune, optuna.trial.TrialState
    now = [t for t in study.get_trials(deepcopy=False) if t.user_attrs.get(CURRENT)]
    if not any(trial.state == states.COMPLETE for trial in now):
        if not any(trial.state == states.WAITING for trial in now):
            study.enqueue_trial(
                inside(objective.config, objective.space), user_attrs={CURRENT: True}
            )
        study.optimize(objective, n_trials=1)
    done = len(study.get_trials(deepcopy=False, states=(states.COMPLETE, states.PRUNED)))
    if done >= tune.trials:
        return
    left = None if tune.timeout is None else tune.timeout - (time.monotonic() - started)

    def guarded(trial: Any) -> float:
        try:
            return objective(trial)
        except ActivityRecError as error:
            log.warning("trial %d failed: %s", trial.number, error)
            raise

    study.optimize(guarded, n_trials=tune.trials - done, timeout=left, catch=(ActivityRecError,))


def result_of(study: "Study", job: Job, baselines: list[dict[str, Metrics]]) -> Result:
    """The best trial, beside the configuration as it is and the simple models."""
    states = load_optuna().trial.TrialState
    trials = study.get_trials(deepcopy=False)
    complete = [trial for trial in trials if trial.state == states.COMPLETE]
    now = next(trial for trial in complete if trial.user_attrs.get(CURRENT))
    # Of equal ones the configuration's: nothing is gained by a change.
    best = max(complete, key=lambda trial: (trial.value or 0.0, trial is now, -trial.number))
    metric = job.config.tune.metric
    simple = {
        name: mean([of_window.get(name, {}) for of_window in baselines], metric)
        for name in BASELINES
    }
    return Result(
        study=study.study_name,
        metric=metric,
        trials=len(complete),
        pruned=sum(trial.state == states.PRUNED for trial in trials),
        best=best.value or 0.0,
        current=now.value or 0.0,
        baselines=simple,
        number=best.number,
        values=dict(best.user_attrs["values"]),
        unchanged=best is now,
    )
