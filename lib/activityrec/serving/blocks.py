"""Blocks of users with their candidates as NumPy matrices: what is listed, what is not, and why."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from activityrec.features.affinity import Floats, Ints
from activityrec.retrieval.eligibility import RULES
from activityrec.serving.inventory import order_keys
from activityrec.serving.slots import Contenders, Mask, SlotPolicy, fill_slots

REASONS = ("", *RULES, "inventory", "max_per_type", "contact_limit", "displaced")
"""By number: why an activity is not in a list. The last four are found while lists are made."""
INVENTORY, MAX_PER_TYPE, CONTACT_LIMIT, DISPLACED = range(len(RULES) + 1, len(REASONS))


@dataclass(frozen=True)
class ListRules:
    """What lists follow besides scores.

    Attributes
    ----------
    slots
        How slots are filled.
    activity_ids, kinds
        The live activities in the order of ``slots.similarity``, and numbers of their types;
        needed with a maximum per type or diversity.
    thresholds
        Of activities with an inventory, see :func:`activityrec.serving.inventory.thresholds`.
    floors
        Of activities: scores below which no user is in their audience.
    explain
        Whether to tell what is not listed and why.
    """

    slots: SlotPolicy = SlotPolicy()
    activity_ids: tuple[str, ...] = ()
    kinds: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    thresholds: Mapping[str, int] = field(default_factory=dict)
    floors: Mapping[str, float] = field(default_factory=dict)
    explain: bool = False


@dataclass(frozen=True)
class Block:
    """Users and their candidates, each user's best first by score, then by activity_id.

    Attributes
    ----------
    row
        (users, width): the candidate's row in the table, -1 beyond a user's last.
    contenders
        Allowed are those that no rule excludes so far.
    model_score
        (users, width): the score without boosts.
    why
        (users, width): number of a rule in REASONS, 0 where none excludes the candidate.
    """

    row: Ints
    contenders: Contenders
    model_score: Floats
    why: Ints


@dataclass(frozen=True)
class Entries:
    """Rows of a table with their place in a list; ``extra`` is a propensity, or a number of
    REASONS."""

    row: Ints
    rank: Ints
    extra: npt.NDArray


def block_of(rows: pa.Table, rules: ListRules, k: int) -> Block:
    """The users of a table, which has user_id, activity_id and ``score``.

    It may have ``rule`` (0 by default), ``model_score`` (``score``), ``pin`` (0), ``room`` (k) and
    ``draw_key`` (0), the last two equal in the rows of a user, which stand together.
    """
    user = user_numbers(rows)
    names = activity_names(rows)
    known = names.dictionary.to_pylist()
    score = _numbers(rows, "score", 0.0)
    order = np.lexsort((places_of(names), -score, user))
    first = np.searchsorted(user[order], np.arange(user.max() + 1))
    place = np.arange(len(order)) - first[user[order]]
    row = np.full((len(first), place.max() + 1), -1, dtype=np.int64)
    row[user[order], place] = order
    why = np.where(row >= 0, _integers(rows, "rule", 0)[row], 0)
    number = _live_numbers(known, rules)[names.indices.to_numpy()][row]
    contenders = Contenders(
        score=score[row],
        allowed=(row >= 0) & (why == 0),
        activity=number,
        kind=rules.kinds[number] if len(rules.kinds) else np.zeros_like(number),
        pin=_integers(rows, "pin", 0)[row],
        room=np.minimum(_integers(rows, "room", k)[row[:, 0]], k),
        key=_integers(rows, "draw_key", 0)[row[:, 0]].view(np.uint64),
    )
    model_score = _numbers(rows, "model_score", score)[row]
    return _within_inventory(Block(row, contenders, model_score, why), known, names, rules)


def user_numbers(rows: pa.Table) -> Ints:
    """(rows,): a number for each user, ascending where the rows of a user stand together."""
    numbers: Ints = rows.column("user_id").combine_chunks().dictionary_encode().indices.to_numpy()
    return numbers


def activity_names(rows: pa.Table) -> pa.DictionaryArray:
    """(rows,): the activity_id."""
    return rows.column("activity_id").combine_chunks().dictionary_encode()


def places_of(names: pa.DictionaryArray) -> Ints:
    """(rows,): a number for each name, in the order of names."""
    place = np.argsort(np.argsort(np.array(names.dictionary.to_pylist(), dtype=object)))
    return place[names.indices.to_numpy()]


def contending(block: Block) -> Mask:
    """(users, width): what would be listed by score alone, or by a pin."""
    some = block.contenders
    first = np.cumsum(some.allowed, axis=1) <= some.room[:, None]
    return some.allowed & (first | ((some.pin > 0) & (some.room[:, None] > 0)))


def keys_of(block: Block) -> Ints:
    """(users, width): the ``order_key`` of each candidate."""
    keys = np.broadcast_to(block.contenders.key[:, None], block.row.shape)
    return order_keys(block.contenders.score, np.ascontiguousarray(keys))


def listed(block: Block, rules: ListRules, k: int) -> tuple[Entries, Entries]:
    """The lists, with propensities; and what would have entered them, with the reason why not."""
    chosen, propensity = fill_slots(block.contenders, rules.slots, k)
    user, slot = np.nonzero(chosen >= 0)
    rows = block.row[user, chosen[user, slot]]
    lists = Entries(rows, slot + 1, propensity[user, slot])
    nothing = np.zeros(0, dtype=np.int64)
    if not rules.explain:
        return lists, Entries(nothing, nothing, nothing)
    why, rank = _left_out(block, chosen, rules, k)
    user, column = np.nonzero(why)
    return lists, Entries(block.row[user, column], rank[user, column], why[user, column])


def _left_out(block: Block, chosen: Ints, rules: ListRules, k: int) -> tuple[Ints, Ints]:
    """(users, width): the reason of what would have entered a list, and the rank that its model
    score would have given it there.

    That is its place among the activities of the list; for what no rule of its own excludes, among
    these and all the others that none excludes.
    """
    some, shape = block.contenders, block.row.shape
    is_listed = np.zeros(shape, dtype=bool)
    user, slot = np.nonzero(chosen >= 0)
    is_listed[user, chosen[user, slot]] = True
    why = block.why.copy()
    out = some.allowed & ~is_listed
    if rules.slots.max_per_type is not None:
        mine = np.where(is_listed, some.kind, -1)
        count = np.stack([(mine == kind[:, None]).sum(axis=1) for kind in some.kind.T], axis=1)
        why = np.where(out & (count >= rules.slots.max_per_type), MAX_PER_TYPE, why)
        out &= why == 0
    # Places by model score; candidates stand in the order of boosted scores.
    order = np.argsort(np.where(block.row >= 0, -block.model_score, np.inf), axis=1, kind="stable")
    rank = 1 + np.where(out, _before(is_listed | out, order), _before(is_listed, order))
    room = some.room[:, None]
    why = np.where(out, np.where(rank > room, CONTACT_LIMIT, DISPLACED), why)
    enters = rank <= np.where(why == CONTACT_LIMIT, k, room)
    return np.where(enters & (block.row >= 0), why, 0), rank


def _before(which: Mask, order: Ints) -> Ints:
    """For each cell how many of ``which`` come before it in the order of its row."""
    sorted_which = np.take_along_axis(which, order, axis=1).astype(np.int64)
    counts = np.cumsum(sorted_which, axis=1) - sorted_which
    found = np.empty_like(counts)
    np.put_along_axis(found, order, counts, axis=1)
    return found


def _within_inventory(
    block: Block, known: list[str], names: pa.DictionaryArray, rules: ListRules
) -> Block:
    """Exclude users beyond the places of an activity."""
    if not rules.thresholds:
        return block
    least = np.array([rules.thresholds.get(name, -(2**63)) for name in known], dtype=np.int64)
    is_limited = np.array([name in rules.thresholds for name in known])
    code = names.indices.to_numpy()[block.row]
    granted = contending(block) & (keys_of(block) >= least[code])
    refused = block.contenders.allowed & is_limited[code] & ~granted
    some = block.contenders
    allowed = Contenders(
        some.score, some.allowed & ~refused, some.activity, some.kind, some.pin, some.room, some.key
    )
    return Block(block.row, allowed, block.model_score, np.where(refused, INVENTORY, block.why))


def _live_numbers(known: list[str], rules: ListRules) -> Ints:
    if not rules.activity_ids:
        return np.arange(len(known))
    number = {name: place for place, name in enumerate(rules.activity_ids)}
    return np.array([number[name] for name in known], dtype=np.int64)


def _numbers(rows: pa.Table, name: str, default: float | Floats) -> Floats:
    if name not in rows.column_names:
        return np.broadcast_to(np.asarray(default, dtype=np.float64), rows.num_rows)
    return rows.column(name).to_numpy().astype(np.float64)


def _integers(rows: pa.Table, name: str, default: int) -> Ints:
    if name not in rows.column_names:
        return np.full(rows.num_rows, default, dtype=np.int64)
    return rows.column(name).fill_null(default).to_numpy().astype(np.int64)
