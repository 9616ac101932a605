"""The slots of lists, filled one after the other: pins, diversity, exploration, propensities.

Pure NumPy over blocks of users. Columns of a block are a user's candidates, best first.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activityrec.features.affinity import Floats, Ints

Mask = npt.NDArray[np.bool_]
Keys = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class SlotPolicy:
    """How slots are filled.

    Attributes
    ----------
    max_per_type
        Activities of one type in a list; None: any number.
    diversity
        Strength of the re-ranking, 0 to 1.
    similarity
        (activities, activities); needed where ``diversity`` is above 0.
    share
        Of the choices that explore, 0 to 1.
    temperature
        Of the softmax, as a part of the range of the user's scores.
    """

    max_per_type: int | None = None
    diversity: float = 0.0
    similarity: Floats | None = None
    share: float = 0.0
    temperature: float = 0.1


@dataclass(frozen=True)
class Contenders:
    """The candidates of a block of users.

    Attributes
    ----------
    score
        (users, width): what the list is ordered by, best first.
    allowed
        (users, width): False for what a rule excludes, and beyond a user's last candidate.
    activity, kind
        (users, width): numbers of the activity and of its type.
    pin
        (users, width): place among the pinned ones, from 1; 0: not pinned.
    room
        (users,): the longest list that each may have.
    key
        (users,): a hash of the run and the user, which draws come from.
    """

    score: Floats
    allowed: Mask
    activity: Ints
    kind: Ints
    pin: Ints
    room: Ints
    key: Keys

    def rows(self, which: Ints) -> "Contenders":
        """Of these users alone."""
        return Contenders(*[getattr(self, name)[which] for name in self.__dataclass_fields__])


def fill_slots(contenders: Contenders, policy: SlotPolicy, k: int) -> tuple[Ints, Floats]:
    """Choose the activities of the slots 1 to k, each given the slots above it.

    Pinned candidates come first. Another slot is filled from the mixture

    q = (1 - share) · [the best] + share · softmax(value / temperature)

    over what is left, where the value of a candidate is that of maximal marginal relevance
    (Carbonell and Goldstein 1998): (1 - diversity) · relevance - diversity · its greatest
    similarity to what stands above. The relevance is the score, scaled so that the user's allowed
    candidates lie between 0 and 1. Without exploration each slot takes the best. Where every slot
    explores and there is no diversity, lists follow the Plackett-Luce model.

    Returns
    -------
    chosen, propensity
        (users, k): the column chosen for each slot, -1 where the list has ended; and its q, 1
        where there was no chance involved, NaN where the list has ended.
    """
    users, width = contenders.score.shape
    chosen = np.full((users, k), -1, dtype=np.int64)
    propensity = np.full((users, k), np.nan)
    left = contenders.allowed.copy()
    relevance = _relevance(contenders)
    nearest = np.zeros((users, width))
    for slot in range(k):
        possible = left & _under_maximum(contenders, chosen, policy.max_per_type)
        who = np.flatnonzero(possible.any(axis=1) & (slot < contenders.room))
        if not len(who):
            break
        some = contenders.rows(who)
        value = (1 - policy.diversity) * relevance[who] - policy.diversity * nearest[who]
        chances = _chances(value, possible[who], some.pin, policy)
        column = _drawn(chances, uniforms(some.key, slot))
        chosen[who, slot] = column
        # Sums of probabilities may round to a little more than 1.
        propensity[who, slot] = np.minimum(chances[np.arange(len(who)), column], 1.0)
        left[who, column] = False
        if policy.diversity > 0:
            assert policy.similarity is not None
            taken = some.activity[np.arange(len(who)), column]
            alike = policy.similarity[some.activity, taken[:, None]]
            nearest[who] = np.maximum(nearest[who], alike)
    return chosen, propensity


def uniforms(keys: Keys, slot: int) -> Floats:
    """A number in [0, 1) for each key at a slot: SplitMix64 (Steele, Lea and Flood 2014)."""
    golden = np.array([(slot + 1) * 0x9E3779B97F4A7C15 % 2**64], dtype=np.uint64)
    mixed = keys + golden
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed = mixed ^ (mixed >> np.uint64(31))
    return (mixed >> np.uint64(11)).astype(np.float64) / 2.0**53


def _relevance(contenders: Contenders) -> Floats:
    """Scores, scaled to [0, 1] over each user's allowed candidates; all 0 where they are equal."""
    low = np.where(contenders.allowed, contenders.score, np.inf).min(axis=1, keepdims=True)
    high = np.where(contenders.allowed, contenders.score, -np.inf).max(axis=1, keepdims=True)
    known = high > low
    span = np.where(known, high - np.where(known, low, 0.0), np.inf)
    scaled = (contenders.score - np.where(known, low, 0.0)) / span
    return np.where(contenders.allowed, scaled, 0.0)


def _under_maximum(contenders: Contenders, chosen: Ints, maximum: int | None) -> Mask:
    """Candidates whose type has fewer than the maximum in the list so far."""
    if maximum is None:
        return np.ones(contenders.allowed.shape, dtype=bool)
    count = np.zeros(contenders.allowed.shape, dtype=np.int64)
    rows = np.arange(len(chosen))
    for column in chosen.T:
        if (column < 0).all():
            break
        kind = np.where(column >= 0, contenders.kind[rows, column], -1)
        count += contenders.kind == kind[:, None]
    return count < maximum


def _chances(value: Floats, possible: Mask, pin: Ints, policy: SlotPolicy) -> Floats:
    """(users, width): the probability that the slot takes each candidate."""
    rows = np.arange(len(value))
    masked = np.where(possible, value, -np.inf)
    best = masked.argmax(axis=1)
    pinned = possible & (pin > 0)
    first = np.where(pinned, pin, np.iinfo(np.int64).max).argmin(axis=1)
    forced = pinned.any(axis=1)
    best = np.where(forced, first, best)
    share = np.where(forced, 0.0, policy.share)[:, None]
    found: Floats = np.zeros(value.shape)
    if policy.share > 0:
        grown = np.exp((masked - masked.max(axis=1, keepdims=True)) / policy.temperature)
        found = share * grown / grown.sum(axis=1, keepdims=True)
    found[rows, best] += 1 - share[:, 0]
    return found


def _drawn(chances: Floats, uniform: Floats) -> Ints:
    """The column that a uniform number falls on."""
    heap = np.cumsum(chances, axis=1)
    target = uniform * heap[:, -1]
    return (heap <= target[:, None]).sum(axis=1)
