"""The retrievers' part of the configuration."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from activityrec.config_base import Days, Section

Pooling = Literal["mean", "sum"]
"""How the vectors of an activity's products become one: ``mean`` weighs them by their users."""
Weight = Annotated[float, Field(ge=0)]
ItemKind = Literal["product", "activity"]
RetrieverName = Literal["als", "item_knn", "ease", "history", "content", "bayes", "popularity"]


class AlsConfig(Section):
    """MLlib's implicit ALS (Hu, Koren, Volinsky 2008)."""

    rank: Annotated[int, Field(ge=1, le=512)] = 32
    max_iter: Annotated[int, Field(ge=1)] = 8
    reg: Annotated[float, Field(ge=0)] = 0.1
    alpha: Annotated[float, Field(ge=0)] = 10.0
    blocks: Annotated[int, Field(ge=1)] = 4
    seed: int = 17
    items: list[ItemKind] = ["product", "activity"]
    pooling: Pooling = "mean"


class ItemKnnConfig(Section):
    """Neighbourhoods of items by cosine, damped where few users are shared.

    Of a user with more than ``max_items_per_user`` items the strongest count.
    """

    neighbours: Annotated[int, Field(ge=1)] = 200
    shrinkage: Annotated[float, Field(ge=0)] = 10.0
    min_users: Annotated[int, Field(ge=1)] = 3
    max_items_per_user: Annotated[int, Field(ge=2)] = 200
    items: list[ItemKind] = ["product", "activity"]
    pooling: Pooling = "sum"


class EaseConfig(Section):
    """The closed-form item-item autoencoder (Steck 2019).

    It inverts a matrix of items by items on the driver: more than ``max_items`` are refused.
    Interests enter as weight^``power``: 0 is whether there was any.
    """

    reg: Annotated[float, Field(gt=0)] = 500.0
    power: Annotated[float, Field(ge=0, le=1)] = 0.0
    max_items: Annotated[int, Field(ge=1, le=20_000)] = 5_000
    items: list[ItemKind] = ["product", "activity"]
    pooling: Pooling = "sum"


class HistoryConfig(Section):
    """What the user did with the very products before, fading as interactions do."""

    pooling: Pooling = "sum"


class ContentConfig(Section):
    """Words of products and activities, hashed into ``features`` places (a power of 2 is best)."""

    features: Annotated[int, Field(ge=2)] = 16_384
    pooling: Pooling = "mean"


class BayesConfig(Section):
    """Naive Bayes over what users are and buy; the ``max_features`` most frequent count."""

    smoothing: Annotated[float, Field(gt=0)] = 1.0
    max_features: Annotated[int, Field(ge=1, le=10_000)] = 1_000
    max_classes: Annotated[int, Field(ge=1, le=10_000)] = 5_000
    pooling: Pooling = "mean"


class SegmentsConfig(Section):
    """Groups of users who do similar things, by MLlib's KMeans; ``segments: {}`` turns them on.

    Of ``sizes`` that with the best silhouette is taken; with one size the segments of all fits
    mean about the same. ``categories``: how many of the most bought ones are looked at beside the
    event types.
    """

    sizes: list[Annotated[int, Field(ge=2)]] = [4, 8, 12]
    categories: Annotated[int, Field(ge=0)] = 20
    max_iter: Annotated[int, Field(ge=1)] = 20
    seed: int = 17


class PopularityConfig(Section):
    """What most users do, overall or in the user's segment (needs ``retrieval.segments``)."""

    by_segment: bool = False
    pooling: Pooling = "sum"


class RetrievalConfig(Section):
    """Which retrievers propose candidates, and how.

    ``methods`` maps each to its weight in the order of lists where no ranker orders them: scores
    are standardised for each user before they are added. All are fitted at ``as_of`` and every
    ``refit_days`` before it, so that each exposure is scored by a fit that did not know it.
    ``segments``: users in groups, a column of examples and candidates; none by default.
    ``own_prior``: an activity that n users interacted with weighs its own vector by n and that
    pooled from its products by this.
    """

    methods: dict[RetrieverName, Weight] = Field(default={"als": 1.0}, min_length=1)
    refit_days: Days = 60
    own_prior: Annotated[float, Field(ge=0)] = 50.0
    segments: SegmentsConfig | None = None
    als: AlsConfig = AlsConfig()
    item_knn: ItemKnnConfig = ItemKnnConfig()
    ease: EaseConfig = EaseConfig()
    history: HistoryConfig = HistoryConfig()
    content: ContentConfig = ContentConfig()
    bayes: BayesConfig = BayesConfig()
    popularity: PopularityConfig = PopularityConfig()

    @model_validator(mode="after")
    def _has_segments(self) -> "RetrievalConfig":
        if self.popularity.by_segment and self.segments is None:
            raise ValueError("popularity.by_segment needs segments; `segments: {}` has defaults")
        return self

    @property
    def weights(self) -> dict[str, float]:
        """``methods``, as every place but the YAML's reader takes them."""
        return {str(name): weight for name, weight in self.methods.items()}

    @property
    def score_columns(self) -> dict[str, str]:
        """Name in metrics to score column; there ``popularity`` is the baseline."""
        return {
            "popular_retriever" if name == "popularity" else name: f"{name}_score"
            for name in self.weights
        }

    @property
    def summed(self) -> list[str]:
        """The methods that add up the vectors of an activity's products."""
        return [name for name in self.weights if getattr(self, name).pooling == "sum"]
