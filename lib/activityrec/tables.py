"""The contracts of all tables: columns with comments, keys, checks, clustering.

One declaration makes the DDL, the CHECK constraints, the validation of incoming rows and
``docs/tables.md``. A check is a Spark SQL condition on its column, which holds for NULL too.
Columns with ``stats`` are those whose minimum and maximum Delta may keep for data skipping;
never one that identifies a user, so that erasing a user leaves no trace in the log.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from activityrec.config import FeaturesConfig


@dataclass(frozen=True)
class Column:
    """One column: ``type`` is Spark SQL; ``check`` a condition that a value must meet.

    ``default`` says in words what stands in for a missing value; ``ingest`` puts it there.
    """

    name: str
    type: str
    comment: str
    required: bool = False
    check: str | None = None
    stats: bool = False
    default: str | None = None


@dataclass(frozen=True)
class Table:
    """One table.

    ``key`` identifies a row; ``checks`` are named conditions across columns; ``references``
    are columns whose value must be the key of another clean table. An ``entity`` may be
    described by several sources, each giving some of its columns.
    """

    schema: str
    name: str
    comment: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    cluster_by: tuple[str, ...] = ()
    checks: tuple[tuple[str, str], ...] = ()
    references: tuple[tuple[str, str], ...] = ()
    entity: bool = False

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def column_names(self) -> list[str]:
        return [column.name for column in self.columns]

    def conditions(self) -> list[tuple[str, str]]:
        """(name, SQL condition) of every CHECK constraint, true for NULL."""
        of_columns = [
            (f"{column.name}_valid", f"{column.name} IS NULL OR ({column.check})")
            for column in self.columns
            if column.check
        ]
        return of_columns + [(name, f"({sql}) IS NOT FALSE") for name, sql in self.checks]


def _id(name: str, comment: str, required: bool = True, stats: bool = False) -> Column:
    return Column(name, "STRING", comment, required, f"{name} != ''", stats)


def _finite(name: str, comment: str, required: bool = False) -> Column:
    finite = f"{name} >= 0 AND {name} < double('Infinity')"
    return Column(name, "DOUBLE", comment, required, finite)


def _probability(name: str, comment: str) -> Column:
    return Column(name, "DOUBLE", comment, check=f"{name} BETWEEN 0 AND 1")


_USER_ID = _id("user_id", "the user")
_ACTIVITY_ID = _id("activity_id", "the activity", stats=True)
_RUN_ID = _id("run_id", "the run that wrote the row", stats=True)
_AS_OF = Column("as_of", "DATE", "the run knows nothing from this day on", True, stats=True)
_SNAPSHOT = Column(
    "snapshot_date", "DATE", "computed from what happened before this day", True, stats=True
)

USERS = Table(
    "clean",
    "users",
    "Users and their profile.",
    (
        _USER_ID,
        Column("age", "INT", "age in years; the lower bound where a band is known", False,
               "age BETWEEN 0 AND 130"),
        Column("gender", "STRING", "gender as the source has it"),
        Column("attributes", "MAP<STRING, STRING>", "further attributes of the profile"),
    ),
    key=("user_id",),
    entity=True,
)  # fmt: skip

PRODUCTS = Table(
    "clean",
    "products",
    "What is sold.",
    (
        _id("product_id", "the product", stats=True),
        Column("name", "STRING", "name for people"),
        Column("category", "STRING", "category; NULL where unknown"),
        Column("brand", "STRING", "brand"),
    ),
    key=("product_id",),
    entity=True,
)

ACTIVITIES = Table(
    "clean",
    "activities",
    "Activities: live from start_ts until before end_ts.",
    (
        _ACTIVITY_ID,
        Column("activity_type", "STRING", "kind of activity", True),
        Column("name", "STRING", "name for people"),
        Column("start_ts", "TIMESTAMP", "first instant at which it is live", True, stats=True),
        Column("end_ts", "TIMESTAMP", "first instant at which it is over; NULL: without end",
               stats=True),
        Column("channel", "STRING", "channel it is sent by"),
        _finite("cost", "cost of one exposure, in the currency of the data"),
        _finite("budget", "budget, in the currency of the data"),
        Column("target", "MAP<STRING, ARRAY<STRING>>",
               "target group: for each attribute of the profile the values that are in it; "
               "NULL: everyone"),
    ),
    key=("activity_id",),
    entity=True,
    checks=(("start_before_end", "start_ts < end_ts"),),
)  # fmt: skip

ACTIVITY_PRODUCTS = Table(
    "clean",
    "activity_products",
    "Which products are eligible in which activity, by which offer.",
    (
        _ACTIVITY_ID,
        _id("offer_id", "coupon or deal inside the activity; NULL: it has no parts", False),
        _id("product_id", "the eligible product", stats=True),
    ),
    key=("activity_id", "offer_id", "product_id"),
    references=(("activity_id", "activities"),),
)

EVENTS = Table(
    "clean",
    "events",
    "What users did.",
    (
        _id("event_id", "the event"),
        _USER_ID,
        Column("event_type", "STRING", "view, purchase, comment, ...", True,
               "event_type RLIKE '^[a-z][a-z0-9_]*$'", stats=True),
        Column("event_ts", "TIMESTAMP", "when it happened, UTC", True, stats=True),
        _id("product_id", "the product that it concerns", False),
        _id("activity_id", "the activity that it concerns", False),
        _id("offer_id", "the offer that it concerns", False),
        _finite("quantity", "units; NULL where the source's figure is none"),
        _finite("amount", "money, in the currency of the data"),
        Column("text", "STRING", "what the user wrote"),
    ),
    key=("event_id",),
    cluster_by=("event_ts",),
)  # fmt: skip

EXPOSURES = Table(
    "clean",
    "exposures",
    "Which activity was shown or sent to which user, and when.",
    (
        _USER_ID,
        _ACTIVITY_ID,
        Column("exposure_ts", "TIMESTAMP", "when it was shown or sent, UTC", True, stats=True,
               default="the activity's start_ts"),
        Column("channel", "STRING", "channel it went by"),
        Column("position", "INT", "place in the list, from 1", check="position >= 1"),
        _probability("propensity", "probability that the policy in force chose it; "
                     "NULL: not logged"),
    ),
    key=("user_id", "activity_id", "exposure_ts"),
    cluster_by=("exposure_ts",),
    references=(("activity_id", "activities"),),
)  # fmt: skip

QUARANTINE = Table(
    "clean",
    "quarantine",
    "Rows that broke a contract, with what they broke.",
    (
        Column("table_name", "STRING", "the clean table that refused the row", True, stats=True),
        Column("source", "STRING", "path of the source", True),
        Column("reasons", "ARRAY<STRING>", "every rule that the row broke", True),
        Column("row", "STRING", "the row as JSON, after the column expressions", True),
        Column("occurrences", "BIGINT", "how often the source holds this row", True),
    ),
    key=("table_name", "source", "row"),
)

CLEAN = (USERS, PRODUCTS, ACTIVITIES, ACTIVITY_PRODUCTS, EVENTS, EXPOSURES)

USER_DAILY = Table(
    "features",
    "user_daily",
    "Events folded by day: what the snapshots are computed from.",
    (
        Column("event_date", "DATE", "day, UTC", True, stats=True),
        _USER_ID,
        Column("event_type", "STRING", "type of the events", True, stats=True),
        _id("product_id", "the product that they concern", False),
        _id("activity_id", "the activity that they concern", False),
        Column("events", "BIGINT", "number of events", True, "events > 0"),
        _finite("quantity", "units", True),
        _finite("amount", "money", True),
        _finite("priced_amount", "money of the events that have a quantity", True),
    ),
    key=("event_date", "user_id", "event_type", "product_id", "activity_id"),
    cluster_by=("event_date",),
)


def user_features(features: FeaturesConfig) -> Table:
    """Contract of ``features.user_features``: its columns follow event types and windows."""
    columns = [
        _SNAPSHOT,
        _USER_ID,
        Column("observed_days", "INT", "days that the log covers before", True),
        Column("age_band", "STRING", "band of the age; 'unknown' where the age is", True),
        Column("gender", "STRING", "gender; 'unknown' where it is", True),
    ]
    columns += [
        Column(f"attribute_{name}", "STRING", f"profile attribute {name}; 'unknown' if NULL", True)
        for name in features.user_attributes
    ]
    for kind in features.event_types:
        for suffix, span in _spans(features.windows):
            columns += [
                _finite(f"{kind}_count_{suffix}", f"{kind} events {span}", True),
                _finite(f"{kind}_amount_{suffix}", f"money of {kind} events {span}", True),
                _finite(f"{kind}_products_{suffix}", f"distinct products of {kind} {span}", True),
                _finite(f"{kind}_days_{suffix}", f"days with a {kind} event {span}", True),
            ]
        columns += [
            Column(f"{kind}_recency_days", "INT", f"days since the last {kind}; NULL: never"),
            _finite(f"{kind}_frequency", f"days with a {kind} event per observed day", True),
        ]
    columns += [
        _finite("shown", "exposures before", True),
        _finite("answered", "exposures answered before", True),
        _probability("response_rate", "answered share of the exposures whose response window "
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


ACTIVITY_FEATURES = Table(
    "features",
    "activity_features",
    "Activities that are live or planned at a snapshot.",
    (
        _SNAPSHOT,
        _ACTIVITY_ID,
        Column("activity_type", "STRING", "kind of activity", True),
        _finite("length_days", "days from start to end; NULL: without end"),
        Column("days_since_start", "INT", "days since its start; negative: planned", True),
        Column("eligible_products", "BIGINT", "number of eligible products", True),
        Column("offers", "BIGINT", "number of offers", True),
        _finite("price_level", "mean of ln(1 + unit price) over eligible products sold before; "
                "NULL: none was"),
        Column("type_exposures", "BIGINT", "closed exposures of its type", True),
        _probability("type_response_rate", "answered share of them, smoothed towards that of all "
                     "types; NULL: no exposure has closed yet"),
        Column("responders", "BIGINT", "users who have responded to this activity", True),
    ),
    key=("snapshot_date", "activity_id"),
    cluster_by=("snapshot_date",),
)  # fmt: skip


def affinity_columns(features: FeaturesConfig) -> tuple[Column, ...]:
    """The columns that cross a user's events with what an activity covers."""
    columns = []
    for kind in features.affinity_types:
        for scope, words in (
            ("eligible", "on its eligible products"),
            ("category", "in the categories of its eligible products"),
        ):
            columns += [
                _finite(f"{kind}_{scope}_count", f"{kind} events {words} before", True),
                _finite(f"{kind}_{scope}_amount", "money of these", True),
                _finite(f"{kind}_{scope}_share", f"their share of all money of {kind}", True),
                _finite(f"{kind}_{scope}_products", "distinct products of these", True),
            ]
        for days in features.affinity_windows:
            words = f"on its eligible products in the {days} days before"
            columns += [
                _finite(f"{kind}_eligible_count_{days}d", f"{kind} events {words}", True),
                _finite(f"{kind}_eligible_amount_{days}d", "money of these", True),
            ]
    return tuple(columns)


