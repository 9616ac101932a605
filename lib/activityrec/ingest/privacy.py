"""Protection of personal data at ingestion: pseudonyms, and what becomes of personal columns.

All of it is native Spark. Literals show in plans, in Spark's page and in its event log; so the
keys are not literals but columns of a table of one row, which is broadcast to the rows.
"""

import hmac
import os
from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from activityrec.config import Config, PrivacyConfig, ProtectionConfig
from activityrec.errors import PrivacyError
from activityrec.ingest.bands import band_label, lower_bound
from activityrec.ingest.protected import check_columns, protected_columns
from activityrec.tables import Table

__all__ = ["Protection", "check_columns", "load_key"]

MIN_KEY_BYTES = 32
_BLOCK_BYTES = 64
"""Of SHA-256: HMAC pads its key to them (RFC 2104)."""
_HASHES = ("user_id", "column", "erasure", "nonce")
"""What is hashed, each with a key of its own, so that no hash helps to guess another."""


def load_key(privacy: PrivacyConfig, spark: SparkSession) -> bytes:
    """The key of the deployment, from the environment or from Databricks' secrets.

    Raises
    ------
    PrivacyError
        It is missing, or has fewer than 32 bytes. The message names the place, not the value.
    """
    if privacy.key_env is not None:
        place = f"environment variable {privacy.key_env} (privacy.key_env)"
        text = os.environ.get(privacy.key_env)
    else:
        place = f"secret {privacy.key_secret} (privacy.key_secret)"
        text = _secret(privacy.key_secret or "", spark)
    if text is None:
        raise PrivacyError(f"{place} is not there: it must hold the key of the pseudonyms")
    try:
        key = text.rstrip("\r\n").encode("utf-8")
    except UnicodeEncodeError:
        raise PrivacyError(f"{place} does not hold UTF-8 text") from None
    if len(key) < MIN_KEY_BYTES:
        raise PrivacyError(f"{place} holds a key of fewer than {MIN_KEY_BYTES} bytes")
    return key


def _secret(name: str, spark: SparkSession) -> str | None:
    """A Databricks secret ``scope/name``; None where there is none, or no Databricks."""
    try:
        from pyspark.dbutils import DBUtils

        scope, key = name.split("/")
        return str(DBUtils(spark).secrets.get(scope=scope, key=key))
    except Exception:  # Databricks documents no class for it, and its message may say too much
        return None


