"""What is stored of personal data, and that the key is nowhere to be read."""

import base64
import hashlib
import hmac
import sys
import types
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from activityrec import tables
from activityrec.config import Config
from activityrec.errors import ConfigError, PrivacyError
from activityrec.ingest.bands import labels
from activityrec.ingest.privacy import Protection, check_columns, load_key
from tests.planted import configuration

KEY = "correct horse battery staple, and the rest"


def derived(use: str) -> bytes:
    return hmac.digest(KEY.encode(), use.encode(), "sha256")


def hashed(use: str, value: str) -> str:
    return hmac.new(derived(use), value.encode("utf-8"), hashlib.sha256).hexdigest()


def config(**columns: str | list[float]) -> Config:
    """With a way for each column (``users__age``), or the bands of one."""
    ways = {
        name.replace("__", "."): {"how": way} if isinstance(way, str) else
        {"how": "band", "bands": way}
        for name, way in columns.items()
    }  # fmt: skip
    privacy = {"key_env": "SHOP_KEY", "columns": ways}
    return Config.model_validate(configuration() | {"privacy": privacy})


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", KEY + "\n")


def opened(spark: SparkSession, **columns: str | list[float]) -> Protection:
    protection = Protection.open(spark, config(**columns))
    assert protection is not None
    return protection


def users(spark: SparkSession, *rows: tuple) -> DataFrame:
    return spark.createDataFrame(
        list(rows),
        "user_id STRING, age INT, gender STRING, attributes MAP<STRING, STRING>, _raw STRING",
    )


ANNA = ("anna", 34, "female", {"email": "a@x.org", "income": "2300", "city": "Bern"}, "as it came")


def test_user_ids_become_an_hmac_and_other_columns_pass(spark: SparkSession) -> None:
    rows = users(spark, ANNA, ("刘洋 ", 20, None, None, None), (None, 1, None, {}, "no id"))
    found = opened(spark).apply(tables.USERS, rows)
    assert found.schema == rows.schema
    assert [tuple(row) for row in found.collect()] == [
        (hashed("user_id", "anna"), *ANNA[1:]),
        (hashed("user_id", "刘洋 "), 20, None, None, None),
        (None, 1, None, {}, "no id"),
    ]


def test_each_way_leaves_of_a_column_what_it_says(spark: SparkSession) -> None:
    protection = opened(
        spark,
        users__age=[18, 25, 65],
        users__gender="hash",
        users__attributes__email="drop",
        users__attributes__income=[1000, 2000],
        users__attributes__city="hash",
    )
    rows = [
        ANNA,
        ("bert", 17, None, {"income": "900.5", "email": "b"}, None),
        ("carl", 18, "", {"income": "secret", "other": "kept", "empty": None}, None),
        ("dora", 130, "f", None, None),
        ("emil", None, "f", {"income": "1999.5"}, None),
    ]
    found = protection.apply(tables.USERS, users(spark, *rows)).collect()
    assert [row["age"] for row in found] == [25, None, 18, 65, None]
    genders = ["female", None, "", "f", "f"]
    assert [row["gender"] for row in found] == [
        g if g is None else hashed("column", g) for g in genders
    ]
    assert [row["attributes"] for row in found] == [
        {"income": "2000+", "city": hashed("column", "Bern")},
        {"income": "<1000"},
        {"other": "kept", "empty": None},
        None,
        {"income": "1000-1999"},
    ]


def test_whole_columns_can_be_dropped(spark: SparkSession) -> None:
    protection = opened(
        spark, users__age="drop", users__attributes="drop", users__attributes__email="hash"
    )
    (row,) = protection.apply(tables.USERS, users(spark, ANNA)).collect()
    assert (row["age"], row["gender"], row["attributes"]) == (None, "female", None)


def test_the_names_of_bands() -> None:
    assert labels([18, 25, 26]) == ["<18", "18-24", "25", "26+"]
    assert labels([0.5, 2]) == ["<0.5", "0.5-<2", "2+"]
    assert labels([1_000_000]) == ["<1000000", "1000000+"]