def user_activity_features(features: FeaturesConfig) -> Table:
    """Contract of ``features.user_activity_features``: its columns follow the event types."""
    return Table(
        "features",
        "user_activity_features",
        "What a user did before with what an activity covers, for every exposure.",
        (_SNAPSHOT, _USER_ID, _ACTIVITY_ID, *affinity_columns(features)),
        key=("snapshot_date", "user_id", "activity_id"),
        cluster_by=("snapshot_date",),
    )


USER_VECTORS = Table(
    "features",
    "user_vectors",
    "Factors of users, by the day at which ALS was fitted.",
    (
        Column("fitted_date", "DATE", "fitted on interactions before this day", True, stats=True),
        _USER_ID,
        Column("vector", "ARRAY<FLOAT>", "factor", True),
    ),
    key=("fitted_date", "user_id"),
    cluster_by=("fitted_date",),
)

ITEM_VECTORS = Table(
    "features",
    "item_vectors",
    "Factors of products and activities, by the day at which ALS was fitted.",
    (
        Column("fitted_date", "DATE", "fitted on interactions before this day", True, stats=True),
        Column("item_kind", "STRING", "product or activity", True,
               "item_kind IN ('product', 'activity')"),
        _id("item_id", "product_id or activity_id"),
        Column("users", "BIGINT", "users who interacted with it", True),
        Column("vector", "ARRAY<FLOAT>", "factor", True),
    ),
    key=("fitted_date", "item_kind", "item_id"),
    cluster_by=("fitted_date",),
)  # fmt: skip


