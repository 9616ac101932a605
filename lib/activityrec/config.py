"""The configuration of a deployment as typed models; ``config_file`` reads them from YAML."""

from typing import Annotated

from pydantic import Field, model_validator

from activityrec.config_base import Days, Name, Section
from activityrec.config_export import ExportConfig
from activityrec.config_ingest import (
    AnomalyConfig,
    AttributeConfig,
    AttributesConfig,
    IngestConfig,
    MaintainConfig,
    PrivacyConfig,
    ProtectionConfig,
    SourceConfig,
    SourcesConfig,
)
from activityrec.config_monitor import MonitorConfig
from activityrec.config_off_policy import OffPolicyConfig
from activityrec.config_promote import PromoteConfig
from activityrec.config_publish import PublishConfig
from activityrec.config_ranker import RankerConfig
from activityrec.config_recommend import ExploreConfig, RecommendConfig
from activityrec.config_retrieval import (
    AlsConfig,
    BayesConfig,
    ContentConfig,
    EaseConfig,
    HistoryConfig,
    ItemKnnConfig,
    PopularityConfig,
    RetrievalConfig,
    SegmentsConfig,
)
from activityrec.config_rules import (
    BlockConfig,
    BoostConfig,
    FrequencyConfig,
    PinConfig,
    RulesConfig,
)
from activityrec.config_tune import RangeConfig, TuneConfig

__all__ = [
    "AlsConfig",
    "AnomalyConfig",
    "AttributeConfig",
    "AttributesConfig",
    "BayesConfig",
    "BlockConfig",
    "BoostConfig",
    "Config",
    "ContentConfig",
    "EaseConfig",
    "EvaluateConfig",
    "ExportConfig",
    "ExploreConfig",
    "FeaturesConfig",
    "FrequencyConfig",
    "HistoryConfig",
    "IngestConfig",
    "InteractionsConfig",
    "ItemKnnConfig",
    "LakehouseConfig",
    "MaintainConfig",
    "MonitorConfig",
    "OffPolicyConfig",
    "PinConfig",
    "PopularityConfig",
    "PrivacyConfig",
    "PromoteConfig",
    "ProtectionConfig",
    "PublishConfig",
    "RangeConfig",
    "RankerConfig",
    "RecommendConfig",
    "ResponseConfig",
    "RetrievalConfig",
    "RulesConfig",
    "SegmentsConfig",
    "SourceConfig",
    "SourcesConfig",
    "TrackingConfig",
    "TuneConfig",
]


class LakehouseConfig(Section):
    """Where tables live: under ``root`` (paths), or in a ``catalog`` (metastore, Unity)."""

    root: str | None = None
    catalog: Name | None = None

    @model_validator(mode="after")
    def _one_of(self) -> "LakehouseConfig":
        if (self.root is None) == (self.catalog is None):
            raise ValueError("give either root or catalog")
        return self


class TrackingConfig(Section):
    """MLflow: the ``uri`` of the server, and the folder of the artifacts.

    ``experiment`` is by default the configuration's name; Databricks wants a path there, such as
    ``/Shared/shop``. ``registry`` is where models are registered, if not at ``uri``: at
    ``databricks-uc`` they are in Unity Catalog, in the schema ``serving`` of the lakehouse's
    catalog.
    """

    uri: str
    artifacts: str | None = None
    experiment: str | None = None
    registry: str | None = None

    @property
    def in_unity(self) -> bool:
        """Whether models are in Unity Catalog."""
        return (self.registry or "").startswith("databricks-uc")


class ResponseConfig(Section):
    """What counts as a response, and until when after the exposure.

    The window closes at the activity's end, or ``window_days`` after the exposure where that
    is given and earlier.
    """

    event_types: list[Name] = Field(min_length=1)
    window_days: Days | None = None


class InteractionsConfig(Section):
    """How events are folded into interactions: a weight per event type, and a decay."""

    weights: dict[Name, Annotated[float, Field(gt=0)]] = Field(min_length=1)
    half_life_days: Days = 180


class FeaturesConfig(Section):
    """What the snapshots hold.

    ``event_types`` become columns of ``user_features``; those of ``affinity_types`` are crossed
    with what activities cover; ``purchase_type`` is the one that money is spent by. Rates of
    response are smoothed by as many exposures as the priors say: a user's and a type's towards
    the rate of all, an activity's towards that of its type.
    """

    event_types: list[Name] = Field(min_length=1)
    purchase_type: Name | None = None
    affinity_types: list[Name] = []
    windows: list[Days] = [7, 30, 90]
    affinity_windows: list[Days] = [30, 90]
    age_bands: list[Annotated[int, Field(ge=0)]] = [18, 25, 35, 45, 55, 65]
    user_rate_prior: Annotated[float, Field(gt=0)] = 3.0
    type_rate_prior: Annotated[float, Field(gt=0)] = 20.0
    activity_rate_prior: Annotated[float, Field(gt=0)] = 20.0