class Protection:
    """What a deployment does to personal data, with its key.

    Attributes
    ----------
    pseudonyms
        Whether user ids are replaced.
    fingerprint
        A hash of the key, the same as long as the key is: tells a wrong key, and tells nothing
        about the right one.
    """

    def __init__(
        self,
        spark: SparkSession,
        key: bytes,
        columns: Mapping[str, ProtectionConfig],
        pseudonyms: bool = True,
    ) -> None:
        self.columns = dict(columns)
        self.pseudonyms = pseudonyms
        self.fingerprint = _digest(key, b"check").hex()
        derived = {use: _digest(key, use.encode("ascii")) for use in _HASHES}
        row: dict[str, bytes] = {"_key_encrypt": _digest(key, b"encrypt")}
        for use, bits in derived.items():
            padded = bits.ljust(_BLOCK_BYTES, b"\0")
            row[f"_key_{use}_inner"] = bytes(byte ^ 0x36 for byte in padded)
            row[f"_key_{use}_outer"] = bytes(byte ^ 0x5C for byte in padded)
        schema = ", ".join(f"{name} BINARY" for name in row)
        self._keys = spark.createDataFrame([tuple(map(bytearray, row.values()))], schema)

    @classmethod
    def open(cls, spark: SparkSession, config: Config) -> "Protection | None":
        """The protection that the configuration asks for; None where it has no ``privacy``.

        Raises
        ------
        ConfigError
            See :func:`check_columns`.
        PrivacyError
            See :func:`load_key`.
        """
        if config.privacy is None:
            return None
        check_columns(config)
        key = load_key(config.privacy, spark)
        return cls(spark, key, config.privacy.columns, config.privacy.user_id == "hash")

    def apply(self, table: Table, rows: DataFrame) -> DataFrame:
        """The same rows and columns, without what must not be stored.

        Parameters
        ----------
        rows
            The columns of ``table`` that sources give, typed; others pass through.

        Returns
        -------
        DataFrame
            ``user_id`` is a pseudonym: lower-case hex of its HMAC-SHA-256; NULL stays NULL.
            Configured columns are NULL (drop), hex of an HMAC with another key (hash), the
            lower bound of the band, or base64 of nonce, AES-256-GCM ciphertext and tag
            (encrypt). In attributes a band is its label, such as ``18-24``, and what is dropped
            or in no band is absent. A value that the contract does not take after that, such as
            a long text encrypted, is NULL.
        """
        changed = {
            column.name: self._column(table, column.name, ways).cast(column.type)
            for column in table.given
            if (ways := protected_columns(table, self.columns).get(column.name))
        }
        checks = {
            column.name: F.when(F.expr(column.condition), F.col(column.name))
            for column in table.given
            if column.name in changed and column.condition and not column.required
        }
        if self.pseudonyms and "user_id" in table.column_names:
            changed["user_id"] = hmac_hex(F.col("user_id"), "user_id")
        if not changed:
            return rows
        return self._with_keys(rows).withColumns(changed).withColumns(checks).select(rows.columns)

    def reveal(self, table: Table, rows: DataFrame) -> DataFrame:
        """The same rows with encrypted columns in plain text; others cannot be undone.

        A value that this key did not encrypt stays as it is.
        """
        changed: dict[str, Column] = {}
        for name, ways in protected_columns(table, self.columns).items():
            sealed = [key for key, way in ways.items() if way.how == "encrypt"]
            if sealed:
                whole = None in sealed
                changed[name] = _decrypted(F.col(name)) if whole else _unsealed(name, sealed)
        return self._with_keys(rows).withColumns(changed).select(rows.columns) if changed else rows

    def erasure_hash(self, rows: DataFrame, column: str = "user_id") -> DataFrame:
        """Add ``_id_hash``: what ``clean.erasures`` holds of the raw user id in ``column``."""
        return self._hashed(rows, column, "erasure", "_id_hash")

    def pseudonym(self, rows: DataFrame, column: str = "user_id") -> DataFrame:
        """Add ``_pseudonym``: what the tables hold in place of the raw user id in ``column``."""
        return self._hashed(rows, column, "user_id", "_pseudonym")

    def _hashed(self, rows: DataFrame, column: str, use: str, name: str) -> DataFrame:
        hashed = self._with_keys(rows).withColumn(name, hmac_hex(F.col(column), use))
        return hashed.select(*rows.columns, name)

    def _with_keys(self, rows: DataFrame) -> DataFrame:
        return rows.crossJoin(F.broadcast(self._keys))

    def _column(
        self, table: Table, name: str, ways: Mapping[str | None, ProtectionConfig]
    ) -> Column:
        """What is stored of a column, of which the whole or some attributes are protected."""
        whole = ways.get(None)
        if whole is None:
            return self._attributes(table, name, {key: ways[key] for key in ways if key})
        if whole.how == "drop":
            return F.lit(None)
        if whole.how == "band":
            return lower_bound(F.col(name), whole.bands)
        return self._protect(table, name, F.col(name), whole)

    def _protect(self, table: Table, name: str, value: Column, way: ProtectionConfig) -> Column:
        """What is stored of a text value, by the way configured for it."""
        if way.how == "hash":
            return hmac_hex(value, "column")
        if way.how == "encrypt":
            return _encrypted(table, name, value)
        if way.how == "band":
            return band_label(value, way.bands)
        return F.lit(None).cast("string")

    def _attributes(self, table: Table, name: str, ways: Mapping[str, ProtectionConfig]) -> Column:
        def protect(key: Column, value: Column) -> Column:
            result = value
            for attribute, way in ways.items():
                protected = self._protect(table, f"{name}.{attribute}", value, way)
                result = F.when(key == attribute, protected).otherwise(result)
            return result

        gone = [attribute for attribute, way in ways.items() if way.how in ("drop", "band")]
        return F.map_filter(
            F.transform_values(name, protect),
            lambda key, value: ~key.isin(gone) | value.isNotNull(),
        )


def hmac_hex(value: Column, use: str) -> Column:
    """HMAC-SHA-256 (RFC 2104) of a text's UTF-8 bytes, with the key columns of ``use``."""
    inner = F.sha2(F.concat(F.col(f"_key_{use}_inner"), value.cast("binary")), 256)
    return F.sha2(F.concat(F.col(f"_key_{use}_outer"), F.unhex(inner)), 256)


def _encrypted(table: Table, name: str, value: Column) -> Column:
    """AES-256-GCM with a nonce that follows from user, column and value.

    A random nonce would make every load change every row. With this one equal values of one
    user are seen to be equal, those of two users are not.
    """
    parts = [F.lit(f"{table.name}.{name}"), value]
    if "user_id" in table.column_names:
        parts.insert(1, F.coalesce(F.col("user_id"), F.lit("")))
    # Ids hold no character 0: the contract refuses it.
    nonce = F.substring(F.unhex(hmac_hex(F.concat_ws("\0", *parts), "nonce")), 1, 12)
    sealed = F.aes_encrypt(value, F.col("_key_encrypt"), F.lit("GCM"), F.lit("DEFAULT"), nonce)
    # Spark's base64 breaks lines unless it is configured not to.
    return F.translate(F.base64(sealed), "\r\n", "")


def _decrypted(value: Column) -> Column:
    bits = F.try_to_binary(value, F.lit("base64"))
    plain = F.try_aes_decrypt(bits, F.col("_key_encrypt"), F.lit("GCM"), F.lit("DEFAULT"))
    return F.coalesce(plain.cast("string"), value)


def _unsealed(name: str, attributes: Sequence[str | None]) -> Column:
    def unseal(key: Column, value: Column) -> Column:
        return F.when(key.isin(list(attributes)), _decrypted(value)).otherwise(value)

    return F.transform_values(name, unseal)


def _digest(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")
