"""The one place that reads and writes tables: what its readers and its writers may rely on."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from pyspark.sql import SparkSession
from pyspark.testing import assertDataFrameEqual

from activityrec.errors import ContractError, StateError
from activityrec.tables import Column, Table
from tests.conftest import ROOT
from tests.planted import configuration
from tests.visits import SPARK_ERRORS, VISITS, at, catalogued_visits, lakehouse, listed, visits


@pytest.fixture(scope="module")
def written(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a lakehouse with three visits. Tests leave its rows as they are."""
    root = tmp_path_factory.mktemp("written")
    rows = visits(spark, ("01", "anna", 3, 1), ("02", "anna", 1, None), ("02", "bert", None, None))
    assert lakehouse(spark, root=str(root)).replace(VISITS, rows) == 3
    return root


def test_a_table_describes_itself_as_its_contract_does(spark: SparkSession, written: Path) -> None:
    fields = spark.read.table(at(written)).schema.fields
    assert [
        (field.name, field.dataType.simpleString(), field.nullable, field.metadata["comment"])
        for field in fields
    ] == [
        ("visit_date", "date", False, "day, UTC"),
        ("user_id", "string", False, "the user"),
        ("pages", "int", True, "what it's about: pages seen"),
        ("bought", "int", True, "pages that sold"),
    ]
    detail = spark.sql(f"DESCRIBE DETAIL {at(written)}").first()
    assert detail["description"] == "Visits to the shop's pages, by day."
    assert detail["clusteringColumns"] == ["visit_date"]
    assert detail["partitionColumns"] == []


def test_other_readers_need_no_feature_of_delta_to_read_a_table(
    spark: SparkSession, written: Path
) -> None:
    detail = spark.sql(f"DESCRIBE DETAIL {at(written)}").first()
    assert detail["minReaderVersion"] == 1
    assert set(detail["tableFeatures"]) == {
        "appendOnly", "checkConstraints", "clustering", "domainMetadata", "invariants"
    }  # fmt: skip


def test_users_leave_no_trace_in_the_log(written: Path) -> None:
    log = "".join(
        path.read_text(encoding="utf-8")
        for path in sorted((written / "clean/visits/_delta_log").glob("*.json"))
    )
    stats = [
        json.loads(action["add"]["stats"])
        for action in map(json.loads, log.splitlines())
        if "add" in action
    ]
    assert {name for s in stats for name in s["minValues"]} == {"visit_date"}
    assert "anna" not in log
    assert "bert" not in log


def test_a_table_without_columns_for_statistics_has_none(
    spark: SparkSession, tmp_path: Path
) -> None:
    """Delta's default is the first 32 columns, the user's id among them."""
    names = replace(VISITS, name="names", columns=VISITS.columns[1:2], cluster_by=(), checks=())
    rows = spark.createDataFrame([("anna",)], "user_id STRING")
    lakehouse(spark, root=str(tmp_path)).replace(names, rows)
    log = (tmp_path / "clean/names/_delta_log/00000000000000000001.json").read_text("utf-8")
    assert "numRecords" in log
    assert "anna" not in log


@pytest.mark.parametrize(
    "row, rule",
    [
        (("03", "", 1, 0), "user_id_valid"),
        (("03", None, 1, 0), "NOT NULL"),
        (("03", "carl", 0, 0), "pages_valid"),
        (("03", "carl", 1, 2), "bought_within_pages"),
    ],
    ids=["check", "missing", "check of a number", "across columns"],
)
def test_a_write_that_violates_the_contract_is_refused(
    spark: SparkSession, written: Path, row: tuple, rule: str
) -> None:
    ours = lakehouse(spark, root=str(written))
    with pytest.raises(SPARK_ERRORS, match=rule):
        ours.append(VISITS, visits(spark, ("04", "good", 1, 1), row))
    assert spark.read.table(at(written)).count() == 3


def test_the_same_rows_written_twice_are_there_once(spark: SparkSession, written: Path) -> None:
    ours = lakehouse(spark, root=str(written))
    before = listed(ours.read(VISITS))
    assert ours.replace(VISITS, ours.read(VISITS)) == 3
    assert listed(spark.read.table(at(written))) == before


