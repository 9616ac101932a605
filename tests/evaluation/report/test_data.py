"""Which rows a report is made of, and where it is kept."""

from dataclasses import replace
from datetime import date, datetime, timezone
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from activityrec import tables
from activityrec.config import Config, LakehouseConfig
from activityrec.evaluation.report.data import Row, read_report
from activityrec.evaluation.report.page import render
from activityrec.evaluation.report.place import report_path
from activityrec.files import Files
from activityrec.lakehouse import Lakehouse
from activityrec.tables import Table
from tests.evaluation.report.rows import AS_OF, FULL, gate, metric


@pytest.fixture
def lakehouse(spark: SparkSession, planted_config: Config, tmp_path: Path) -> Lakehouse:
    place = LakehouseConfig(root=str(tmp_path / "lakehouse"))
    return Lakehouse(spark, planted_config.model_copy(update={"lakehouse": place}))


def write(lakehouse: Lakehouse, table: Table, rows: list[Row]) -> None:
    values = [tuple(row[name] for name in table.column_names) for row in rows]
    lakehouse.replace(table, lakehouse.spark.createDataFrame(values, table.row_type))


def run(run_id: str, as_of: date, value: float = 0.8, name: str = "auc", **other: object) -> Row:
    return {**metric("ranker", name, value), "run_id": run_id, "as_of": as_of, **other}


def test_a_report_has_the_rows_of_its_run_and_the_main_figures_of_earlier_ones(
    lakehouse: Lakehouse,
) -> None:
    september, later = date(2017, 9, 1), date(2017, 11, 1)
    mine = [run("this", AS_OF, 0.84), run("this", AS_OF, 0.3, "log_loss")]
    earlier = run("b", september, 0.82)
    others = [
        run("other", AS_OF, 0.1),
        run("a", september, 0.2),
        run("b", september, 0.3, "log_loss"),
        run("b", september, slice="week", slice_value="2017-09-04"),
        run("c", later),
    ]
    write(lakehouse, tables.METRICS, [*others, earlier, *mine])
    again = datetime(2017, 10, 3, tzinfo=timezone.utc)
    first, last = gate("auc", False, "too low"), {**gate("auc", True, "high"), "decided_ts": again}
    write(lakehouse, tables.PROMOTIONS, [{**row, "run_id": "this"} for row in (first, last)])

    found = read_report(lakehouse, "this", AS_OF)
    assert found.metrics == mine
    assert found.earlier == [earlier]
    assert [row["reason"] for row in found.promotions] == ["high"]
    assert (found.comparisons, found.curves, found.input_checks) == ([], [], [])
    assert found.versions == lakehouse.reads
    assert set(found.versions) == {"serving.metrics", "serving.promotions"}


@pytest.mark.slow
def test_rows_that_went_through_the_tables_give_the_same_page(lakehouse: Lakehouse) -> None:
    names = ("metrics", "comparisons", "curves", "input_checks", "policy_values", "promotions")
    for table, name in zip(tables.EVALUATION, names, strict=True):
        rows = getattr(FULL, name)
        write(lakehouse, table, [*rows, *(FULL.earlier if name == "metrics" else ())])
    found = read_report(lakehouse, FULL.run_id, FULL.as_of)
    sections = render(replace(found, versions=FULL.versions)).count("<tr>")
    assert sections == render(FULL).count("<tr>")
    assert {row["name"] for row in found.input_checks} == {"user_rate", "offers", "ranker"}


def test_a_report_lies_beside_the_tables_or_where_the_configuration_says(
    planted_config: Config,
) -> None:
    root = planted_config.lakehouse.root
    assert report_path(planted_config, "shop-1") == f"{root}/reports/shop-1.html"
    assert report_path(planted_config, "../a b") == f"{root}/reports/..%2Fa%20b.html"
    catalog = planted_config.model_copy(update={"lakehouse": LakehouseConfig(catalog="main")})
    assert report_path(catalog, "shop-1") is None
    elsewhere = catalog.evaluate.model_copy(update={"report_folder": "/reports/"})
    configured = catalog.model_copy(update={"evaluate": elsewhere})
    assert report_path(configured, "shop-1") == "/reports/shop-1.html"


def test_a_file_is_replaced_as_a_whole(spark: SparkSession, tmp_path: Path) -> None:
    file = tmp_path / "reports" / "a run.html"
    Files(spark).replace_text(str(file), "old")
    with file.open(encoding="utf-8") as reader:
        Files(spark).replace_text(str(file), "ünew")
        assert reader.read() == "old"
    assert file.read_text(encoding="utf-8") == "ünew"
    assert [path.name for path in file.parent.iterdir()] == ["a run.html"]