def events(spark: SparkSession, *rows: tuple) -> DataFrame:
    return spark.createDataFrame(
        list(rows), "event_id STRING, user_id STRING, text STRING, amount DOUBLE"
    )


def test_encrypted_text_is_read_with_the_key_and_only_with_it(spark: SparkSession) -> None:
    protection = opened(spark, events__text="encrypt")
    long = "wrote 太好了! " * 100
    rows = events(
        spark,
        ("1", "anna", long, 1.0),
        ("2", "anna", long, 1.0),
        ("3", "bert", long, 1.0),
        ("4", "anna", None, 1.0),
    )
    found = protection.apply(tables.EVENTS, rows).collect()
    texts = [row["text"] for row in found]
    sealed = spark.createDataFrame([(text,) for text in texts], "text STRING")
    for key, plain in ((derived("encrypt"), long.encode()), (derived("column"), None)):
        opened_text = sealed.selectExpr(
            f"try_aes_decrypt(unbase64(text), X'{key.hex()}', 'GCM') AS plain"
        )
        assert [row["plain"] for row in opened_text.collect()] == [plain, plain, plain, None]
    assert base64.b64decode(texts[0], validate=True)
    assert texts[0] == texts[1], "loading the same row again changes nothing"
    assert texts[0] != texts[2], "two users who write the same are not seen to"
    assert texts[3] is None


def test_what_the_contract_does_not_take_once_encrypted_is_not_kept(spark: SparkSession) -> None:
    rows = events(spark, ("1", "anna", "x" * 14_972, 1.0), ("2", "anna", "x" * 14_973, 1.0))
    found = opened(spark, events__text="encrypt").apply(tables.EVENTS, rows).collect()
    assert [row["text"] and len(row["text"]) for row in found] == [20_000, None]


def test_event_ids_can_be_hashed_and_amounts_banded(spark: SparkSession) -> None:
    protection = opened(spark, events__event_id="hash", events__amount=[0, 10.5])
    rows = events(spark, ("anna-1", "anna", "t", 10.4), ("anna-2", "anna", "t", 99.0))
    found = protection.apply(tables.EVENTS, rows).collect()
    assert [(row["event_id"], row["amount"]) for row in found] == [
        (hashed("column", "anna-1"), 0.0),
        (hashed("column", "anna-2"), 10.5),
    ]


def test_a_table_without_personal_columns_is_left_alone(spark: SparkSession) -> None:
    rows = spark.createDataFrame([("p1",)], "product_id STRING")
    assert opened(spark, users__age="drop").apply(tables.PRODUCTS, rows) is rows


def test_the_hash_of_an_erased_user_is_not_the_pseudonym(spark: SparkSession) -> None:
    protection = opened(spark)
    rows = spark.createDataFrame([("anna", 1), (None, 2)], "user STRING, n INT")
    found = protection.pseudonym(protection.erasure_hash(rows, "user"), "user")
    assert [tuple(row) for row in found.collect()] == [
        ("anna", 1, hashed("erasure", "anna"), hashed("user_id", "anna")),
        (None, 2, None, None),
    ]


