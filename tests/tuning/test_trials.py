"""Trials without Spark: the metric is a function of the parameters that is known."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import optuna
import pytest
import yaml
from optuna.trial import TrialState

from activityrec.config import Config
from activityrec.errors import ConfigError, StateError
from activityrec.tracking import Tracking
from activityrec.tuning.measure import Metrics
from activityrec.tuning.report import Result, fragment
from activityrec.tuning.search import result_of, run_trials
from activityrec.tuning.space import search_space, with_values
from activityrec.tuning.study import load_optuna, open_study, study_name
from activityrec.tuning.trials import Objective
from activityrec.tuning.windows import Window
from tests.conftest import ROOT
from tests.planted import configuration

MAY = date(2024, 5, 1)
WINDOWS = [Window(date(2024, 3, 1), date(2024, 4, 1)), Window(date(2024, 4, 1), MAY)]
REG = {"ranker.logistic.penalty": {"low": 1e-4, "high": 1.0, "log": True}}


@pytest.fixture(autouse=True)
def _server_of_the_others() -> Iterator[None]:
    address = mlflow.get_tracking_uri()
    yield
    mlflow.set_tracking_uri(address)


class Search:
    """A search whose metric is best where ``penalty`` is 0.1, and its runs."""

    def __init__(self, folder: Path, **tune: Any) -> None:
        place = {"uri": f"sqlite:///{folder}/mlflow.db", "artifacts": f"{folder}/artifacts"}
        tune = {"space": REG} | tune
        raw = configuration() | {"tracking": place, "tune": tune}
        raw["ranker"] = raw["ranker"] | {"logistic": {"penalty": 0.01}}
        self.config = Config.model_validate(raw)
        self.space = search_space(self.config)
        self.tracking = Tracking(self.config)
        self.measured: list[float] = []

    def measure(self, config: Config) -> Iterator[Metrics]:
        self.measured.append(config.ranker.logistic.penalty)
        for place in range(len(WINDOWS)):
            yield {"average_precision": 1 - abs(config.ranker.logistic.penalty - 0.1) - place / 10}

    def open(self) -> optuna.Study:
        return open_study(self.config, study_name(self.config, MAY, self.space, WINDOWS))

    def run(self) -> Result:
        study = self.open()
        with self.tracking.run("tune", MAY, {}, {}, resume=study.user_attrs.get("run")) as run_id:
            study.set_user_attr("run", run_id)
            measure = self.measure
            run_trials(study, Objective(self.config, self.space, measure, self.tracking, 2))
        job: Any = SimpleNamespace(config=self.config)
        return result_of(study, job, [{"popularity": {"average_precision": 0.2}}] * 2)

    def runs(self) -> list[Any]:
        return mlflow.search_runs(experiment_names=["planted"], output_format="list")


def test_the_planted_best_value_is_found_and_the_configuration_comes_first(tmp_path: Path) -> None:
    search = Search(tmp_path, trials=25)
    result = search.run()
    assert search.measured[0] == 0.01, "the configuration as it is"
    assert result.current == pytest.approx(0.86)
    assert result.best > 0.93 and not result.unchanged
    assert result.values["ranker.logistic.penalty"] == pytest.approx(0.1, abs=0.02)
    pasted = with_values(search.config, result.values)
    parsed = yaml.safe_load(fragment(result))
    assert parsed["ranker"]["logistic"]["penalty"] == pasted.ranker.logistic.penalty
    assert "# average_precision, configuration: 0.8600" in fragment(result)
    assert "# average_precision, popularity: 0.2000" in fragment(result)
    assert "# average_precision, past_rate: not defined" in fragment(result)


def test_trials_are_runs_below_one_with_a_step_for_each_window(tmp_path: Path) -> None:
    search = Search(tmp_path, trials=3)
    search.run()
    nested = [run for run in search.runs() if "mlflow.parentRunId" in run.data.tags]
    (parent,) = {run.data.tags["mlflow.parentRunId"] for run in nested}
    assert parent in {run.info.run_id for run in search.runs()}
    (first,) = [run for run in nested if run.data.tags["current"] == "true"]
    assert (first.info.run_name, first.data.params) == (
        "trial 0",
        {"ranker.logistic.penalty": "0.01"},
    )
    history = mlflow.MlflowClient().get_metric_history(first.info.run_id, "average_precision")
    assert [(point.step, round(point.value, 6)) for point in history] == [(0, 0.91), (1, 0.81)]


def test_a_second_run_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    first = Search(tmp_path, trials=3)
    first.run()
    again = Search(tmp_path, trials=3)
    again.run()
    assert (len(first.measured), len(again.measured)) == (3, 0)
    more = Search(tmp_path, trials=5)
    assert more.run().trials == 5
    assert len(more.measured) == 2
    assert not set(more.measured) & set(first.measured), "other draws than those of the first run"
    parents = [run for run in more.runs() if "mlflow.parentRunId" not in run.data.tags]
    assert len(parents) == 1


KILLED = """
import os, sys
from pathlib import Path
from tests.tuning.test_trials import Search

