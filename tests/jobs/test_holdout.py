"""With a holdout, models are made and judged before as_of, and used at it."""

from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pytest

import features
import pipeline
import recommend
from activityrec import job as job_module
from activityrec.config import Config
from activityrec.job import HELD_OUT, Job, main
from tests.planted import configuration

AS_OF = date(2024, 5, 1)


def job(holdout_days: int) -> Job:
    raw = configuration()
    raw["promote"] |= {"holdout_days": holdout_days}
    nothing: Any = None
    config = Config.model_validate(raw)
    return Job(nothing, config, nothing, nothing, AS_OF, "run", datetime(2024, 5, 1))


@pytest.mark.parametrize(
    ("days", "stood_at", "until"), [(0, AS_OF, None), (28, date(2024, 4, 3), AS_OF)]
)
def test_models_are_made_that_many_days_before(
    days: int, stood_at: date, until: date | None
) -> None:
    seen: list[Job] = []

    def stage(job: Job) -> dict[str, int]:
        seen.append(job)
        return {"rows": 3}

    assert pipeline.of_models(stage)(job(days)) == {"rows": 3}
    assert [(one.as_of, one.until, one.run_id) for one in seen] == [(stood_at, until, "run")]


@pytest.mark.parametrize(("days", "stages"), [(0, ["recommend"]), (28, ["features", "recommend"])])
def test_recommendations_are_of_as_of_with_features_of_that_day(
    monkeypatch: pytest.MonkeyPatch, days: int, stages: list[str]
) -> None:
    ran: list[tuple[str, date]] = []
    for module in (features, recommend):
        name = module.__name__
        monkeypatch.setattr(module, "run", lambda j, n=name: ran.append((n, j.as_of)) or {n: 1})
    assert pipeline.recommended(job(days)) == dict.fromkeys(stages, 1)
    assert ran == [(name, AS_OF) for name in stages]


def test_only_the_making_of_models_is_held_out() -> None:
    names = [name for name, _ in pipeline.STAGES]
    assert names.index("promote") < names.index("recommend") < names.index("publish")


def test_a_script_stands_where_the_pipeline_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """With --held-out; the run keeps the name of the day that it was started for."""
    seen: list[Job] = []
    made = replace(job(28), run_id="shop-20240501")
    monkeypatch.setattr(job_module, "load_config", lambda path, catalog: made.config)
    monkeypatch.setattr(job_module, "get_spark", lambda name: None)
    monkeypatch.setattr(job_module, "open_job", lambda *given: made)
    monkeypatch.setattr(job_module, "set_up_logging", lambda: None)
    monkeypatch.setattr(job_module, "run_stages", lambda job, *given, **named: seen.append(job))
    for flag in ([], ["--held-out"]):
        monkeypatch.setattr("sys.argv", ["job", "--config", "c", "--as-of", "2024-05-01", *flag])
        main([("stage", lambda job: {})], None, flags=HELD_OUT)
    assert [(one.as_of, one.until, one.run_id) for one in seen] == [
        (AS_OF, None, "shop-20240501"),
        (date(2024, 4, 3), AS_OF, "shop-20240501"),
    ]
