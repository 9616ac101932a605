"""Which inputs of the ranker belong together: what reasons are told by."""

import re

from activityrec.config import Config
from activityrec.errors import ConfigError
from activityrec.ranking.inputs import one_hot_columns, ranker_inputs
from activityrec.tables import (
    activity_features,
    affinity_columns,
    attribute_columns,
    training_examples,
    user_features,
)

SEGMENT = "segment_popularity"
ORDER = ("retrieval", SEGMENT, "affinity", "past_responses", "history", "profile", "activity")
"""An input that reads columns of several groups belongs to the first of these."""

_NO_GROUP = {"as_of", "snapshot_date", "user_id", "activity_id", "exposure_ts", "label", "weight"}
_NO_GROUP |= {"observed_days"}  # rates divide by it
_RESPONSES = {"shown", "answered", "response_rate"}


def popular_in_segment(config: Config) -> bool:
    """Whether a retriever tells what is popular in the user's segment."""
    return config.retrieval.popularity.by_segment and "popularity" in config.retrieval.weights


def input_groups(config: Config) -> dict[str, str]:
    """Group of each input and of each one-hot column, by its name.

    Those of ``ranker.groups``; for the others the group of the columns that its expression
    reads: ``history`` of the user's events, ``past_responses`` to exposures, ``profile``,
    ``affinity`` with what the activity covers, the ``activity`` itself, scores of ``retrieval``;
    ``segment_popularity`` is what popularity says where it is that in the user's segment.

    Raises
    ------
    ConfigError
        ``ranker.groups`` names something that is no input, or names an input twice.
    """
    expressions = {name: name for name in one_hot_columns(config)} | ranker_inputs(config)
    listed = [name for names in config.ranker.groups.values() for name in names]
    if unknown := sorted(set(listed) - set(expressions)):
        raise ConfigError(f"ranker.groups: {unknown} are neither inputs nor one-hot columns")
    if twice := sorted({name for name in listed if listed.count(name) > 1}):
        raise ConfigError(f"ranker.groups: {twice} are in two groups")
    groups = _column_groups(config)
    found = {name: _first_group(sql, groups) for name, sql in expressions.items()}
    given = {name: group for group, names in config.ranker.groups.items() for name in names}
    return found | given


def activity_inputs(config: Config) -> set[str]:
    """The inputs and one-hot columns that depend on the activity, alone or with the user."""
    expressions = {name: name for name in one_hot_columns(config)} | ranker_inputs(config)
    groups = _column_groups(config)
    of_user = {"history", "past_responses", "profile"}
    columns = {name for name, group in groups.items() if group not in of_user} - {"segment"}
    return {name for name, sql in expressions.items() if columns & set(re.findall(r"\w+", sql))}


def _first_group(sql: str, groups: dict[str, str]) -> str:
    read = {groups[word] for word in re.findall(r"\w+", sql) if word in groups}
    return next((group for group in ORDER if group in read), "other")


def _column_groups(config: Config) -> dict[str, str]:
    """Group of each column of a training example."""
    profile = {column.name for column in attribute_columns(config.attributes, "users")}
    of_user = set(user_features(config).column_names) - profile
    segment = {"popularity_score", "popularity_rank"} if popular_in_segment(config) else set()
    parts = {
        "profile": profile | {"age_band", "gender"},
        "past_responses": _RESPONSES,
        "affinity": {column.name for column in affinity_columns(config.features)},
        "activity": set(activity_features(config).column_names),
        "history": of_user,
        SEGMENT: segment,
        "retrieval": set(training_examples(config).column_names),
    }
    groups: dict[str, str] = {}
    for group, names in parts.items():
        groups = dict.fromkeys(names - _NO_GROUP, group) | groups
    return groups
