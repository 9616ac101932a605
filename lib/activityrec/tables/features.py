"""The contracts of the feature tables."""

from collections.abc import Sequence

from activityrec.config import Config, FeaturesConfig, RetrievalConfig
from activityrec.tables.attributes import attribute_columns
from activityrec.tables.contract import (
    ACTIVITY_ID,
    AS_OF,
    SNAPSHOT,
    USER_ID,
    Column,
    Table,
    an_id,
    finite,
    probability,
)

USER_DAILY = Table(
    "features",
    "user_daily",
    "Events folded by day: what the snapshots are computed from.",
    (
        Column("event_date", "DATE", "day, UTC", True, stats=True),
        USER_ID,
        Column("event_type", "STRING", "type of the events", True, stats=True),
        an_id("product_id", "the product that they concern", False),
        an_id("activity_id", "the activity that they concern", False),
        Column("events", "BIGINT", "number of events", True, "events > 0"),
        finite("quantity", "units", True),
        finite("amount", "money", True),
        finite("priced_amount", "money of the events that have a quantity", True),
    ),
    key=("event_date", "user_id", "event_type", "product_id", "activity_id"),
    cluster_by=("event_date",),
)


def user_features(config: Config) -> Table:
    """Contract of ``features.user_features``: its columns follow attributes, event types and
    windows."""
    features = config.features
    columns = [
        SNAPSHOT,
        USER_ID,
        Column("observed_days", "INT", "days that the log covers before", True),
        Column("age_band", "STRING", "band of the age; 'unknown' where the age is", True),
        Column("gender", "STRING", "gender; 'unknown' where it is", True),
    ]
    columns += attribute_columns(config.attributes, "users")
    for kind in features.event_types:
        for suffix, span in _spans(features.windows):
            columns += [
                finite(f"{kind}_count_{suffix}", f"{kind} events {span}", True),
                finite(f"{kind}_amount_{suffix}", f"money of {kind} events {span}", True),
                finite(f"{kind}_products_{suffix}", f"distinct products of {kind} {span}", True),
                finite(f"{kind}_days_{suffix}", f"days with a {kind} event {span}", True),
            ]
        columns += [
            Column(f"{kind}_recency_days", "INT", f"days since the last {kind}; NULL: never"),
            finite(f"{kind}_frequency", f"days with a {kind} event per observed day", True),
        ]
    columns += [
        finite("shown", "exposures before", True),
        finite("answered", "exposures answered before", True),
        probability("response_rate", "answered share of the exposures whose response window "
                     "has closed, smoothed towards the rate of all users"),
    ]  # fmt: skip
    return Table(
        "features",
        "user_features",
        "Users at a snapshot.",
        tuple(columns),
        key=("snapshot_date", "user_id"),
        cluster_by=("snapshot_date",),
    )


def _spans(windows: Sequence[int | str]) -> list[tuple[str, str]]:
    """(column suffix, words) of each window, and of all time."""
    recent = [(f"{days}d", f"in the {days} days before") for days in windows]
    return [*recent, ("all", "before")]


_ACTIVITY_COLUMNS = (
    SNAPSHOT,
    ACTIVITY_ID,
    Column("activity_type", "STRING", "kind of activity", True),
    finite("length_days", "days from start to end; NULL: without end"),
    Column("days_since_start", "INT", "days since its start; negative: planned", True),
    Column("eligible_products", "BIGINT", "number of eligible products", True),
    Column("offers", "BIGINT", "number of offers", True),
    finite("price_level", "mean of ln(1 + unit price) over eligible products sold before; "
            "NULL: none was"),
    Column("type_exposures", "BIGINT", "closed exposures of its type", True),
    probability("type_response_rate", "answered share of them, smoothed towards that of all "
                 "types; NULL: no exposure has closed yet"),
    Column("activity_exposures", "BIGINT", "closed exposures of itself", True),
    probability("activity_response_rate", "answered share of them, smoothed towards that of its "
                 "type; NULL: no exposure has closed yet"),
    Column("responders", "BIGINT", "users who have responded to this activity", True),
)  # fmt: skip


def activity_features(config: Config) -> Table:
    """Contract of ``features.activity_features``: its columns follow the attributes."""
    return Table(
        "features",
        "activity_features",
        "Activities that are live or planned at a snapshot.",
        (
            *_ACTIVITY_COLUMNS,
            *attribute_columns(config.attributes, "activities"),
            *attribute_columns(config.attributes, "products"),
        ),
        key=("snapshot_date", "activity_id"),
        cluster_by=("snapshot_date",),
    )


def affinity_columns(features: FeaturesConfig) -> tuple[Column, ...]:
    """The columns that cross a user's events with what an activity covers."""
    columns = []
    for kind in features.affinity_types:
        for scope, words in (
            ("eligible", "on its eligible products"),
            ("category", "in the categories of its eligible products"),
        ):
            columns += [
                finite(f"{kind}_{scope}_count", f"{kind} events {words} before", True),
                finite(f"{kind}_{scope}_amount", "money of these", True),
                finite(f"{kind}_{scope}_share", f"their share of all money of {kind}", True),
                finite(f"{kind}_{scope}_products", "distinct products of these", True),
            ]
        for days in features.affinity_windows:
            words = f"on its eligible products in the {days} days before"
            columns += [
                finite(f"{kind}_eligible_count_{days}d", f"{kind} events {words}", True),
                finite(f"{kind}_eligible_amount_{days}d", "money of these", True),
            ]
    return tuple(columns)


