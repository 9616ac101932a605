"""The section ``monitor`` of the configuration."""

from typing import Annotated

from pydantic import Field

from activityrec.config_base import Days, Section

Index = Annotated[float, Field(gt=0)]
"""Limit of a population stability index."""
Bits = Annotated[float, Field(gt=0, le=1)]
"""Limit of a Jensen-Shannon divergence."""


class MonitorConfig(Section):
    """What the job ``monitor`` compares, and from which figures on it raises an alarm.

    Exposures of the last ``exposure_days`` days count, in ``serving.performance`` too: choose more
    than the longest response window. Checks are about the last ``days`` days. Inputs of the
    ranker are compared with the training examples of the champion, scores with those of the run
    that was current ``days`` days before, response rates with the ``reference_days`` days
    before, promised rates with what came.

    A check with fewer than ``min_rows`` rows on a side, or of rates with fewer than
    ``min_responses`` responses before, is not made; nor one of an input that depends on the
    activity where fewer than ``min_activities`` were shown on a side: few activities always
    differ from others. With these numbers chance alone stays below the limits.

    The limits: ``max_input_psi`` and ``max_score_psi`` of the population stability index, where
    0.1 is usually called small and 0.25 large; ``max_input_js`` and ``max_score_js`` of the
    Jensen-Shannon divergence in bits; ``max_rate_change``: 0.3 allows a response rate of 0.7 to 1.3
    times that before; ``max_calibration``: 1.5 allows to promise 1.5 times what came, or to get
    1.5 times what was promised. Of these two what chance may explain is no alarm.
    """

    exposure_days: Days = 180
    days: Days = 7
    reference_days: Days = 28
    min_rows: Annotated[int, Field(ge=1)] = 200
    min_responses: Annotated[int, Field(ge=1)] = 20
    min_activities: Annotated[int, Field(ge=1)] = 50
    max_input_psi: Index = 0.25
    max_input_js: Bits = 0.1
    max_score_psi: Index = 0.25
    max_score_js: Bits = 0.1
    max_rate_change: Annotated[float, Field(gt=0, lt=1)] = 0.3
    max_calibration: Annotated[float, Field(gt=1)] = 1.5
