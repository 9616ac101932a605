"""The section ``promote`` of the configuration."""

from typing import Annotated, Literal

from pydantic import Field

from activityrec.config_base import Name, Section

Share = Annotated[float, Field(ge=0, le=1)]


class PromoteConfig(Section):
    """The gate: what a challenger must show before it becomes champion.

    ``metric`` of ``population`` is the primary one; where the data have no exposures it is
    ``list_metric`` at the largest k. The challenger must be above each of ``baselines`` (those that
    were evaluated): the 95 % interval of the difference begins above ``-baseline_tolerance``. It
    must not be below the champion: that interval begins above ``-tolerance``. No part of a slice
    may be worse than the champion by more than ``slice_tolerance``, its whole interval.

    Guardrails: ``max_calibration_error`` of the challenger; ``min_coverage``, the share of the
    candidate activities in its lists; ``min_rows`` and ``min_positives`` that the primary metric
    was computed from; ``min_effective_rows``, the effective sample size of the off-policy estimate
    of its lists, where propensities were logged (0: it is not asked for); no alarm of leakage;
    ``max_refused``, the share of refused rows in the latest load of each table.

    ``holdout_days``: in the pipeline models are trained so many days before ``as_of`` and
    evaluated on what happened since; with 0 they are trained at ``as_of`` and evaluated on what
    the data know of later days, as when history is replayed.
    """

    metric: Literal[
        "auc", "average_precision", "auc_within_activity", "auc_within_user",
        "auc_within_activity_weighted", "auc_within_user_weighted", "auc_within_user_live",
    ] = "average_precision"  # fmt: skip
    population: Literal["all", "closed"] = "closed"
    list_metric: Literal["ndcg", "map", "mrr", "recall", "precision", "hit_rate"] = "ndcg"
    baselines: list[Name] = ["popularity", "past_rate", "affinity"]
    baseline_tolerance: Share = 0.0
    tolerance: Share = 0.02
    slice_tolerance: Share = 0.05
    max_calibration_error: Share = 0.1
    min_coverage: Share = 0.1
    min_rows: Annotated[int, Field(ge=1)] = 200
    min_positives: Annotated[int, Field(ge=1)] = 30
    min_effective_rows: Annotated[float, Field(ge=0)] = 30.0
    max_refused: Share = 0.2
    holdout_days: Annotated[int, Field(ge=0)] = 0