def user_activity_features(features: FeaturesConfig) -> Table:
    """Contract of ``features.user_activity_features``: its columns follow the event types."""
    return Table(
        "features",
        "user_activity_features",
        "What a user did before with what an activity covers, for every exposure.",
        (SNAPSHOT, USER_ID, ACTIVITY_ID, *affinity_columns(features)),
        key=("snapshot_date", "user_id", "activity_id"),
        cluster_by=("snapshot_date",),
    )


PROGRESS = Table(
    "features",
    "progress",
    "What user_daily and the snapshots were last made from: the next run makes what differs.",
    (
        Column("table_name", "STRING", "a clean table, or a feature table made of them", True),
        Column("generation", "STRING", "tells the table from one made anew", True),
        Column("version", "BIGINT", "its Delta version", True),
        AS_OF,
        Column("settings", "STRING", "hash of the settings that features depend on", True),
    ),
    key=("table_name",),
)

_FITTED = Column("fitted_date", "DATE", "fitted to what happened before this day", True, stats=True)
_SETTINGS = Column(
    "settings", "STRING", "hash of the retrievers' settings: those of a challenger and of the "
    "champion stand side by side", True, stats=True,
)  # fmt: skip
_RETRIEVER = Column("retriever", "STRING", "name of the retriever", True, stats=True)
_VECTOR = (
    Column("indices", "ARRAY<INT>", "places of the values in a sparse vector; NULL: dense"),
    Column("vector", "ARRAY<FLOAT>", "values", True),
)

USER_VECTORS = Table(
    "features",
    "user_vectors",
    "Vectors of users, by retriever and the day at which it was fitted.",
    (_FITTED, _RETRIEVER, USER_ID, *_VECTOR, _SETTINGS),
    key=("fitted_date", "settings", "retriever", "user_id"),
    cluster_by=("fitted_date", "retriever"),
)

ITEM_VECTORS = Table(
    "features",
    "item_vectors",
    "Vectors of products and activities, by retriever and the day at which it was fitted.",
    (
        _FITTED,
        _RETRIEVER,
        Column("item_kind", "STRING", "product or activity", True,
               "item_kind IN ('product', 'activity')"),
        an_id("item_id", "product_id or activity_id"),
        Column("users", "BIGINT", "users who interacted with it", True),
        *_VECTOR,
        _SETTINGS,
    ),
    key=("fitted_date", "settings", "retriever", "item_kind", "item_id"),
    cluster_by=("fitted_date", "retriever"),
)  # fmt: skip


USER_SEGMENTS = Table(
    "features",
    "user_segments",
    "Segments of users, where the configuration has any, by the day at which they were fitted.",
    (
        _FITTED,
        USER_ID,
        Column("segment", "INT", "0, 1, ...: the more its users do, the higher", True),
        _SETTINGS,
    ),
    key=("fitted_date", "settings", "user_id"),
    cluster_by=("fitted_date",),
)


def retrieval_columns(config: RetrievalConfig) -> tuple[Column, ...]:
    """What each retriever says of a pair, and the user's segment."""
    columns = []
    if config.segments is not None:
        text = "segment of the user by the last fit before; NULL: it does not know the user"
        columns.append(Column("segment", "STRING", text))
    for name in config.weights:
        score = f"score by the last {name} fitted before; 0: it does not know the user or activity"
        rank = "place by it among the activities of the day, from 1; ties share their mean"
        columns += [
            Column(f"{name}_score", "DOUBLE", score, True),
            Column(f"{name}_rank", "DOUBLE", rank, True),
        ]
    return tuple(columns)


def training_examples(config: Config) -> Table:
    """Contract of ``features.training_examples``: an exposure, all its features, its label."""
    of_user = user_features(config).columns[2:]
    of_activity = activity_features(config).columns[2:]
    return Table(
        "features",
        "training_examples",
        "Exposures whose response window closed before as_of, or the responses and unanswered "
        "activities that stand in for them, with their features.",
        (
            AS_OF,
            USER_ID,
            ACTIVITY_ID,
            Column("exposure_ts", "TIMESTAMP", "when it was shown or sent", True, stats=True),
            Column("label", "INT", "1: answered inside the response window", True,
                   "label IN (0, 1)"),
            Column("weight", "DOUBLE", "for how many candidates it stands: 1, or more for one "
                   "that was sampled", True, "weight > 0"),
            SNAPSHOT,
            *of_user,
            *of_activity,
            *affinity_columns(config.features),
            *retrieval_columns(config.retrieval),
        ),
        key=("as_of", "user_id", "activity_id", "exposure_ts"),
        cluster_by=("as_of",),
    )  # fmt: skip
