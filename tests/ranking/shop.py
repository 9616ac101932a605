"""Examples of which it is known why users answer, for the tests of rankers."""

from datetime import datetime, timedelta
from typing import Any

import numpy as np

from activityrec.config import Config, RankerConfig

SCHEMA = (
    "user_id STRING, activity_id STRING, exposure_ts TIMESTAMP, label INT, "
    "bought DOUBLE, rate DOUBLE, kind STRING"
)

SMALL: dict[str, dict[str, Any]] = {
    "logistic": {},
    "fm": {"max_iter": 40, "reg": 0.01},
    "random_forest": {"trees": 12, "depth": 4},
    "gbt": {"trees": 8},
    "naive_bayes": {},
    "naive_bayes bernoulli": {"kind": "bernoulli"},
    "xgboost": {"trees": 10},
}
"""Every method, and a variant of one, with parameters for few examples."""


def ranker_config(planted_config: Config, method: str, **change: Any) -> Config:
    """A configuration for these examples."""
    ranker = RankerConfig.model_validate(
        {
            "method": method.split()[0],
            method.split()[0]: SMALL[method],
            "inputs": {"bought": "ln(1 + bought)", "rate": "rate"},
            "categorical": ["kind"],
        }
        | change
    )
    return planted_config.model_copy(update={"ranker": ranker})


def example_rows(n: int, seed: int) -> list[tuple]:
    """Whether a user answers follows from what they bought and from the kind of the activity,
    and hardly from how often they answered before."""
    random = np.random.default_rng(seed)
    rows = []
    for place in range(n):
        bought, rate, kind = random.exponential(3), random.random() / 2, "ab"[place % 2]
        log_odds = 2.5 * np.log1p(bought) + (1.5 if kind == "a" else -1.5) + rate - 3.5
        label = int(random.random() < 1 / (1 + np.exp(-log_odds)))
        at = datetime(2024, 1, 1) + timedelta(hours=place)
        rows.append((f"u{place:04d}", f"a{place % 5}", at, label, bought, rate, kind))
    return rows