def training_examples(features: FeaturesConfig) -> Table:
    """Contract of ``features.training_examples``: an exposure, all its features, its label."""
    of_user = user_features(features).columns[2:]
    of_activity = ACTIVITY_FEATURES.columns[2:]
    return Table(
        "features",
        "training_examples",
        "Exposures whose response window closed before as_of, with their features.",
        (
            _AS_OF,
            _USER_ID,
            _ACTIVITY_ID,
            Column("exposure_ts", "TIMESTAMP", "when it was shown or sent", True, stats=True),
            Column("label", "INT", "1: answered inside the response window", True,
                   "label IN (0, 1)"),
            _SNAPSHOT,
            *of_user,
            *of_activity,
            *affinity_columns(features),
            Column("als_score", "DOUBLE", "score by the last ALS fitted before the exposure", True),
        ),
        key=("as_of", "user_id", "activity_id", "exposure_ts"),
        cluster_by=("as_of",),
    )  # fmt: skip


RECOMMENDATIONS = Table(
    "serving",
    "recommendations",
    "The activities recommended to each user, best first.",
    (
        _RUN_ID,
        _AS_OF,
        _USER_ID,
        Column("rank", "INT", "place in the user's list, from 1", True, "rank >= 1"),
        _ACTIVITY_ID,
        Column("score", "DOUBLE", "what the list is ordered by", True),
        _probability("probability", "probability of a response; NULL: no ranker was trained"),
        Column("als_score", "DOUBLE", "score of the ALS retriever", True),
        _finite("affinity_products", "distinct eligible products that the user bought before"),
        _finite("affinity_amount", "money spent on these"),
        Column("offers", "ARRAY<STRING>", "the user's best offers of the activity, best first",
               True),
        Column("products", "ARRAY<STRING>", "the user's best eligible products, best first", True),
        Column("model", "STRING", "model and version that ordered the list", True),
    ),
    key=("run_id", "user_id", "activity_id"),
    cluster_by=("run_id",),
)  # fmt: skip

