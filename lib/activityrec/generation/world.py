"""What a planted world is: its sizes, its seed, and the strengths of what is planted in it."""

import math
from dataclasses import asdict, dataclass, fields
from datetime import date, timedelta
from typing import Any

from activityrec.errors import ConfigError

MOST = 10**10
"""Of users, of products and of activities: places in the digits of a BIGINT."""
MOST_DAYS = 36_500
MOST_EVENTS = 1_000_000


@dataclass(frozen=True)
class World:
    """A world is these figures and nothing else: equal worlds have equal rows.

    ``activities`` are live at every instant, each in a lane of its own: when one ends, the next
    of its lane starts. ``events_per_user`` and ``exposures_per_user`` are means over all
    ``days``. The rest is the planted model; see ``truth.probability``.
    """

    users: int
    products: int = 1_000
    activities: int = 24
    events_per_user: float = 100.0
    exposures_per_user: int = 20
    days: int = 180
    start: date = date(2024, 1, 1)
    seed: int = 1
    categories: int = 12
    products_per_activity: int = 20
    bots: float = 0.005
    repeats: float = 0.3
    explored: float = 0.2
    base: float = -4.6
    taste: float = 4.0
    price: float = 0.8
    quality: float = 0.4
    season: float = 0.4

    def __post_init__(self) -> None:
        """
        Raises
        ------
        ConfigError
            A size is out of its range.
        """
        wrong = {
            "users": not 1 <= self.users <= MOST,
            "categories": self.categories < 1,
            "activities": not self.categories <= self.activities <= MOST,
            "products": not self.categories * 2 <= self.products <= MOST,
            "days": not 60 <= self.days <= MOST_DAYS,
            "exposures_per_user": not 1 <= self.exposures_per_user <= self.days / 2,
            "events_per_user": not 0 <= self.events_per_user <= MOST_EVENTS,
            "products_per_activity": not 1 <= self.products_per_activity <= MOST,
            "seed": not -(2**63) <= self.seed < 2**63,
            **{name: not 0 <= getattr(self, name) <= 1 for name in ("bots", "repeats", "explored")},
            **{
                one.name: True
                for one in fields(self)
                if isinstance(value := getattr(self, one.name), float) and not math.isfinite(value)
            },
        }
        if any(wrong.values()):
            names = ", ".join(name for name, is_wrong in wrong.items() if is_wrong)
            raise ConfigError(
                f"{names} out of range: a world has at least one user, {self.categories} "
                f"activities (one a category) of a product or more, {2 * self.categories} products "
                f"and 60 days; at most {MOST:,} of each, {MOST_DAYS:,} days and {MOST_EVENTS:,} "
                "events a user; a user is shown an activity once or more, and at most every other "
                "day; bots, repeats and explored are shares; seed is a BIGINT"
            )

    @property
    def end(self) -> date:
        return self.start + timedelta(days=self.days)

    @property
    def as_of(self) -> date:
        """A day for training: a sixth of the time lies after it."""
        return self.end - timedelta(days=self.days // 6)

    def saved(self) -> dict[str, Any]:
        return {**asdict(self), "start": str(self.start)}

    @classmethod
    def loaded(cls, saved: dict[str, Any]) -> "World":
        return cls(**{**saved, "start": date.fromisoformat(saved["start"])})
