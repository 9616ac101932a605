"""The retrievers' part of the configuration."""

from typing import Annotated, Literal

from pydantic import Field

from activityrec.config_base import Days, Section

Weight = Annotated[float, Field(ge=0)]
ItemKind = Literal["product", "activity"]
RetrieverName = Literal["als", "item_knn", "ease", "history"]


class AlsConfig(Section):
    """MLlib's implicit ALS (Hu, Koren, Volinsky 2008)."""

    rank: Annotated[int, Field(ge=1, le=512)] = 32
    max_iter: Annotated[int, Field(ge=1)] = 8
    reg: Annotated[float, Field(ge=0)] = 0.1
    alpha: Annotated[float, Field(ge=0)] = 10.0
    blocks: Annotated[int, Field(ge=1)] = 4
    seed: int = 17
    items: list[ItemKind] = ["product", "activity"]


class ItemKnnConfig(Section):
    """Neighbourhoods of items by cosine, damped where few users are shared.

    Items that more than ``max_users`` users share are compared by a sample of that many.
    """

    neighbours: Annotated[int, Field(ge=1)] = 200
    shrinkage: Annotated[float, Field(ge=0)] = 10.0
    min_users: Annotated[int, Field(ge=1)] = 2
    max_items_per_user: Annotated[int, Field(ge=2)] = 500
    items: list[ItemKind] = ["product", "activity"]


class EaseConfig(Section):
    """The closed-form item-item autoencoder (Steck 2019).

    It inverts a matrix of items by items on the driver: more than ``max_items`` are refused.
    """

    reg: Annotated[float, Field(gt=0)] = 500.0
    max_items: Annotated[int, Field(ge=1, le=20_000)] = 10_000
    items: list[ItemKind] = ["product", "activity"]


class HistoryConfig(Section):
    """What the user did with the very products before, fading with time."""

    half_life_days: Days = 90


class RetrievalConfig(Section):
    """Which retrievers propose candidates, and how.

    ``methods`` maps each to its weight in the order of lists where no ranker orders them: scores
    are standardised for each user before they are added. All are fitted at ``as_of`` and every
    ``refit_days`` before it, so that each exposure is scored by a fit that did not know it.
    ``own_prior``: an activity that n users interacted with weighs its own vector by n and that
    pooled from its products by this.
    """

    methods: dict[RetrieverName, Weight] = Field(default={"als": 1.0}, min_length=1)
    refit_days: Days = 60
    own_prior: Annotated[float, Field(ge=0)] = 50.0
    als: AlsConfig = AlsConfig()
    item_knn: ItemKnnConfig = ItemKnnConfig()
    ease: EaseConfig = EaseConfig()
    history: HistoryConfig = HistoryConfig()

    @property
    def weights(self) -> dict[str, float]:
        """``methods``, as every place but the YAML's reader takes them."""
        return {str(name): weight for name, weight in self.methods.items()}
