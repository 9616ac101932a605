"""MLflow: what a run keeps, and which model is the champion."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import mlflow
import pyarrow.parquet as pq
import pytest
from pyspark.ml import PipelineModel
from pyspark.ml.feature import SQLTransformer
from pyspark.sql import SparkSession
from pyspark.sql.types import IntegerType, StructField, StructType
from pyspark.testing import assertDataFrameEqual

from activityrec.config import AlsConfig, Config
from activityrec.errors import StateError
from activityrec.retrieval.methods.als import fit_als
from activityrec.tracking import CHAMPION, Tracking
from tests.planted import configuration
from tests.retrieval.boards import known

MAY, JUNE = date(2024, 5, 1), date(2024, 6, 1)
VERSIONS = {"clean.events": 3}


@pytest.fixture(scope="module", autouse=True)
def _server_of_the_others() -> Iterator[None]:
    """MLflow's address is one for the whole process: give it back."""
    address, registry = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    yield
    mlflow.set_tracking_uri(address)
    mlflow.set_registry_uri(registry)


def tracking(folder: Path, name: str) -> Tracking:
    """The tracking of the deployment ``name``; all of a folder share its data base."""
    place = {"uri": f"sqlite:///{folder}/mlflow.db", "artifacts": f"{folder}/artifacts"}
    raw = configuration() | {"name": name, "tracking": place}
    raw["lakehouse"] = {"root": f"{folder}/lakehouse"}
    return Tracking(Config.model_validate(raw))


@pytest.fixture(scope="module")
def folder(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a model of the deployment ``shop``, trained as of June."""
    folder = tmp_path_factory.mktemp("tracking of 活动")
    ours = tracking(folder, "shop")
    with ours.run("shop-20240601 ranker", JUNE, {"reg": 0.5}, VERSIONS):
        ours.log_metrics({"ndcg@3": 0.25})
        twice = SQLTransformer(statement="SELECT 2 * value AS twice FROM __THIS__")
        inputs = StructType([StructField("value", IntegerType(), nullable=False)])
        version = ours.register("ranker", PipelineModel([twice]), JUNE, inputs=inputs)
        ours.point(CHAMPION, {"ranker": version})
    return folder


def test_a_run_keeps_parameters_metrics_and_the_versions_that_it_read(folder: Path) -> None:
    tracking(folder, "shop")._connect()
    (run,) = mlflow.search_runs(experiment_names=["shop"], output_format="list")
    assert run.info.run_name == "shop-20240601 ranker"
    assert run.data.params == {"reg": "0.5"}
    assert run.data.metrics == {"ndcg_at_3": 0.25}
    assert run.data.tags["as_of"] == "2024-06-01"
    assert run.data.tags["delta.clean.events"] == "3"
    kept = mlflow.artifacts.load_text(f"{run.info.artifact_uri}/delta_versions.json")
    assert json.loads(kept) == VERSIONS


def test_the_model_promoted_is_the_champion(spark: SparkSession, folder: Path) -> None:
    champion = tracking(folder, "shop").model("ranker", JUNE)
    assert (str(champion), champion.as_of) == ("shop-ranker/1", JUNE)
    rows = spark.createDataFrame([(21,)], "value INT")
    assert champion.model.transform(rows).collect()[0]["twice"] == 42
    assert not list((folder / "lakehouse/.models").iterdir()), "models were there on their way"


def test_a_model_says_what_it_reads(folder: Path) -> None:
    signature = mlflow.models.get_model_info("models:/shop-ranker/1").signature
    assert signature.inputs.to_dict() == [{"type": "integer", "name": "value", "required": True}]
    assert [column["type"] for column in signature.outputs.to_dict()] == ["double"]


def test_a_champion_that_knows_the_future_is_refused(folder: Path) -> None:
    with pytest.raises(StateError) as caught:
        tracking(folder, "shop").model("ranker", MAY)
    assert str(caught.value) == (
        "model shop-ranker version 1 was trained as of 2024-06-01, which is after 2024-05-01: "
        "it knows the future; run train at 2024-05-01 first"
    )


@pytest.mark.parametrize("name, part", [("shop", "als"), ("stranger", "ranker")])
def test_without_a_champion_the_error_says_what_to_run(folder: Path, name: str, part: str) -> None:
    with pytest.raises(StateError, match=f"{name}-{part} has no champion: run train, eval"):
        tracking(folder, name).model(part, JUNE)


def test_two_deployments_in_one_process_keep_to_their_own_servers(
    folder: Path, tmp_path: Path
) -> None:
    ours, stranger = tracking(folder, "shop"), tracking(tmp_path, "stranger")
    assert ours.model("ranker", JUNE, load=False).version == "1"
    with stranger.run("stranger-20240601", JUNE, {}, {}):
        pass
    assert ours.model("ranker", JUNE, load=False).version == "1"
    with ours.run("shop-20240601 again", JUNE, {}, {}):
        pass
    names = [
        run.info.run_name
        for run in mlflow.search_runs(experiment_names=["shop"], output_format="list")
    ]
    assert sorted(names) == ["shop-20240601 again", "shop-20240601 ranker"]


def test_a_registered_als_holds_factors_of_items_and_none_of_users(
    spark: SparkSession, tmp_path: Path
) -> None:
    """MLflow's store is out of reach when a user is erased."""
    bought = [
        (f"u{u}", "product", f"p{p}", 1.0) for u in range(6) for p in range(4) if u % 2 == p % 2
    ]
    fit = fit_als(known(spark, bought), AlsConfig(rank=2, max_iter=2, blocks=1))
    assert fit.users.count() == 6
    ours = tracking(tmp_path, "shop")
    assert fit.model is not None
    with ours.run("shop-20240501 als", MAY, {}, {}):
        ours.point(CHAMPION, {"als": ours.register("als", fit.model, MAY)})
    files = [path for path in tmp_path.rglob("*.parquet") if "userFactors" in path.parts]
    assert files
    assert sum(pq.read_metadata(path).num_rows for path in files) == 0
    (loaded,) = mlflow.spark.load_model("models:/shop-als/1").stages
    assert (loaded.rank, loaded.getUserCol(), loaded.getItemCol()) == (2, "user", "item")
    assertDataFrameEqual(loaded.itemFactors, fit.model.itemFactors)
    assert loaded.userFactors.isEmpty()


def test_models_in_unity_catalog_are_beside_the_tables() -> None:
    place = {"uri": "databricks", "registry": "databricks-uc", "experiment": "/Shared/shop"}
    raw = configuration() | {"name": "shop", "tracking": place, "lakehouse": {"catalog": "main"}}
    ours = Tracking(Config.model_validate(raw))
    assert ours.model_name("ranker") == "main.serving.shop_ranker"
    assert ours.experiment == "/Shared/shop"


def test_models_in_unity_catalog_need_one() -> None:
    place = {"uri": "databricks", "registry": "databricks-uc"}
    with pytest.raises(ValueError, match="databricks-uc needs lakehouse.catalog"):
        Config.model_validate(configuration() | {"tracking": place})
