"""Personal data on their way in: what rests in tables is what the configuration allows."""

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.config import Config
from activityrec.errors import PrivacyError
from activityrec.ingest import Ingestion
from activityrec.ingest.keyed import check_key
from activityrec.ingest.load import load_table
from activityrec.ingest.privacy import Protection
from activityrec.lakehouse import Lakehouse
from activityrec.tables import Table
from tests.ingest.test_load import Shop, event

KEY = "an-unguessable-key-of-more-than-32-bytes"
ID = "somebody-4f1c7"


class PrivateShop(Shop):
    """Its user ids are replaced, what they write is dropped."""

    privacy: dict[str, Any] | None = {
        "key_env": "SHOP_KEY",
        "columns": {"events.text": {"how": "drop"}, "events.event_id": {"how": "hash"}},
    }

    def ingestion(self) -> Ingestion:
        plain = super().ingestion()
        raw = plain.config.model_dump() | {"privacy": self.privacy}
        config = Config.model_validate(raw)
        now = datetime(2024, 7, 1, tzinfo=timezone.utc)
        lakehouse = Lakehouse(self.spark, config)
        return Ingestion(self.spark, lakehouse, config, now, Protection.open(self.spark, config))

    def load(self, table: Table = tables.EVENTS) -> int:
        ingestion = self.ingestion()
        check_key(ingestion.lakehouse, ingestion.protection)
        return load_table(ingestion, table, [])


@pytest.fixture
def shop(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PrivateShop:
    monkeypatch.setenv("SHOP_KEY", KEY)
    shop = PrivateShop(spark, tmp_path)
    shop.events["columns"] = shop.events["columns"] | {"text": "said"}
    shop.ingest = {"max_refused_share": 1, "earliest": "2024-01-01"}
    return shop


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def private(name: str, **others: Any) -> dict[str, Any]:
    return event(f"{name} of {ID}", user=ID, said=f"I am {ID}") | others


def test_no_raw_personal_data_rest_in_any_table(shop: PrivateShop) -> None:
    shop.write(
        "1.json",
        private("a"),
        private("uncastable", paid="many"),
        private("early", at="2023-01-01"),
        '{"id": "broken", "user": "' + ID,
        private("a", paid="2"),
    )
    shop.load()
    lakehouse = shop.ingestion().lakehouse
    (row,) = lakehouse.read(tables.EVENTS).collect()
    assert len(row["user_id"]) == 64 and row["text"] is None
    refused = lakehouse.read(tables.QUARANTINE).collect()
    assert len(refused) == 4
    (uncastable,) = [r for r in refused if r["reasons"] == ["amount: not a DOUBLE"]]
    kept = json.loads(uncastable["row"])
    assert uncastable["user_id"] == kept["user_id"] == row["user_id"]
    assert kept["amount"] == "many" and len(kept["event_id"]) == 64
    assert "text" not in kept
    # Parquet is compressed: look at the values, and at every byte of the logs.
    for table in (tables.EVENTS, tables.QUARANTINE, tables.BATCHES):
        rows = lakehouse.read(table).select(F.to_json(F.struct("*")).alias("row")).collect()
        assert rows and not any(ID in r["row"] for r in rows)
    assert ID.encode() not in everything(shop.folder / "lakehouse/clean/events/_delta_log")
    assert KEY.encode() not in everything(shop.folder / "lakehouse")


def test_a_line_with_shifted_columns_is_not_kept(shop: PrivateShop) -> None:
    shop.events |= {"format": "csv", "options": {"header": "true"}}
    header = "id,user,kind,at,paid,said"
    shop.write("1.csv", header, f"a,x,{ID},buy,2024-05-01,1,I am {ID}", "b,u,buy,2024-05-01,1,")
    shop.load()
    (row,) = shop.ingestion().lakehouse.read(tables.QUARANTINE).collect()
    assert (row["reasons"], row["row"], row["user_id"]) == (["malformed line"], None, None)


def test_protected_rows_pass_from_quarantine_and_stay_protected(shop: PrivateShop) -> None:
    shop.write("1.json", private("a"), private("early", at="2023-01-01"))
    shop.load()
    shop.ingest["earliest"] = "2020-01-01"
    assert shop.replay()["events"] == 1
    users = shop.ingestion().lakehouse.read(tables.EVENTS).select("user_id")
    assert users.count() == 2 and users.distinct().count() == 1


def test_erased_users_are_refused_and_nothing_of_them_is_kept(shop: PrivateShop) -> None:
    ingestion = shop.ingestion()
    assert ingestion.protection is not None
    check_key(ingestion.lakehouse, ingestion.protection)
    raw = shop.spark.createDataFrame([(ID,)], "user_id STRING")
    hashed = ingestion.protection.erasure_hash(raw)
    erased = hashed.select(
        F.col("_id_hash").alias("id_hash"), F.lit(ingestion.now).alias("erased_ts")
    )
    ingestion.lakehouse.append(tables.ERASURES, erased)
    shop.write("1.json", private("a"), event("b", said=""), private("c", paid="many"))
    shop.load()
    lakehouse = shop.ingestion().lakehouse
    assert lakehouse.read(tables.EVENTS).count() == 1
    for row in lakehouse.read(tables.QUARANTINE).collect():
        assert (row["reasons"], row["row"], row["user_id"]) == (["user_id: erased"], None, None)
    assert shop.batches()[0]["rules"] == {"user_id: erased": 2}


def test_another_key_or_none_is_an_error(
    shop: PrivateShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check() -> None:
        ingestion = shop.ingestion()
        check_key(ingestion.lakehouse, ingestion.protection)

    ingestion = shop.ingestion()
    check_key(ingestion.lakehouse, ingestion.protection)
    ingestion.lakehouse.create(tables.EVENTS)
    check()
    monkeypatch.setenv("SHOP_KEY", KEY + "x")
    with pytest.raises(PrivacyError, match="made with another key"):
        check()
    monkeypatch.delenv("SHOP_KEY")
    with pytest.raises(PrivacyError, match="SHOP_KEY"):
        check()
    shop.privacy = None
    with pytest.raises(PrivacyError, match="asks for none"):
        check()


def test_ids_may_stay_while_erasure_works(shop: PrivateShop) -> None:
    shop.privacy = {"key_env": "SHOP_KEY", "user_id": "keep"}
    shop.write("1.json", private("a"))
    shop.load()
    (row,) = shop.ingestion().lakehouse.read(tables.EVENTS).collect()
    assert (row["user_id"], row["text"]) == (ID, f"I am {ID}")
