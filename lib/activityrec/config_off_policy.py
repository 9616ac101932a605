"""The section ``evaluate.off_policy`` of the configuration."""

from typing import Annotated, Literal

from pydantic import Field

from activityrec.config_base import Name, Section


class OffPolicyConfig(Section):
    """What other policies would have earned on the exposures of the horizon, see
    docs/evaluation.md.

    ``propensities``: those that the log has (``logged``), or those of a model (``estimated``);
    ``auto`` takes the logged ones where there are any, and estimates where there are none.
    ``context`` are Spark SQL expressions over the columns of ``user_features``, by name: what
    propensities and responses are predicted from, besides day and position. Numbers are cut into
    eight equal parts. By default these are age band, gender, the declared attributes of users
    and the segment. The models are logistic, cross-fitted in ``folds`` of users, with an ``l2``
    penalty on the sum of the losses; estimated propensities are at least ``propensity_floor``.
    Without ``reward_model`` there are only the estimators that need none.

    Weights are clipped at ``clip`` (by default not at all); ``tau`` and ``shrinkage`` are those of
    the estimators ``switch_dr`` and ``dros``. There is a refusal instead of a number where a policy
    gives more than ``unsupported_limit`` of its probability to what the log does not show, where
    the exposures are worth fewer than ``min_effective_rows``, where the mean weight is farther from
    1 than ``weight_tolerance`` by its interval, and where more than ``no_choice_limit`` of the
    exposures had no alternative.

    With more than ``max_activities`` in the log nothing is modelled. Of more than ``max_users``
    about so many are drawn, by hash.
    """

    propensities: Literal["auto", "logged", "estimated"] = "auto"
    context: dict[Name, str] | None = None
    reward_model: bool = True
    folds: Annotated[int, Field(ge=2, le=20)] = 3
    l2: Annotated[float, Field(gt=0)] = 0.01
    propensity_floor: Annotated[float, Field(gt=0, lt=1)] = 0.001
    clip: Annotated[float, Field(gt=0)] | None = None
    tau: Annotated[float, Field(ge=0)] = 10.0
    shrinkage: Annotated[float, Field(ge=0)] = 100.0
    unsupported_limit: Annotated[float, Field(ge=0, le=1)] = 0.01
    min_effective_rows: Annotated[float, Field(ge=0)] = 30.0
    weight_tolerance: Annotated[float, Field(ge=0)] | None = 0.1
    no_choice_limit: Annotated[float, Field(ge=0, le=1)] = 0.5
    max_activities: Annotated[int, Field(ge=2)] = 200
    max_users: Annotated[int, Field(ge=1)] = 100_000
