"""The contracts of all tables: columns with comments, keys, checks, clustering.

One declaration makes the DDL, the CHECK constraints, the validation of incoming rows and
``docs/tables.md``. A check is a Spark SQL condition on its column, which holds for NULL too.
Columns with ``stats`` are those whose minimum and maximum Delta may keep for data skipping;
never one that identifies a user, so that erasing a user leaves no trace in the log.
"""

from activityrec.config import Config
from activityrec.tables.attributes import (
    AttributeTable,
    attribute_column,
    attribute_columns,
    band_labels,
)
from activityrec.tables.clean import (
    ACTIVITIES,
    ACTIVITY_PRODUCTS,
    BATCHES,
    CLEAN,
    ERASURES,
    EVENTS,
    EXPOSURES,
    PRODUCTS,
    QUARANTINE,
    USERS,
)
from activityrec.tables.contract import LINEAGE, Column, Orphans, Reference, Table
from activityrec.tables.evaluation import (
    COMPARISONS,
    CURVES,
    EVALUATION,
    INPUT_CHECKS,
    METRICS,
    POLICY_VALUES,
    PROMOTIONS,
)
from activityrec.tables.features import (
    ITEM_VECTORS,
    PROGRESS,
    USER_DAILY,
    USER_SEGMENTS,
    USER_VECTORS,
    activity_features,
    affinity_columns,
    retrieval_columns,
    training_examples,
    user_activity_features,
    user_features,
)
from activityrec.tables.feedback import MONITORING, PERFORMANCE
from activityrec.tables.publishing import AUDITS, EXPORTS, STAGES
from activityrec.tables.serving import (
    AUDIENCES,
    EXCLUSIONS,
    PUBLICATIONS,
    RECOMMENDATIONS,
    RULE_COUNTS,
    SCORED_EXPOSURES,
)

SERVING = (
    RECOMMENDATIONS,
    AUDIENCES,
    EXCLUSIONS,
    RULE_COUNTS,
    PUBLICATIONS,
    AUDITS,
    EXPORTS,
    STAGES,
    PERFORMANCE,
    MONITORING,
    SCORED_EXPOSURES,
    *EVALUATION,
)
"""The tables that analysts read."""

__all__ = [
    "ACTIVITIES",
    "ACTIVITY_PRODUCTS",
    "AUDIENCES",
    "AUDITS",
    "BATCHES",
    "CLEAN",
    "ERASURES",
    "EVENTS",
    "EXPORTS",
    "EXCLUSIONS",
    "EXPOSURES",
    "ITEM_VECTORS",
    "LINEAGE",
    "COMPARISONS",
    "CURVES",
    "EVALUATION",
    "INPUT_CHECKS",
    "METRICS",
    "MONITORING",
    "PERFORMANCE",
    "POLICY_VALUES",
    "PRODUCTS",
    "PROGRESS",
    "PROMOTIONS",
    "PUBLICATIONS",
    "QUARANTINE",
    "RECOMMENDATIONS",
    "RULE_COUNTS",
    "SCORED_EXPOSURES",
    "SERVING",
    "STAGES",
    "USERS",
    "USER_DAILY",
    "USER_SEGMENTS",
    "USER_VECTORS",
    "AttributeTable",
    "Column",
    "Orphans",
    "Reference",
    "Table",
    "activity_features",
    "affinity_columns",
    "all_tables",
    "attribute_column",
    "attribute_columns",
    "band_labels",
    "retrieval_columns",
    "training_examples",
    "user_activity_features",
    "user_features",
]


def all_tables(config: Config) -> list[Table]:
    """Every table of a deployment, in the order in which data flow."""
    return [
        *CLEAN,
        QUARANTINE,
        BATCHES,
        ERASURES,
        USER_DAILY,
        user_features(config),
        activity_features(config),
        user_activity_features(config.features),
        PROGRESS,
        USER_SEGMENTS,
        USER_VECTORS,
        ITEM_VECTORS,
        training_examples(config),
        *SERVING,
    ]
