"""What the stages will need at a given size: bytes by formula, from the shapes that the code uses.

Nothing is run. Every figure carries its arithmetic; a bound says so. Sizes in memory and in
shuffles are before compression.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

from activityrec import tables
from activityrec.config import Config
from activityrec.planning_sizes import (
    DOUBLE,
    FLOAT,
    INT,
    Counts,
    array_bytes,
    audience_bytes,
    gram_bytes,
    kernel_bytes,
    row_bytes,
    side_bytes,
    vector_bytes,
    words,
)
from activityrec.retrieval.gram import blocks_of
from activityrec.retrieval.spread import INLINE_BYTES
from activityrec.serving.audience import ROWS_AT_LEAST
from activityrec.serving.audience_floors import FLOOR, SAMPLED, pays

ADVISORY_PARTITION = 64 << 20
"""spark.sql.adaptive.advisoryPartitionSizeInBytes, Spark's default."""
FACTOR_BLOCK = 256 << 20
"""Above this a block of ALS's factors is a burden for a task of some gigabytes."""
KEY_BYTES = 64
"""A pseudonym: HMAC-SHA-256 in hexadecimal."""
INGESTED_PER_SECOND = 146_075
"""Rows of clean.events with all rules on 2 cores: benchmarks/ingest.py, docs/ingestion.md."""


@dataclass(frozen=True)
class Need:
    """One line of the plan: ``where`` is what must have room for ``size`` bytes."""

    stage: str
    where: str
    what: str
    size: int
    arithmetic: str


def plan(config: Config, counts: Counts) -> list[Need]:
    """All needs, stage by stage."""
    return [
        *_ingest(counts),
        *_features(config, counts),
        *_train(config, counts),
        *_recommend(config, counts),
    ]


def partitions(needs: Sequence[Need]) -> int:
    """``spark.sql.shuffle.partitions`` with which the largest shuffle comes in parts of 64 MB."""
    largest = max((need.size for need in needs if need.where == "shuffle"), default=0)
    return max(1, ceil(largest / ADVISORY_PARTITION))


def advice(config: Config, counts: Counts) -> list[str]:
    """Settings of the configuration that do not fit the size."""
    found = []
    als = config.retrieval.als
    whole = counts.users * als.rank * FLOAT
    if "als" in config.retrieval.weights and whole / als.blocks > FACTOR_BLOCK:
        found.append(
            f"retrieval.als.blocks: {als.blocks} → {ceil(whole / FACTOR_BLOCK)}, so that a block "
            "of users' factors stays below 256 MB"
        )
    if "ease" in config.retrieval.weights and counts.products > config.retrieval.ease.max_items:
        found.append(
            f"retrieval.ease: {counts.products:,} products are more than max_items "
            f"{config.retrieval.ease.max_items:,}: it will refuse, unless items are [activity]"
        )
    return found


def _ingest(counts: Counts) -> Iterator[Need]:
    seconds = counts.events / INGESTED_PER_SECOND
    row = row_bytes(["BIGINT", "BIGINT"], 0)
    yield Need("ingest", "shuffle", "hashes of the keys of events, the first load",
               counts.events * row,
               f"{counts.events:,} x {row}; at the rate of benchmarks/ingest.py on 2 cores: "
               f"{seconds:,.0f} s")  # fmt: skip


def _features(config: Config, counts: Counts) -> Iterator[Need]:
    user = _user_bytes(config, counts)
    row = row_bytes([column.type for column in tables.USER_DAILY.columns], counts.id_bytes)
    row += user - words(counts.id_bytes)
    yield Need("features", "shuffle", "user_daily, the first run (at most one row an event)",
               counts.events * row, f"{counts.events:,} x {row}")  # fmt: skip
    wide = _features_row(config, counts)
    yield Need("features", "table", "user_features of a day; the first run makes every day that "
               "has exposures, of the users shown something", counts.users * wide,
               f"{counts.users:,} x {wide}")  # fmt: skip


def _train(config: Config, counts: Counts) -> Iterator[Need]:
    user = _user_bytes(config, counts)
    row = row_bytes(["INT", "INT", "INT", "DOUBLE"], 0) + user + 2 * words(counts.id_bytes)
    yield Need("train", "shuffle", "interactions of each fit (at least one row a pair)",
               counts.interests * row, f"{counts.interests:,} pairs x {row}")  # fmt: skip
    if "als" in config.retrieval.weights:
        yield from _als(config, counts)
    if "ease" in config.retrieval.weights:
        items = min(counts.products, config.retrieval.ease.max_items)
        yield Need("train", "driver", "ease: the matrix, its inverse and what they are made with",
                   4 * DOUBLE * items**2, f"4 x 8 x {items:,}²")  # fmt: skip
        yield from _gram("ease", items, counts.items_per_user, counts.users)
    if "item_knn" in config.retrieval.weights:
        most = min(counts.items_per_user, config.retrieval.item_knn.max_items_per_user)
        yield from _gram("item_knn", counts.products, most, counts.users)


def _gram(name: str, items: int, held: int, users: int) -> Iterator[Need]:
    """X'X of :mod:`activityrec.retrieval.gram`, of users who have ``held`` items each."""
    copies = min(held, blocks_of(items))
    row = row_bytes(["INT"] * 4, 0) + array_bytes(held, INT) + array_bytes(held, DOUBLE)
    yield Need("train", "shuffle", f"{name}: the items of each user once for each block of items "
               "(as many of every user)", users * copies * row,
               f"{users:,} x {copies:,} x {row:,}")  # fmt: skip
    cells = ceil(items / blocks_of(items)) * items
    yield Need("train", "each core", f"{name}: a block of X'X without a zero, in Python",
               gram_bytes(cells), f"{cells:,} x {gram_bytes(1)}")  # fmt: skip


