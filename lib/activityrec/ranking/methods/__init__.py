"""The methods that rank: each is a section of the YAML that gives its MLlib stages.

A new one is a file here, a subclass of :class:`Method`, and a field of ``RankerConfig``.
"""

from activityrec.ranking.methods.factorization_machine import FmConfig
from activityrec.ranking.methods.gradient_boosting import GbtConfig, XgboostConfig
from activityrec.ranking.methods.logistic import LogisticConfig
from activityrec.ranking.methods.method import FEATURES, STANDARDISED, Method
from activityrec.ranking.methods.naive_bayes import NaiveBayesConfig
from activityrec.ranking.methods.random_forest import RandomForestConfig

__all__ = [
    "FEATURES",
    "STANDARDISED",
    "FmConfig",
    "GbtConfig",
    "LogisticConfig",
    "Method",
    "NaiveBayesConfig",
    "RandomForestConfig",
    "XgboostConfig",
]
