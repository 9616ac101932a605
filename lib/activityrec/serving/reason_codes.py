"""Reasons as codes with figures, and in words: true to the contributions and to the features.

The ranker says how much each group of inputs adds, see :mod:`activityrec.ranking.reasons`. A group
that adds something gives a code, with the figures of the row that the code is about; a group that
takes away, or whose figures say nothing (nothing was bought), gives none. A text says a code's
figures and no more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Formatter

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec.config import Config
from activityrec.ranking.groups import SEGMENT, popular_in_segment
from activityrec.serving.reason_templates import SEPARATORS, TEMPLATES

MOST = 3
"""Reasons that a recommendation gives at most."""

_PREFIX = "figure_"
_CODES = "array<struct<code: string, figures: map<string, double>, contribution: double>>"


@dataclass(frozen=True)
class Code:
    """A code of a group: its figures, by name, and when they say something."""

    group: str
    code: str
    figures: Mapping[str, Column]
    holds: Column


def figure_columns(config: Config) -> dict[str, Column]:
    """The columns that a row needs for :func:`with_reason_codes`, from those of a candidate."""
    ranks = {
        # Of a user or an activity that a retriever does not know, the rank says nothing.
        name: F.when(F.col(f"{name}_score") > 0, F.col(f"{name}_rank"))
        for name in config.retrieval.weights
    }
    found = {
        "answered": F.col("answered"),
        "shown": F.col("shown"),
        "rate": F.col("type_response_rate"),
    }
    if popular_in_segment(config):
        found["segment_place"] = ranks.pop("popularity")
    if ranks:
        places = list(ranks.values())
        found["place"] = F.least(*places) if len(places) > 1 else places[0]
    if kind := config.features.purchase_type:
        days = max(config.features.affinity_windows, default=None)
        found["products"] = F.col(f"{kind}_eligible_products")
        found["recency"] = F.col(f"{kind}_recency_days")
        if days is not None:
            found["times"] = F.col(f"{kind}_eligible_count_{days}d")
    return {f"{_PREFIX}{name}": column.cast("double") for name, column in found.items()}


def with_reason_codes(lists: DataFrame, config: Config) -> DataFrame:
    """Replace the columns of :func:`figure_columns` by reasons for people.

    Parameters
    ----------
    lists
        With ``reasons``: array of (group, contribution), the largest in size first, or NULL.

    Returns
    -------
    DataFrame
        ``reason_codes``: array of (code, figures, contribution), at most three, the largest
        contribution first. Without a ranker what retrieval says, with a NULL contribution: that
        the activity is popular in the segment only where nothing else orders the lists.
        ``reason_text``: language to text, in the languages of ``recommend.languages``; empty where
        there is no reason.
    """
    codes = _codes(config)
    figures = [name for name in lists.columns if name.startswith(_PREFIX)]
    unranked = F.array(F.struct(F.lit(_retrieved_by(config)).alias("group"),
                                F.lit(None).cast("double").alias("contribution")))  # fmt: skip
    reasons = F.coalesce("reasons", unranked)
    positive = F.filter(reasons, lambda r: r["contribution"].isNull() | (r["contribution"] > 0))
    found = F.array_compact(F.transform(positive, lambda r: _coded(r, codes)))
    coded = lists.withColumn("reason_codes", F.slice(found, 1, MOST).cast(_CODES))
    texts = [
        part
        for language in config.recommend.languages
        for part in (F.lit(language), _text(language, {code.code: code for code in codes}))
    ]
    return coded.withColumn("reason_text", F.create_map(*texts)).drop(*figures)


def _codes(config: Config) -> list[Code]:
    """In the order of preference within a group."""

    def of(name: str) -> Column:
        return F.col(f"{_PREFIX}{name}")

    found = []
    if config.features.purchase_type:
        if config.features.affinity_windows:
            days = F.lit(float(max(config.features.affinity_windows)))
            lately = {"times": of("times"), "days": days}
            found.append(Code("affinity", "bought_lately", lately, of("times") > 1))
        products = {"products": of("products")}
        found.append(Code("affinity", "bought_before", products, of("products") > 0))
        recent = {"days": of("recency")}
        found.append(Code("history", "recent", recent, of("recency").isNotNull()))
    answers = {"answered": of("answered"), "shown": of("shown")}
    found += [
        Code("past_responses", "answers", answers, of("answered") > 0),
        Code("activity", "type_answered", {"rate": of("rate")}, of("rate") > 0),
    ]
    if set(config.retrieval.weights) - _in_segment(config):
        found.append(Code("retrieval", "suits", {"place": of("place")}, of("place").isNotNull()))
    if _in_segment(config):
        place = of("segment_place")
        found.append(Code(SEGMENT, "popular_in_segment", {"place": place}, place.isNotNull()))
    return found


def _in_segment(config: Config) -> set[str]:
    """The retrievers that tell what is popular in the user's segment."""
    return {"popularity"} if popular_in_segment(config) else set()


def _retrieved_by(config: Config) -> str:
    """The group that orders lists without a ranker. What several retrievers add is not told apart:
    it is never said to be the segment's."""
    ordering = {name for name, weight in config.retrieval.weights.items() if weight > 0}
    return SEGMENT if ordering and ordering == _in_segment(config) else "retrieval"


def _coded(reason: Column, codes: Sequence[Code]) -> Column:
    """The struct of a group's first code that holds; NULL where none does."""
    structs = []
    for code in codes:
        pairs = [part for name, value in code.figures.items() for part in (F.lit(name), value)]
        struct = F.struct(
            F.lit(code.code).alias("code"),
            F.create_map(*pairs).alias("figures"),
            reason["contribution"].alias("contribution"),
        )
        structs.append(F.when((reason["group"] == code.group) & code.holds, struct))
    return F.coalesce(*structs)


def _text(language: str, codes: Mapping[str, Code]) -> Column:
    templates = TEMPLATES[language]

    def said(entry: Column) -> Column:
        cases = [F.when(entry["code"] == code, _filled(templates[code], entry)) for code in codes]
        return F.coalesce(*cases)

    return F.array_join(F.transform("reason_codes", said), SEPARATORS[language])


def _filled(template: str, entry: Column) -> Column:
    parts = []
    for words, name, kind, _ in Formatter().parse(template):
        parts.append(F.lit(words))
        if name is not None:
            value = entry["figures"][name]
            percent = F.concat(F.format_number(100 * value, 1), F.lit("%"))
            parts.append(percent if kind == "percent" else F.round(value).cast("bigint"))
    return F.concat(*[part.cast("string") for part in parts])