def _als(config: Config, counts: Counts) -> Iterator[Need]:
    """As org.apache.spark.ml.recommendation.ALS keeps them: RatingBlock, InBlock, factor blocks."""
    als, pairs = config.retrieval.als, counts.interests
    both = counts.users + counts.products
    yield Need("train", "shuffle", "als: ratings by user and by item", 2 * 12 * pairs,
               f"2 x (4 + 4 + 4) x {pairs:,}")  # fmt: skip
    yield Need("train", "executors together", "als: ratings in blocks of users and of items",
               2 * 8 * pairs, f"2 x (4 + 4) x {pairs:,}")  # fmt: skip
    yield Need("train", "executors together", "als: factors", FLOAT * als.rank * both,
               f"4 x rank {als.rank} x ({counts.users:,} + {counts.products:,})")  # fmt: skip
    block = ceil(counts.users / als.blocks)
    yield Need("train", "each core", "als: one block of users' factors", FLOAT * als.rank * block,
               f"4 x rank {als.rank} x {counts.users:,} / {als.blocks} blocks")  # fmt: skip
    sent = min(als.blocks, max(1, counts.items_per_user))
    yield Need("train", "shuffle", f"als: factors sent in one of {als.max_iter} rounds (at most)",
               FLOAT * als.rank * (sent * counts.users + als.blocks * counts.products),
               f"4 x rank {als.rank} x ({sent} x {counts.users:,} + {als.blocks} x "
               f"{counts.products:,})")  # fmt: skip


def _recommend(config: Config, counts: Counts) -> Iterator[Need]:
    user = _user_bytes(config, counts)
    names = list(config.retrieval.weights)
    size, arithmetic = side_bytes(names, config, counts)
    travels = "with each task" if size <= INLINE_BYTES else "as a file, shared by its workers"
    yield Need("recommend", "each machine", f"the activity side, {travels}", size, arithmetic)
    numbering = row_bytes(["STRING", "INT"], counts.id_bytes)
    yield Need("recommend", "each machine", "broadcast: numbers of eligible products",
               counts.eligible_products * numbering,
               f"{counts.eligible_products:,} x {numbering}")  # fmt: skip
    yield Need("recommend", "each machine", "broadcast: categories of products, at most",
               counts.products * numbering, f"{counts.products:,} x {numbering}")  # fmt: skip
    row = row_bytes([c.type for c in tables.activity_features(config).columns], counts.id_bytes)
    yield Need("recommend", "each machine", "broadcast: activity_features",
               counts.activities * row, f"{counts.activities:,} x {row}")  # fmt: skip
    row = row_bytes(["DATE", "STRING", "STRING", "BIGINT", "DOUBLE"], counts.id_bytes) + 8 + user
    days = counts.events * row
    yield Need("recommend", "shuffle", "histories: user_daily by user (at most one row an event); "
               "for offers once more", days, f"{counts.events:,} x {row}")  # fmt: skip
    one = _features_row(config, counts) + sum(vector_bytes(name, config, counts) for name in names)
    yield Need("recommend", "shuffle", "users with features and vectors",
               counts.users * one, f"{counts.users:,} x {one:,}")  # fmt: skip
    size, arithmetic = kernel_bytes(config, counts.activities, counts.users)
    yield Need("recommend", "each core", "the kernel's block, in Python", size, arithmetic)
    parts = ceil((days + counts.users * one) / ADVISORY_PARTITION)
    yield from _audiences(config, counts, user, parts)
    row = row_bytes([column.type for column in tables.RECOMMENDATIONS.columns], counts.id_bytes)
    k = config.recommend.k
    yield Need("recommend", "table", "recommendations, without offers and reasons",
               counts.users * k * row, f"{counts.users:,} x k {k} x {row}")  # fmt: skip


def _audiences(config: Config, counts: Counts, user: int, parts: int) -> Iterator[Need]:
    """Each task keeps the best users of each activity, of many users those above its floor alone;
    then those of all tasks meet."""
    size, each = config.recommend.audience_size, min(config.recommend.candidates, counts.activities)
    made = counts.users * each
    if pays(size, counts.activities, made):
        made = min(made, size * FLOOR // SAMPLED * counts.activities)
    held, arithmetic = audience_bytes(
        min(ceil(made / parts), max(ROWS_AT_LEAST, 2 * size * counts.activities)), user
    )
    yield Need("recommend", "each core", "audiences, in Python", held, arithmetic)
    row = row_bytes(["STRING", "STRING", "DOUBLE", "DOUBLE"], counts.id_bytes) + user
    row -= words(counts.id_bytes)
    rows = min(made, parts * size * counts.activities)
    yield Need("recommend", "shuffle", "audiences of all tasks, each with 64 MB of users",
               rows * row, f"{rows:,} x {row}")  # fmt: skip


def _features_row(config: Config, counts: Counts) -> int:
    types = [column.type for column in tables.user_features(config).columns]
    return row_bytes(types, counts.id_bytes) + _user_bytes(config, counts) - words(counts.id_bytes)


def _user_bytes(config: Config, counts: Counts) -> int:
    hashed = config.privacy is not None and config.privacy.user_id == "hash"
    return words(KEY_BYTES if hashed else counts.id_bytes)