AUDIENCES = Table(
    "serving",
    "audiences",
    "The users of each live or planned activity, best first.",
    (
        _RUN_ID,
        _AS_OF,
        _ACTIVITY_ID,
        Column("rank", "INT", "place in the activity's audience, from 1", True, "rank >= 1"),
        _USER_ID,
        Column("score", "DOUBLE", "what the audience is ordered by", True),
        _probability("probability", "probability of a response; NULL: no ranker was trained"),
        Column("model", "STRING", "model and version that ordered it", True),
    ),
    key=("run_id", "activity_id", "user_id"),
    cluster_by=("run_id",),
)

PUBLICATIONS = Table(
    "serving",
    "publications",
    "One row makes a run the current one for readers: the latest by published_ts.",
    (
        _RUN_ID,
        _AS_OF,
        Column("published_ts", "TIMESTAMP", "when it was published", True, stats=True),
        Column("model", "STRING", "model and version of its lists", True),
        Column("users", "BIGINT", "users with a list", True),
        Column("recommendations", "BIGINT", "rows of recommendations", True),
        Column("audiences", "BIGINT", "rows of audiences", True),
    ),
    key=("run_id", "published_ts"),
)

METRICS = Table(
    "serving",
    "metrics",
    "What the evaluation found.",
    (
        _RUN_ID,
        _AS_OF,
        Column("model", "STRING", "ranker, or the baseline beside it", True, stats=True),
        Column("metric", "STRING", "name of the metric", True, stats=True),
        Column("population", "STRING",
               "all: every exposure in the horizon; closed: those whose response window closed "
               "before the data end; lists: the lists made at as_of", True, stats=True),
        Column("k", "INT", "length of the list that it looks at; NULL: none"),
        Column("value", "DOUBLE", "its value; NULL: not defined, as without positives"),
        Column("rows", "BIGINT", "exposures, or list rows, that it was computed from", True),
        Column("positives", "BIGINT", "answered ones among them", True),
        Column("groups", "BIGINT", "users or activities averaged over; NULL: pooled"),
    ),
    key=("run_id", "model", "metric", "population", "k"),
    cluster_by=("run_id",),
)  # fmt: skip

SCORED_EXPOSURES = Table(
    "serving",
    "scored_exposures",
    "Exposures after as_of with the scores that the frozen models gave them.",
    (
        _RUN_ID,
        _AS_OF,
        _USER_ID,
        _ACTIVITY_ID,
        Column("exposure_ts", "TIMESTAMP", "when it was shown or sent", True, stats=True),
        Column("label", "INT", "1: answered inside the response window", True, "label IN (0, 1)"),
        Column("censored", "BOOLEAN",
               "the response window had not closed when the data end", True),
        _probability("ranker", "the ranker's probability"),
        _probability("popularity", "response rate of the activity's type"),
        _probability("past_rate", "the user's smoothed past response rate"),
        Column("affinity", "DOUBLE", "money spent before on its eligible products"),
        Column("als", "DOUBLE", "score of the ALS retriever"),
    ),
    key=("run_id", "user_id", "activity_id", "exposure_ts"),
    cluster_by=("run_id",),
)  # fmt: skip

SERVING = (RECOMMENDATIONS, AUDIENCES, PUBLICATIONS, METRICS, SCORED_EXPOSURES)


def all_tables(features: FeaturesConfig) -> list[Table]:
    """Every table of a deployment with these features, in the order in which data flow."""
    return [
        *CLEAN,
        QUARANTINE,
        USER_DAILY,
        user_features(features),
        ACTIVITY_FEATURES,
        user_activity_features(features),
        USER_VECTORS,
        ITEM_VECTORS,
        training_examples(features),
        *SERVING,
    ]