def test_replacing_a_slice_leaves_the_others_alone(spark: SparkSession, tmp_path: Path) -> None:
    ours = lakehouse(spark, root=str(tmp_path))
    ours.replace(VISITS, visits(spark, ("01", "anna", 1, 0), ("02", "anna", 1, 0)))
    ours.append(VISITS, visits(spark, ("03", "anna", 1, 0)))
    may_2 = "visit_date = '2024-05-02'"
    again = visits(spark, ("02", "bert", 2, 0), ("02", "carl", 2, 0))
    for _ in range(2):
        assert ours.replace(VISITS, again, may_2) == 2
    assert listed(ours.read(VISITS)) == [
        ("01", "anna", 1, 0),
        ("02", "bert", 2, 0),
        ("02", "carl", 2, 0),
        ("03", "anna", 1, 0),
    ]
    with pytest.raises(SPARK_ERRORS, match="2024-05-02"):
        ours.replace(VISITS, visits(spark, ("04", "anna", 1, 0)), may_2)
    assert ours.replace(VISITS, again.limit(0), may_2) == 0
    assert [row[0] for row in listed(ours.read(VISITS))] == ["01", "03"]


def test_reads_are_pinned_until_the_reader_writes_itself(
    spark: SparkSession, tmp_path: Path
) -> None:
    lakehouse(spark, root=str(tmp_path)).append(VISITS, visits(spark, ("01", "anna", 1, 0)))
    reader, writer = (lakehouse(spark, root=str(tmp_path)) for _ in range(2))
    first = reader.read(VISITS)
    version = reader.versions["clean.visits"]
    writer.append(VISITS, visits(spark, ("02", "anna", 1, 0)))
    assert first.count() == 1
    assert reader.read(VISITS).count() == 1
    assert reader.reads == {"clean.visits": version}
    reader.append(VISITS, visits(spark, ("03", "anna", 1, 0)))
    assert reader.read(VISITS).count() == 3
    assert reader.reads == {"clean.visits": version + 2}


def test_a_failure_puts_all_tables_back(spark: SparkSession, tmp_path: Path) -> None:
    others, untouched = replace(VISITS, name="others"), replace(VISITS, name="untouched")
    ours = lakehouse(spark, root=str(tmp_path))
    one, two = visits(spark, ("01", "anna", 1, 0)), visits(spark, ("02", "anna", 1, 0))
    ours.replace(VISITS, one)
    ours.replace(untouched, one)
    with pytest.raises(KeyboardInterrupt), ours.all_or_nothing():
        ours.append(VISITS, two)
        ours.append(others, two)
        raise KeyboardInterrupt
    assert listed(ours.read(VISITS)) == [("01", "anna", 1, 0)]
    assert listed(ours.read(others)) == []
    assert ours.read(untouched).count() == 1
    assert spark.sql(f"DESCRIBE HISTORY delta.`{tmp_path}/clean/untouched`").count() == 2