search = Search(Path(sys.argv[1]), trials=3)
usual = search.measure

def measure(config):
    if len(search.measured) == int(sys.argv[2]):
        os._exit(9)
    return usual(config)

search.measure = measure
search.run()
"""


@pytest.mark.slow
@pytest.mark.parametrize("after", [0, 2])
def test_a_killed_trial_is_not_counted(tmp_path: Path, after: int) -> None:
    """Even that of the configuration, which is then measured again."""
    paths = os.pathsep.join(str(ROOT / name) for name in ("lib", "jobs", "."))
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(after)]
    ended = subprocess.run(command, env=os.environ | {"PYTHONPATH": paths}, check=False)
    assert ended.returncode == 9
    search = Search(tmp_path, trials=3)
    assert [trial.state for trial in search.open().trials] == [
        *[TrialState.COMPLETE] * after,
        TrialState.RUNNING,
    ]
    assert search.run().trials == 3
    assert len(search.measured) == 3 - after
    assert (search.measured[0] == 0.01) == (after == 0)


def test_a_bad_trial_is_stopped_after_its_first_window(tmp_path: Path) -> None:
    # The configuration's value is outside of the space: it is measured all the same.
    space = {"ranker.logistic.penalty": {"low": 5.0, "high": 9.0}}
    search = Search(tmp_path, trials=4, prune_after=1, space=space)
    result = search.run()
    assert (result.trials, result.pruned, result.unchanged) == (1, 3, True)
    pruned = [run for run in search.runs() if run.data.tags.get("state") == "pruned"]
    assert len(pruned) == 3
    for run in pruned:
        assert run.info.status == "FINISHED"
        history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "average_precision")
        assert [point.step for point in history] == [0]
    assert "the configuration as it is" in fragment(result)
    assert yaml.safe_load(fragment(result)) == {"ranker": {"logistic": {"penalty": 0.01}}}


def test_a_trial_that_cannot_be_fitted_is_left_out(tmp_path: Path) -> None:
    search = Search(tmp_path, trials=3)
    usual = search.measure

    def measure(config: Config) -> Iterator[Metrics]:
        if len(search.measured) == 1:
            search.measured.append(-1.0)
            raise StateError("cannot train this one")
        yield from usual(config)

    search.measure = measure  # type: ignore[method-assign]
    assert search.run().trials == 2
    search.measure = usual  # type: ignore[method-assign]
    assert search.run().trials == 3


def test_only_parameters_of_the_method_drawn_are_drawn(tmp_path: Path) -> None:
    space = {
        "ranker.gbt.depth": {"low": 2, "high": 4},
        "ranker.logistic.penalty": [0.01, 0.1],
        "ranker.method": ["logistic", "gbt"],
    }
    search = Search(tmp_path, trials=12, space=space)
    search.run()
    drawn = {tuple(sorted(trial.params)) for trial in search.open().trials}
    assert drawn == {
        ("ranker.gbt.depth", "ranker.method"),
        ("ranker.logistic.penalty", "ranker.method"),
    }


def test_another_space_metric_or_configuration_is_another_study(tmp_path: Path) -> None:
    usual = Search(tmp_path)
    other_config = with_values(usual.config, {"ranker.logistic.max_iter": 5})
    names = {
        study_name(usual.config, MAY, usual.space, WINDOWS),
        study_name(usual.config, MAY, usual.space, WINDOWS[:1]),
        study_name(usual.config, MAY, {"ranker.logistic.penalty": [1.0]}, WINDOWS),
        study_name(Search(tmp_path, metric="auc").config, MAY, usual.space, WINDOWS),
        study_name(other_config, MAY, usual.space, WINDOWS),
    }
    assert len(names) == 5
    more = Search(tmp_path, trials=99, timeout=5)
    assert study_name(more.config, MAY, more.space, WINDOWS) in names


def test_without_optuna_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"pip install 'activityrec\[tune\]'"):
        load_optuna()
