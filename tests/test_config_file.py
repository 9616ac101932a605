"""The YAML of a deployment: what is refused, with which words, and how paths resolve."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from activityrec.config_file import load_config, parse_as_of
from activityrec.errors import ConfigError
from tests.planted import configuration

Change = Callable[[dict[str, Any]], object]


def write(folder: Path, change: Change = lambda raw: None) -> Path:
    """The planted configuration after ``change``, as a file."""
    raw = configuration()
    change(raw)
    path = folder / "shop.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return str(caught.value)


WRONG: dict[str, tuple[Change, list[str]]] = {
    "unknown key": (
        lambda raw: raw.update(recomend={}),
        ["recomend: unknown key", "allowed: ", "recommend"],
    ),
    "unknown key of a section": (
        lambda raw: raw["retrieval"]["als"].update(factors=8),
        ["retrieval.als.factors: unknown key", "alpha, blocks, items, max_iter", "rank"],
    ),
    "unknown parameter of a ranker": (
        lambda raw: raw["ranker"].update(method="gbt", gbt={"leaves": 8}),
        ["ranker.gbt.leaves: unknown key", "allowed: depth, min_leaf, step, subsample, trees"],
    ),
    "unknown method": (
        lambda raw: raw["ranker"].update(method="svm"),
        ["ranker.method: ", "'logistic', 'fm', 'random_forest'", "'svm'"],
    ),
    "unknown key of a source": (
        lambda raw: raw["sources"]["events"][1].update(file="x"),
        ["sources.events.1.file: unknown key", "columns, flags, format, load, name, options"],
    ),
    "unknown table": (
        lambda raw: raw["sources"].update(coupons=[]),
        ["sources.coupons: unknown key", "activity_products"],
    ),
    "wrong type": (
        lambda raw: raw["retrieval"]["als"].update(rank="many"),
        ["retrieval.als.rank: ", "valid integer", "'many'"],
    ),
    "list instead of a section": (
        lambda raw: raw["retrieval"].update(als=[1, 2]),
        ["retrieval.als: ", "alpha, blocks, items, max_iter"],
    ),
    "out of range": (
        lambda raw: raw["features"]["windows"].append(0),
        ["features.windows.2: ", "greater than or equal to 1", "0"],
    ),
    "an entry twice": (
        lambda raw: raw["features"].update(windows=[7, 7]),
        ["features: windows lists an entry twice"],
    ),
    "not a name": (
        lambda raw: raw.update(name="My Shop"),
        ["name: ", "^[a-z][a-z0-9_]*$", "'My Shop'"],
    ),
    "missing key": (lambda raw: raw.pop("tracking"), ["tracking: ", "required"]),
    "missing value": (
        lambda raw: raw["sources"]["users"][0].update(path=None),
        ["sources.users.0: ", "path is missing"],
    ),
    "no source of a table that must have one": (
        lambda raw: raw["sources"].update(events=[]),
        ["sources.events: ", "at least 1 item"],
    ),
    "neither root nor catalog": (
        lambda raw: raw.update(lakehouse={}),
        ["lakehouse: ", "either root or catalog"],
    ),
    "both root and catalog": (
        lambda raw: raw.update(lakehouse={"root": "x", "catalog": "main"}),
        ["lakehouse: ", "either root or catalog"],
    ),
    "unknown key of an attribute": (
        lambda raw: raw["attributes"]["users"]["city"].update(top=5),
        ["attributes.users.city.top: unknown key", "allowed: bands, cap, quantiles, type"],
    ),
    "attributes of no such table": (
        lambda raw: raw["attributes"].update(offers={}),
        ["attributes.offers: unknown key", "allowed: activities, products, users"],
    ),
    "an attribute that is no section": (
        lambda raw: raw["attributes"]["users"].update(city="categorical"),
        ["attributes.users.city: expected a mapping with the keys bands, cap"],
    ),
    "an attribute of an unknown type": (
        lambda raw: raw["attributes"]["users"]["city"].update(type="text"),
        ["attributes.users.city.type: ", "'categorical' or 'numeric'", "'text'"],
    ),
    "bands of categories": (
        lambda raw: raw["attributes"]["users"]["city"].update(bands=[1, 2]),
        ["attributes.users.city: ", "bands are for type numeric"],
    ),
    "bands that do not ascend": (
        lambda raw: raw["attributes"]["users"].update(size={"type": "numeric", "bands": [2, 1]}),
        ["attributes.users.size: ", "bands must ascend"],
    ),
    "a band without end": (
        lambda raw: raw["attributes"]["users"].update(
            size={"type": "numeric", "bands": [1, float("inf")]}
        ),
        ["attributes.users.size.bands.1: ", "finite number"],
    ),
    "an event type that features do not know": (
        lambda raw: raw["response"].update(event_types=["anwser"]),
        ["response.event_types", "anwser", "features.event_types", "answer, purchase"],
    ),
    "an affinity without the purchase type": (
        lambda raw: raw["features"].update(affinity_types=["answer"]),
        ["features.affinity_types", "purchase"],
    ),
    "retention of a table that a full source fills again": (
        lambda raw: raw.update(maintain={"retention_days": {"clean.exposures": 30}}),
        ["maintain.retention_days names clean.exposures", "source sent has load full"],
    ),
}


@pytest.mark.parametrize("change, words", WRONG.values(), ids=WRONG)
def test_a_wrong_value_is_refused_by_file_key_and_what_is_allowed(
    tmp_path: Path, change: Change, words: list[str]
) -> None:
    path = write(tmp_path, change)
    message = refusal(path)
    assert message.startswith(f"{path}: ")
    assert [word for word in words if word not in message] == []
    assert "\n" not in message


def test_every_fault_is_named_at_once(tmp_path: Path) -> None:
    def change(raw: dict[str, Any]) -> None:
        raw["retrieval"]["als"]["rank"] = 0
        raw["rankr"] = {}

    message = refusal(write(tmp_path, change))
    assert "retrieval.als.rank: " in message
    assert "rankr: unknown key" in message


def test_the_value_of_an_option_stays_out_of_the_message(tmp_path: Path) -> None:
    """It may be a password."""

    def change(raw: dict[str, Any]) -> None:
        raw["sources"]["events"][0]["options"] = {"password": 271828}

    message = refusal(write(tmp_path, change))
    assert "sources.events.0.options.password: " in message
    assert "271828" not in message


def test_a_key_given_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text("name: shop\nranker:\n  rank: 8\n  seed: 1\n  rank: 9\n", encoding="utf-8")
    message = refusal(path)
    assert message.startswith(f"{path}: ")
    assert "line 5: key 'rank' given twice" in message


@pytest.mark.parametrize(
    "text, words",
    [
        ("name: [shop", "not valid YAML"),
        ("? [a, b]\n: 1\n", "not valid YAML"),
        ("just words", "expected a mapping with the keys attributes, evaluate, export, features"),
        ("", "expected a mapping with the keys attributes, evaluate, export, features"),
        ("1: shop\n", "1: "),
    ],
)
def test_a_file_that_is_no_mapping_is_refused_by_name(
    tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(text, encoding="utf-8")
    message = refusal(path)
    assert message.startswith(f"{path}: ")
    assert words in message
    assert "\n" not in message


def test_a_file_in_another_encoding_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_bytes("name: caf\xe9".encode("latin-1"))
    assert refusal(path).startswith(f"{path}: not valid YAML")


def test_a_missing_file_and_a_folder_are_refused_by_name(tmp_path: Path) -> None:
    missing = tmp_path / "none.yaml"
    assert refusal(missing) == (
        f"{missing}: cannot read the configuration: No such file or directory"
    )
    assert refusal(tmp_path) == f"{tmp_path}: cannot read the configuration: Is a directory"


def test_relative_paths_are_seen_from_the_folder_of_the_yaml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(raw: dict[str, Any]) -> None:
        raw["lakehouse"] = {"root": "../tables"}
        raw["sources"]["events"][0]["path"] = "in/*.json"
        raw["evaluate"] = {"report_folder": "reports"}

    folder = tmp_path / "conf"
    folder.mkdir()
    write(folder, change)
    monkeypatch.chdir(tmp_path)
    config = load_config("conf/shop.yaml")
    assert config.lakehouse.root == str(tmp_path / "tables")
    assert config.sources.events[0].path == str(folder / "in/*.json")
    assert config.evaluate.report_folder == str(folder / "reports")
    assert config.sources.events[1].path == str(folder / "answers.json")
    assert config.tracking.uri == f"sqlite:///{folder / 'mlflow.db'}"
    assert config.tracking.artifacts == str(folder / "mlflow")


def test_absolute_paths_and_those_with_a_scheme_stay_as_they_are(tmp_path: Path) -> None:
    def change(raw: dict[str, Any]) -> None:
        raw["lakehouse"] = {"root": "s3a://bucket/tables"}
        raw["tracking"] = {"uri": "sqlite:////var/mlflow.db", "artifacts": "dbfs:/mlflow"}
        raw["sources"]["events"][0]["path"] = "/data/purchases"
        raw["sources"]["events"][1]["path"] = "hdfs://host:8020/answers"

    config = load_config(write(tmp_path, change))
    assert config.lakehouse.root == "s3a://bucket/tables"
    assert config.tracking.uri == "sqlite:////var/mlflow.db"
    assert config.tracking.artifacts == "dbfs:/mlflow"
    paths = [source.path for source in config.sources.events]
    assert paths == ["/data/purchases", "hdfs://host:8020/answers"]


@pytest.mark.parametrize("uri", ["databricks", "https://mlflow.example.com"])
def test_the_address_of_a_tracking_server_stays_as_it_is(tmp_path: Path, uri: str) -> None:
    config = load_config(write(tmp_path, lambda raw: raw["tracking"].update(uri=uri)))
    assert config.tracking.uri == uri


def test_a_catalog_has_no_path(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, lambda raw: raw.update(lakehouse={"catalog": "main"})))
    assert (config.lakehouse.catalog, config.lakehouse.root) == ("main", None)


def test_a_catalog_given_beside_the_file_takes_the_place_of_its_lakehouse(tmp_path: Path) -> None:
    def change(raw: dict[str, Any]) -> None:
        raw["tracking"]["experiment"] = "/Shared/{catalog}"
        raw["sources"]["events"][0]["path"] = "/Volumes/{catalog}/in"

    config = load_config(write(tmp_path, change), "dev")
    assert (config.lakehouse.catalog, config.lakehouse.root) == ("dev", None)
    assert config.sources.events[0].path == "/Volumes/dev/in"
    assert config.tracking.experiment == "/Shared/dev"
    with pytest.raises(ConfigError, match="lakehouse.catalog: String should match"):
        load_config(write(tmp_path), "no-name")


def test_as_of_is_a_date() -> None:
    assert parse_as_of("2024-05-01") == date(2024, 5, 1)


@pytest.mark.parametrize("text", ["yesterday", "2024-02-30", "01.05.2024", "20240501", "2024-W18"])
def test_as_of_of_another_form_is_refused(text: str) -> None:
    """Python 3.11 reads more forms than 3.10: the same command must do the same on both."""
    with pytest.raises(ConfigError, match=f"--as-of {text}: .*expected YYYY-MM-DD"):
        parse_as_of(text)