def test_a_table_that_cannot_be_put_back_is_named_beside_the_error(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ours, others = lakehouse(spark, root=str(tmp_path)), replace(VISITS, name="others")
    one, two = visits(spark, ("01", "anna", 1, 0)), visits(spark, ("02", "anna", 1, 0))
    for each in (VISITS, others):
        ours.replace(each, one)
    log = tmp_path / "clean/visits/_delta_log"
    caplog.set_level("WARNING", "activityrec")
    with pytest.raises(OSError, match="disk full"), ours.all_or_nothing():
        for each in (VISITS, others):
            ours.append(each, two)
        log.rename(log.with_name("gone"))
        raise OSError("disk full")
    (line,) = [record.message for record in caplog.records]
    assert "table clean.visits is not as before" in line and "run the stage again" in line
    assert listed(ours.read(others)) == [("01", "anna", 1, 0)]


def test_reading_what_no_stage_has_written_names_the_table(
    spark: SparkSession, tmp_path: Path
) -> None:
    with pytest.raises(StateError) as caught:
        lakehouse(spark, root=str(tmp_path)).read(VISITS)
    assert str(caught.value) == (
        f"table clean.visits does not exist at {at(tmp_path)}: run the stage that writes it first"
    )


def test_a_table_of_another_configuration_is_left_alone(spark: SparkSession, written: Path) -> None:
    stranger = lakehouse(spark, name="stranger", root=str(written))
    rows = visits(spark)
    message = (
        f"table clean.visits at {at(written)} belongs to 'shop', not to configuration 'stranger'"
    )
    for act in (
        lambda: stranger.read(VISITS),
        lambda: stranger.replace(VISITS, rows),
        lambda: stranger.append(VISITS, rows),
        lambda: stranger.check([VISITS]),
    ):
        with pytest.raises(ContractError) as caught:
            act()
        assert str(caught.value).startswith(message)
    assert spark.read.table(at(written)).count() == 3


def test_a_table_that_nobody_marked_is_left_alone(spark: SparkSession, tmp_path: Path) -> None:
    spark.range(1).write.format("delta").save(f"{tmp_path}/clean/visits")
    with pytest.raises(ContractError, match="clean.visits at .* no configuration of this project"):
        lakehouse(spark, root=str(tmp_path)).replace(VISITS, visits(spark))


def test_a_table_that_differs_from_its_contract_is_refused_with_the_differences(
    spark: SparkSession, written: Path
) -> None:
    columns = (
        VISITS.columns[0],
        VISITS.columns[1],
        Column("pages", "BIGINT", "pages seen"),
        Column("channel", "STRING", "how the user came"),
    )
    ours = lakehouse(spark, root=str(written))
    with pytest.raises(ContractError) as caught:
        ours.check([replace(VISITS, columns=columns, checks=())])
    message = str(caught.value)
    assert message.startswith(f"table clean.visits at {at(written)} differs from its contract: ")
    assert "pages is int, should be bigint" in message
    assert "channel is missing, should be string" in message
    assert "bought is int, should be absent" in message
    ours.check([VISITS])


def test_a_table_with_other_rules_than_its_contract_is_refused_with_the_differences(
    spark: SparkSession, written: Path
) -> None:
    columns = (
        VISITS.columns[0],
        replace(VISITS.columns[1], check="user_id RLIKE '^u'"),
        replace(VISITS.columns[2], check=None, stats=True),
        replace(VISITS.columns[3], required=True),
    )
    with pytest.raises(ContractError) as caught:
        lakehouse(spark, root=str(written)).check([replace(VISITS, columns=columns)])
    message = str(caught.value)
    assert "bought is int, should be int NOT NULL" in message
    assert "constraints.pages_valid is pages IS NULL OR (pages > 0), should be absent" in message
    assert (
        "constraints.user_id_valid is user_id IS NULL OR (user_id != ''), "
        "should be user_id IS NULL OR (user_id RLIKE '^u')"
    ) in message
    assert "StatsColumns is visit_date, should be visit_date,pages" in message


def test_rows_with_missing_or_unknown_columns_are_refused(
    spark: SparkSession, written: Path
) -> None:
    rows = visits(spark).withColumnRenamed("pages", "sites")
    with pytest.raises(ContractError) as caught:
        lakehouse(spark, root=str(written)).replace(VISITS, rows)
    assert str(caught.value) == (
        "rows for clean.visits lack columns ['pages'] and have unknown ['sites']"
    )


def test_columns_are_matched_by_name_and_cast(spark: SparkSession, tmp_path: Path) -> None:
    rows = visits(spark, ("01", "anna", 3, 1)).selectExpr(
        "bought", "string(pages) AS pages", "timestamp(visit_date) AS visit_date", "user_id"
    )
    ours = lakehouse(spark, root=str(tmp_path))
    ours.append(VISITS, rows)
    assert listed(ours.read(VISITS)) == [("01", "anna", 3, 1)]


HOLD = """
import sys
from activityrec.config_file import load_config
from activityrec.lakehouse import Lakehouse

with Lakehouse(None, load_config(sys.argv[1])).lock():
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen]:
    """Another process that works on the lakehouse below tmp_path."""
    path = tmp_path / "shop.yaml"
    path.write_text(yaml.safe_dump(configuration()), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "lib")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "locked\n"
    yield process
    process.kill()
    process.communicate()


def test_one_process_works_on_a_lakehouse_at_a_time(
    spark: SparkSession, tmp_path: Path, holder: subprocess.Popen
) -> None:
    ours = lakehouse(spark, root=str(tmp_path / "lakehouse"))
    with pytest.raises(StateError) as caught, ours.lock():
        pytest.fail("two hold the lock")
    assert str(caught.value) == (
        f"lakehouse {tmp_path}/lakehouse: process {holder.pid} is working on it; "
        "wait until it has ended"
    )
    holder.kill()
    holder.wait()
    for _ in range(2):
        with ours.lock():
            pass


def test_the_script_of_views_makes_them_in_another_session(
    spark: SparkSession, written: Path
) -> None:
    ours = lakehouse(spark, root=str(written))
    table = ours.identifier(VISITS)
    views = {
        "recent_visits": f"SELECT user_id, pages FROM {table} WHERE visit_date > '2024-05-01'",
        "known_pages": "SELECT user_id FROM recent_visits WHERE pages IS NOT NULL",
    }
    ours.create_views("clean", views)
    assert spark.table("recent_visits").count() == 2
    other = spark.newSession()
    assert not other.catalog.tableExists("recent_visits")
    script = (written / "views.sql").read_text(encoding="utf-8")
    for statement in filter(str.strip, script.split(";\n")):
        other.sql(statement)
    assert [row["user_id"] for row in other.table("known_pages").collect()] == ["anna"]


def test_tables_get_their_short_names_in_the_session(spark: SparkSession, written: Path) -> None:
    ours = lakehouse(spark, root=str(written))
    ours.register([VISITS, replace(VISITS, name="never_written")])
    assert spark.table("visits").count() == 3
    assert not spark.catalog.tableExists("never_written")


@pytest.fixture
def catalogued(spark: SparkSession) -> Iterator[Table]:
    with catalogued_visits(spark) as table:
        yield table


def test_a_catalog_serves_as_a_path_does(spark: SparkSession, catalogued: Table) -> None:
    ours = lakehouse(spark, catalog="spark_catalog")
    with pytest.raises(StateError, match="catalogued.visits does not exist"):
        ours.read(catalogued)
    rows = visits(spark, ("01", "anna", 1, 0), ("02", "anna", 1, 0))
    assert ours.replace(catalogued, rows) == 2
    assert ours.replace(catalogued, rows) == 2
    may_2 = "visit_date = '2024-05-02'"
    assert ours.replace(catalogued, visits(spark, ("02", "bert", 2, 0)), may_2) == 1
    reader = lakehouse(spark, catalog="spark_catalog")
    pinned = reader.read(catalogued)
    ours.append(catalogued, visits(spark, ("03", "carl", 3, 0)))
    assert listed(pinned) == [("01", "anna", 1, 0), ("02", "bert", 2, 0)]
    assert ours.read(catalogued).count() == 3
    with pytest.raises(SPARK_ERRORS, match="pages_valid"):
        ours.append(catalogued, visits(spark, ("03", "dora", 0, 0)))
    with pytest.raises(ContractError, match="belongs to 'shop', not to configuration 'stranger'"):
        lakehouse(spark, "stranger", catalog="spark_catalog").read(catalogued)
    detail = spark.sql("DESCRIBE DETAIL spark_catalog.catalogued.visits").first()
    assert detail["clusteringColumns"] == ["visit_date"]
    assert detail["description"] == "Visits to the shop's pages, by day."

    ours.create_views(
        "catalogued",
        {"bought": "SELECT user_id FROM spark_catalog.catalogued.visits WHERE pages > 1"},
    )
    assertDataFrameEqual(
        spark.newSession().table("catalogued.bought"),
        spark.createDataFrame([("bert",), ("carl",)], "user_id STRING"),
    )