def test_the_fingerprint_tells_keys_apart(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(spark).fingerprint
    assert opened(spark, users__age="drop").fingerprint == first
    monkeypatch.setenv("SHOP_KEY", KEY + "!")
    assert opened(spark).fingerprint != first


def forms(secret: bytes) -> list[str]:
    """How bytes could appear in a text."""
    listed = ", ".join(str(byte) for byte in secret)
    signed = ", ".join(str(byte - 256 if byte > 127 else byte) for byte in secret)
    spaced = secret.hex(" ").upper()
    return [
        secret.hex(),
        secret.decode("latin-1"),
        base64.b64encode(secret).decode().rstrip("="),
        listed,
        signed,
        spaced,
        listed.replace(", ", ","),
        signed.replace(", ", ","),
    ]


def test_no_plan_shows_a_key(spark: SparkSession, capsys: pytest.CaptureFixture[str]) -> None:
    protection = opened(
        spark, users__gender="encrypt", users__attributes__email="hash", users__age=[18]
    )
    rows = protection.erasure_hash(protection.apply(tables.USERS, users(spark, ANNA)))
    capsys.readouterr()
    rows.explain(True)
    rows.explain("formatted")
    execution = rows._jdf.queryExecution()
    shown = capsys.readouterr().out + execution.toString() + execution.logical().toJSON()
    shown += repr(protection) + str(rows.schema)
    assert "_key_user_id_inner" in shown
    secrets = [KEY.encode()]
    for use in ("user_id", "column", "erasure", "nonce", "encrypt"):
        bits = derived(use)
        padded = bits.ljust(64, b"\0")
        secrets += [bits, bytes(b ^ 0x36 for b in padded), bytes(b ^ 0x5C for b in padded)]
    for secret in secrets:
        # A plan may be cut in the middle of a value: the beginning is enough.
        for form in forms(secret[:16]):
            assert form.lower() not in shown.lower()


def test_without_privacy_there_is_no_protection(spark: SparkSession) -> None:
    assert Protection.open(spark, Config.model_validate(configuration())) is None


@pytest.mark.parametrize("value", [None, "too short", "x" * 31 + "\n"])
def test_a_missing_or_short_key_is_named_and_not_shown(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("SHOP_KEY") if value is None else monkeypatch.setenv("SHOP_KEY", value)
    with pytest.raises(PrivacyError, match="environment variable SHOP_KEY") as caught:
        opened(spark)
    assert value is None or value.strip() not in str(caught.value)
    assert (value is None) == ("is not there" in str(caught.value))


def with_secret(key: str) -> Any:
    raw = configuration() | {"privacy": {"key_secret": key}}
    return Config.model_validate(raw).privacy


def test_a_key_of_databricks(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for what only Databricks has."""

    class DBUtils:
        def __init__(self, session: SparkSession) -> None:
            self.secrets = self

        def get(self, scope: str, key: str) -> str:
            return {("shop", "pseudonyms"): KEY + "\n"}[scope, key]

    with pytest.raises(PrivacyError, match="secret shop/pseudonyms .* is not there"):
        load_key(with_secret("shop/pseudonyms"), spark)
    module = types.ModuleType("pyspark.dbutils")
    module.DBUtils = DBUtils  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyspark.dbutils", module)
    assert load_key(with_secret("shop/pseudonyms"), spark) == KEY.encode()
    with pytest.raises(PrivacyError, match="secret shop/other .* is not there"):
        load_key(with_secret("shop/other"), spark)


@pytest.mark.parametrize(
    "name, way, words",
    [
        ("user__age", "drop", "no table 'user'; allowed: users, products"),
        ("users__agee", "drop", "no such column of clean.users; allowed: age, gender, attributes"),
        ("users__flags", "drop", "no such column"),
        ("events__attributes__email", "drop", "no such column of clean.events; allowed: event_id"),
        ("users__age__years", "drop", "no such column of clean.users"),
        ("events__user_id", "drop", "user_id is always hashed"),
        ("exposures__user_id", "hash", "user_id is always hashed"),
        ("events__event_id", "drop", "drop does not suit it; allowed: hash"),
        ("events__product_id", "hash", "hash does not suit it; allowed: nothing"),
        ("events__event_ts", "drop", "allowed: nothing"),
        ("events__event_type", "hash", "allowed: nothing"),
        ("users__age", "hash", "hash does not suit it; allowed: drop, band"),
        ("users__gender", [18], "band does not suit it; allowed: drop, hash, encrypt"),
        ("users__attributes", "encrypt", "encrypt does not suit it; allowed: drop"),
        ("users__age", [25, 18], "not in ascending order"),
        ("users__age", [18, 18.5], "not whole"),
    ],
)  # fmt: skip
def test_a_column_that_cannot_be_protected_so_is_refused(
    name: str, way: str | list[float], words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        check_columns(config(**{name: way}))
    message = str(caught.value)
    assert message.startswith(f"privacy.columns.{name.replace('__', '.')}: ")
    assert words in message
