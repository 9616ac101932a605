"""The contracts of the clean tables."""

from activityrec.tables.contract import (
    ACTIVITY_ID,
    BATCH_ID,
    LINEAGE,
    USER_ID,
    Column,
    Reference,
    Table,
    an_id,
    finite,
    probability,
    text,
)

ATTRIBUTES = Column("attributes", "MAP<STRING, STRING>", "further attributes, by name")

USERS = Table(
    "clean",
    "users",
    "Users and their profile.",
    (
        USER_ID,
        Column("age", "INT", "age in years; the lower bound where a band is known", False,
               "age BETWEEN 0 AND 130"),
        text("gender", "gender as the source has it"),
        ATTRIBUTES,
        *LINEAGE,
    ),
    key=("user_id",),
    entity=True,
)  # fmt: skip

PRODUCTS = Table(
    "clean",
    "products",
    "What is sold.",
    (
        an_id("product_id", "the product", stats=True),
        text("name", "name for people"),
        text("category", "category; NULL where unknown"),
        text("brand", "brand"),
        ATTRIBUTES,
        *LINEAGE,
    ),
    key=("product_id",),
    entity=True,
)

ACTIVITIES = Table(
    "clean",
    "activities",
    "Activities: live from start_ts until before end_ts.",
    (
        ACTIVITY_ID,
        text("activity_type", "kind of activity", True),
        text("name", "name for people"),
        Column("start_ts", "TIMESTAMP", "first instant at which it is live", True, stats=True),
        Column("end_ts", "TIMESTAMP", "first instant at which it is over; NULL: without end",
               stats=True),
        text("channel", "channel it is sent by"),
        finite("cost", "cost of one exposure, in the currency of the data"),
        finite("budget", "budget, in the currency of the data"),
        Column("target", "MAP<STRING, ARRAY<STRING>>",
               "target group: for each attribute of the profile the values that are in it; "
               "NULL: everyone"),
        ATTRIBUTES,
        *LINEAGE,
    ),
    key=("activity_id",),
    entity=True,
    change_feed=True,
    checks=(("start_before_end", "start_ts < end_ts"),),
)  # fmt: skip

ACTIVITY_PRODUCTS = Table(
    "clean",
    "activity_products",
    "Which products are eligible in which activity, by which offer.",
    (
        ACTIVITY_ID,
        an_id("offer_id", "coupon or deal inside the activity; NULL: it has no parts", False),
        an_id("product_id", "the eligible product", stats=True),
        *LINEAGE,
    ),
    key=("activity_id", "offer_id", "product_id"),
    references=(
        Reference("activity_id", "activities", "quarantine"),
        Reference("product_id", "products", "keep"),
    ),
    change_feed=True,
)

EVENTS = Table(
    "clean",
    "events",
    "What users did.",
    (
        an_id("event_id", "the event"),
        USER_ID,
        Column("event_type", "STRING", "view, purchase, comment, ...", True,
               "event_type RLIKE '^[a-z][a-z0-9_]*$'"),
        Column("event_ts", "TIMESTAMP", "when it happened, UTC", True, stats=True, occurred=True),
        an_id("product_id", "the product that it concerns", False),
        an_id("activity_id", "the activity that it concerns", False),
        an_id("offer_id", "the offer that it concerns", False),
        finite("quantity", "units; NULL where the source's figure is none"),
        finite("amount", "money, in the currency of the data"),
        text("text", "what the user wrote", max_length=20_000),
        *LINEAGE,
    ),
    key=("event_id",),
    cluster_by=("event_ts",),
    references=(
        Reference("user_id", "users", "keep"),
        Reference("product_id", "products", "keep"),
        Reference("activity_id", "activities", "keep"),
    ),
    change_feed=True,
)  # fmt: skip

EXPOSURES = Table(
    "clean",
    "exposures",
    "Which activity was shown or sent to which user, and when.",
    (
        USER_ID,
        ACTIVITY_ID,
        Column("exposure_ts", "TIMESTAMP", "when it was shown or sent, UTC", True, stats=True,
               default="the activity's start_ts", occurred=True),
        text("channel", "channel it went by"),
        Column("position", "INT", "place in the list, from 1", check="position >= 1"),
        probability("propensity", "probability that the policy in force chose it; "
                     "NULL: not logged"),
        *LINEAGE,
    ),
    key=("user_id", "activity_id", "exposure_ts"),
    cluster_by=("exposure_ts",),
    references=(
        Reference("activity_id", "activities", "quarantine"),
        Reference("user_id", "users", "keep"),
    ),
    change_feed=True,
)  # fmt: skip

_TABLE_NAME = Column("table_name", "STRING", "the clean table", True, stats=True)
_LOADED_TS = Column("loaded_ts", "TIMESTAMP", "when the load began, UTC", True, stats=True)

QUARANTINE = Table(
    "clean",
    "quarantine",
    "Rows that broke a rule; ingest --replay-quarantine feeds them again.",
    (
        _TABLE_NAME,
        Column("source", "STRING", "name of the source", True),
        Column("file", "STRING", "path of the file; NULL where the source has no files"),
        Column("reasons", "ARRAY<STRING>", "every rule that the row broke", True),
        Column("row", "STRING",
               "the row as JSON, as the source has it; with privacy, after the column expressions "
               "and with personal columns protected; NULL where nothing may be kept"),
        Column("mapped", "BOOLEAN", "whether row is after the column expressions", True),
        Column("user_id", "STRING", "the user, where one could be read"),
        Column("source_order", "BIGINT", "the source's order_by, as in the clean tables"),
        Column("occurrences", "BIGINT", "how often the load held this row", True),
        BATCH_ID,
        _LOADED_TS,
    ),
    key=("batch_id", "table_name", "source", "file", "row"),
    cluster_by=("loaded_ts",),
)  # fmt: skip

BATCHES = Table(
    "clean",
    "batches",
    "What each load read, wrote and refused: rows = added + changed + copies + refused, and "
    "those that only completed a row of another source.",
    (
        BATCH_ID,
        _TABLE_NAME,
        Column("source", "STRING", "name of the source; several, where they were put together",
               True),
        Column("load", "STRING", "full, append, upsert or replay", True),
        _LOADED_TS,
        Column("files", "BIGINT", "files read; NULL where the source has none"),
        Column("rows", "BIGINT", "rows read", True),
        Column("added", "BIGINT", "rows with a new key", True),
        Column("changed", "BIGINT", "rows that replaced an older version of themselves", True),
        Column("removed", "BIGINT", "rows of the table that the source no longer has", True),
        Column("copies", "BIGINT", "rows equal to another one, or to what the table held", True),
        Column("refused", "BIGINT", "rows that went to clean.quarantine; older versions "
               "that changed rows replaced went there too, unless the load was full", True),
        Column("rules", "MAP<STRING, BIGINT>", "rows by rule broken, flags among them", True),
        Column("watermark", "STRING", "highest value of the watermark column; NULL: none"),
    ),
    key=("batch_id", "table_name"),
)  # fmt: skip

ERASURES = Table(
    "clean",
    "erasures",
    "Users that asked to be forgotten: their rows are refused from then on.",
    (
        Column("id_hash", "STRING", "keyed hash of the user's id, of no use without the key",
               True),
        Column("erased_ts", "TIMESTAMP", "when the erasure began, UTC", True, stats=True),
    ),
    key=("id_hash",),
)  # fmt: skip

CLEAN = (USERS, PRODUCTS, ACTIVITIES, ACTIVITY_PRODUCTS, EVENTS, EXPOSURES)
