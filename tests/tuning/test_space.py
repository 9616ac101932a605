"""Which keys can be searched, and what the error says of the others."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from activityrec.config import Config
from activityrec.config_file import load_config
from activityrec.errors import ConfigError
from activityrec.tuning.space import search_space, with_values
from activityrec.tuning.study import storage_url
from tests.planted import configuration


def config(space: dict[str, Any], **more: Any) -> Config:
    return Config.model_validate(configuration() | {"tune": {"space": space, **more}})


REFUSED: list[tuple[str, Any, str]] = [
    ("ranker.logistik.reg", [1.0], "unknown key ranker.logistik.reg; allowed in place of logistik"),
    (
        "ranker.logistic.penaltyy",
        [1.0],
        "allowed in place of penaltyy: elastic_net, max_iter, penalty",
    ),
    (
        "ranker.logistic.penalty",
        [0.1, -1.0],
        r"ranker.logistic.penalty refuses -1.0: .*greater than or",
    ),
    ("ranker.logistic.elastic_net", {"low": 0, "high": 2}, "elastic_net refuses 2"),
    ("ranker.method", ["logistic", "oracle"], "ranker.method refuses 'oracle'"),
    ("ranker.method", {"low": 0, "high": 1}, "ranker.method is no number: give a list"),
    ("ranker.gbt.trees", [10], "ranker.gbt.trees has no effect: ranker.method is never gbt"),
    ("retrieval.ease.reg", [10.0], "retrieval.ease.reg has no effect: .*the ranker reads als"),
    ("retrieval.als.rank", {"low": 2.5, "high": 8}, "retrieval.als.rank refuses 2.5"),
    ("retrieval.als.rank", {"low": 2, "high": 8, "step": 0.5}, "is an integer: step 0.5 is not"),
    ("ranker.negatives", [5, 10], "ranker.negatives cannot be searched"),
    ("ranker.logistic", [1], "ranker.logistic is no single value"),
    ("name", ["other"], "name cannot be searched"),
]


@pytest.mark.parametrize("key, values, message", REFUSED)
def test_a_key_or_value_that_the_configuration_refuses_is_named(
    key: str, values: Any, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        search_space(config({key: values}))


@pytest.mark.parametrize(
    "tune, message",
    [
        ({"trails": 3}, "tune.trails: unknown key; allowed: metric, model"),
        ({"metric": "accuracy"}, "tune.metric: Input should be 'average_precision'"),
        ({"space": {"ranker.logistic.penalty": {"low": 1, "high": 0.1}}}, "low 1 must be below"),
        (
            {"space": {"ranker.logistic.penalty": {"low": 0, "high": 1, "log": True}}},
            "begins above 0",
        ),
        ({"space": {"ranker.logistic.penalty": {"low": 1, "hihg": 2}}}, "hihg: unknown key"),
        ({"space": {"ranker.logistic.penalty": []}}, "at least 1 item"),
    ],
)
def test_the_section_refuses_what_it_does_not_know(
    tmp_path: Path, tune: dict[str, Any], message: str
) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(yaml.safe_dump(configuration() | {"tune": tune}), encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_config(path)


def test_the_default_space_is_one_that_the_configuration_takes() -> None:
    space = search_space(config({}))
    assert next(iter(space)) == "ranker.method"
    retrieval = {key for key in space if key.startswith("retrieval.")}
    assert retrieval == {"retrieval.als.rank", "retrieval.als.reg", "retrieval.als.alpha"}


def test_retrievers_that_no_input_reads_are_not_in_the_default_space() -> None:
    raw = configuration()
    raw["ranker"]["inputs"] = {"user_rate": "response_rate"}
    space = search_space(Config.model_validate(raw))
    assert not [key for key in space if key.startswith("retrieval.")]


def test_a_retriever_is_measured_by_its_own_keys() -> None:
    alone = config({}, model="item_knn")
    assert list(search_space(alone)) == [
        "retrieval.item_knn.neighbours",
        "retrieval.item_knn.shrinkage",
    ]
    with pytest.raises(ConfigError, match="retrieval.als.rank has no effect"):
        search_space(config({"retrieval.als.rank": [2]}, model="item_knn"))
    with pytest.raises(ConfigError, match=r"ranker.method cannot be searched"):
        search_space(config({"ranker.method": ["fm"]}, model="item_knn"))


def test_values_change_nothing_but_their_keys() -> None:
    old = config({})
    new = with_values(old, {"ranker.method": "gbt", "retrieval.als.rank": 7})
    assert (new.ranker.method, new.retrieval.als.rank) == ("gbt", 7)
    assert with_values(new, {"ranker.method": "logistic", "retrieval.als.rank": 4}) == old


def test_trials_are_kept_beside_the_runs_or_where_the_configuration_says(tmp_path: Path) -> None:
    raw = configuration() | {"tune": {"storage": "sqlite:///trials.db"}}
    path = tmp_path / "shop.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    assert storage_url(load_config(path)) == f"sqlite:///{tmp_path}/trials.db"
    path.write_text(yaml.safe_dump(configuration()), encoding="utf-8")
    assert storage_url(load_config(path)) == f"sqlite:///{tmp_path}/optuna.db"
    server = configuration() | {"tracking": {"uri": "http://mlflow:5000"}}
    with pytest.raises(ConfigError, match="tune.storage: give the URL"):
        storage_url(Config.model_validate(server))
