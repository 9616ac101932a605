"""What a planted world is: its sizes, its seed, and the strengths of what is planted in it."""

from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

from activityrec.errors import ConfigError


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
            "users": self.users < 1,
            "categories": self.categories < 1,
            "activities": self.activities < self.categories,
            "products": self.products < self.categories * 2,
            "days": self.days < 60,
            "exposures_per_user": not 0 <= 2 * self.exposures_per_user <= self.days,
            "events_per_user": self.events_per_user < 0,
            **{name: not 0 <= getattr(self, name) <= 1 for name in ("bots", "repeats", "explored")},
        }
        if any(wrong.values()):
            names = ", ".join(name for name, is_wrong in wrong.items() if is_wrong)
            raise ConfigError(
                f"{names} out of range: a world has at least one user, {self.categories} "
                f"activities (one a category), {2 * self.categories} products and 60 days, and "
                "no user is shown an activity more often than every other day; bots, repeats and "
                "explored are shares"
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