class EvaluateConfig(Section):
    """How far the evaluation looks past ``as_of``, and its thresholds.

    Intervals come from ``replicates`` of a bootstrap of users; with 0 there are none. ``slices``
    are by default all that the data have; parts with fewer users than ``min_slice_users`` are not
    shown. ``audience`` are sizes: what the best users of each activity answered, beside all.
    Reports go to ``report_folder``, by default ``reports`` under ``lakehouse.root``; with a
    catalog and without this key, only to MLflow. What lists are like is looked at for about
    ``list_users`` users, or all where there are fewer.
    """

    horizon_days: Days = 90
    k: list[Annotated[int, Field(ge=1)]] = [3, 10]
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    min_answers: Annotated[int, Field(ge=1)] = 5
    replicates: Annotated[int, Field(ge=0, le=10_000)] = 200
    seed: int = 17
    slices: list[Name] | None = None
    min_slice_users: Annotated[int, Field(ge=1)] = 30
    audience: list[Annotated[int, Field(ge=1)]] = [100]
    report_folder: str | None = None
    list_users: Annotated[int, Field(ge=1)] = 100_000
    off_policy: OffPolicyConfig = OffPolicyConfig()


class Config(Section):
    """One deployment: a data set, where its tables live, and the parameters of the stages."""

    name: Name
    lakehouse: LakehouseConfig
    tracking: TrackingConfig
    sources: SourcesConfig
    attributes: AttributesConfig = AttributesConfig()
    ingest: IngestConfig = IngestConfig()
    privacy: PrivacyConfig | None = None
    maintain: MaintainConfig = MaintainConfig()
    response: ResponseConfig
    interactions: InteractionsConfig
    features: FeaturesConfig
    retrieval: RetrievalConfig = RetrievalConfig()
    ranker: RankerConfig = RankerConfig()
    recommend: RecommendConfig = RecommendConfig()
    rules: RulesConfig = RulesConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    promote: PromoteConfig = PromoteConfig()
    publish: PublishConfig = PublishConfig()
    export: ExportConfig = ExportConfig()
    monitor: MonitorConfig = MonitorConfig()
    tune: TuneConfig = TuneConfig()

    @property
    def samples_exposures(self) -> bool:
        """Whether examples are made of responses and of activities that got none."""
        wanted = self.ranker.examples
        return wanted == "responses" or (wanted == "auto" and not self.sources.exposures)

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        known = set(self.features.event_types)
        used_by: dict[str, set[str]] = {
            "response.event_types": set(self.response.event_types),
            "features.purchase_type": set(filter(None, [self.features.purchase_type])),
            "features.affinity_types": set(self.features.affinity_types),
            "interactions.weights": set(self.interactions.weights),
        }
        for key, used in used_by.items():
            if used - known:
                raise ValueError(
                    f"{key} names {sorted(used - known)}, not among features.event_types: "
                    f"{', '.join(sorted(known))}"
                )
        purchase_type = self.features.purchase_type
        if purchase_type is not None and purchase_type not in self.features.affinity_types:
            raise ValueError(f"features.affinity_types must hold the purchase_type {purchase_type}")
        return self

    @model_validator(mode="after")
    def _one_catalog(self) -> "Config":
        if self.tracking.in_unity and self.lakehouse.catalog is None:
            raise ValueError(f"tracking.registry {self.tracking.registry} needs lakehouse.catalog")
        return self

    @model_validator(mode="after")
    def _known_baselines(self) -> "Config":
        known = {"popularity", "past_rate", "affinity", *self.retrieval.score_columns}
        if strangers := sorted(set(self.promote.baselines) - known):
            raise ValueError(
                f"promote.baselines names {strangers}; there are {', '.join(sorted(known))}"
            )
        return self

    @model_validator(mode="after")
    def _stays_deleted(self) -> "Config":
        """Of the tables whose rows age: what a full source still has would be back at each load."""
        for table in ("events", "exposures"):
            full = [s.label for s in getattr(self.sources, table) if s.load == "full"]
            if full and f"clean.{table}" in self.maintain.retention_days:
                raise ValueError(
                    f"maintain.retention_days names clean.{table}, whose source {full[0]} has load "
                    "full: rows deleted would be back at the next load; keep old rows out by the "
                    "source's where, or give it load append or upsert"
                )
        return self
