"""The contracts of what evaluation finds: metrics, curves, checks, policies, decisions."""

from activityrec.tables.contract import AS_OF, RUN_ID, Column, Table, finite, probability

_INTERVAL = (
    Column("low", "DOUBLE", "beginning of its 95 % interval, by a bootstrap of users; NULL: none"),
    Column("high", "DOUBLE", "end of it"),
)
_MODEL = Column(
    "model", "STRING", "ranker (the one under test), champion, a baseline, or diversified: the "
    "lists of the one under test, re-ranked by recommend.diversity", True, stats=True,
)  # fmt: skip
_POPULATION = Column(
    "population", "STRING",
    "all: every exposure in the horizon; closed: those whose response window closed before the "
    "data end; lists: the lists made at as_of", True, stats=True,
)  # fmt: skip
_SLICE = (
    Column("slice", "STRING", "what the population is divided by; all: it is not", True,
           stats=True),
    Column("slice_value", "STRING", "which part it is; NULL: all of it"),
)  # fmt: skip

METRICS = Table(
    "serving",
    "metrics",
    "What the evaluation found.",
    (
        RUN_ID,
        AS_OF,
        _MODEL,
        Column("metric", "STRING", "name of the metric", True, stats=True),
        _POPULATION,
        Column("k", "INT", "length of the list that it looks at; NULL: none, or all of it"),
        *_SLICE,
        Column("value", "DOUBLE", "its value; NULL: not defined, as without positives"),
        *_INTERVAL,
        Column("differs", "BOOLEAN", "whether the interval of the part's difference from the whole "
               "leaves out 0; NULL: no part, or no interval"),
        Column("rows", "BIGINT", "exposures, or list rows, that it was computed from; of "
               "auc_within_user_live: pairs of exposures", True),
        Column("positives", "BIGINT", "answered ones among them", True),
        Column("groups", "BIGINT", "users or activities averaged over; users of a part; of "
               "users_without_relevant these users; NULL: pooled"),
    ),
    key=("run_id", "model", "metric", "population", "k", "slice", "slice_value"),
    cluster_by=("run_id",),
)  # fmt: skip

COMPARISONS = Table(
    "serving",
    "comparisons",
    "How much every two models differ, on the same users.",
    (
        RUN_ID,
        AS_OF,
        Column("model", "STRING", "a model of serving.metrics", True, stats=True),
        Column("baseline", "STRING", "the one that it is compared with", True, stats=True),
        Column("metric", "STRING", "name of the metric", True, stats=True),
        Column("population", "STRING", "as in serving.metrics", True, stats=True),
        Column("k", "INT", "as in serving.metrics"),
        *_SLICE,
        Column("difference", "DOUBLE", "the model's value less the baseline's; NULL: not defined"),
        *_INTERVAL,
    ),
    key=("run_id", "model", "baseline", "metric", "population", "k", "slice", "slice_value"),
    cluster_by=("run_id",),
)

CURVES = Table(
    "serving",
    "curves",
    "Calibration and gain curves: exposures in bins of the score.",
    (
        RUN_ID,
        AS_OF,
        _MODEL,
        _POPULATION,
        Column("curve", "STRING", "calibration: bins of equal width in [0, 1]; gain: tenths of the "
               "exposures, the highest scores first", True, stats=True),
        Column("bin", "INT", "number of the bin, from 1", True, "bin >= 1"),
        Column("mean_score", "DOUBLE", "mean score in the bin", True),
        probability("rate", "answered share in the bin"),
        *_INTERVAL,
        finite("lift", "rate divided by that of all exposures; NULL: nothing was answered"),
        probability("captured", "share of all answered exposures in this bin and those before it; "
                    "NULL: nothing was answered, or a bin of the curve is hidden"),
        Column("rows", "BIGINT", "exposures in the bin", True),
        Column("positives", "BIGINT", "answered ones among them", True),
        Column("users", "BIGINT", "users of these exposures", True),
    ),
    key=("run_id", "model", "population", "curve", "bin"),
    cluster_by=("run_id",),
)  # fmt: skip

INPUT_CHECKS = Table(
    "serving",
    "input_checks",
    "Each input of the ranker and each model's score: what it weighs, tells, and how it drifted.",
    (
        RUN_ID,
        AS_OF,
        Column("kind", "STRING", "input: of the ranker under test; score: of a model", True,
               stats=True),
        Column("name", "STRING", "name of the input, or the model", True, stats=True),
        Column("importance", "DOUBLE", "input: its coefficient per standard deviation (logistic), "
               "or its importance (trees); NULL: the method has none"),
        probability("auc_before", "AUC of this value alone on the training examples; below 0.5: "
                    "the lower, the likelier; NULL: not defined"),
        probability("auc_after", "likewise on the exposures after as_of"),
        finite("psi", "population stability index from the training examples to the exposures "
               "after as_of, over tenths of the former; NULL: one of them has no rows"),
        finite("js", "Jensen-Shannon divergence of the same, in bits"),
        Column("rows_before", "BIGINT", "training examples", True),
        Column("rows_after", "BIGINT", "exposures after as_of", True),
        Column("alarm", "STRING", "what is suspicious, in words; NULL: nothing"),
    ),
    key=("run_id", "kind", "name"),
    cluster_by=("run_id",),
)  # fmt: skip

POLICY_VALUES = Table(
    "serving",
    "policy_values",
    "Responses per exposure that policies would have had, estimated from the exposures after "
    "as_of.",
    (
        RUN_ID,
        AS_OF,
        Column("policy", "STRING", "recommended: the lists made at as_of; popularity: the most "
               "popular activities; logging: the policy of the log itself", True, stats=True),
        Column("estimator", "STRING", "such as ipw or dr, see docs/evaluation.md; on_policy: the "
               "mean response of the log; all, in a refusal", True, stats=True),
        Column("value", "DOUBLE", "the estimate; NULL: refused"),
        *_INTERVAL,
        Column("rows", "BIGINT", "exposures of the log", True),
        finite("effective_sample_size", "how many exposures the weighted ones are worth"),
        finite("mean_weight", "near 1 where the log supports the policy"),
        finite("largest_weight", "before clipping"),
        probability("clipped", "share of exposures whose weight was clipped"),
        probability("unsupported", "probability of the policy on activities that the log never "
                    "shows; NULL: not known"),
        Column("propensities", "STRING", "logged; estimated, by a model; none: the estimate needs "
               "none", True),
        Column("refusal", "STRING", "why there is no estimate; NULL: there is one"),
    ),
    key=("run_id", "policy", "estimator"),
    cluster_by=("run_id",),
)  # fmt: skip

PROMOTIONS = Table(
    "serving",
    "promotions",
    "What the gate checked before a model became champion, or did not.",
    (
        RUN_ID,
        AS_OF,
        Column("decided_ts", "TIMESTAMP", "when", True, stats=True),
        Column("challenger", "STRING", "model and version that asked; in a rollback: that came "
               "back", True),
        Column("champion", "STRING", "model and version that was in use; NULL: none"),
        Column("decision", "STRING", "promoted, kept (the champion stays) or rolled_back", True,
               "decision IN ('promoted', 'kept', 'rolled_back')"),
        Column("check_name", "STRING", "which check", True),
        Column("passed", "BOOLEAN", "whether it held", True),
        Column("value", "DOUBLE", "the figure that it looked at; NULL: there is none"),
        Column("bound", "DOUBLE", "what it was compared with; NULL: nothing"),
        Column("reason", "STRING", "the check in words, with its figures", True),
    ),
    key=("run_id", "decided_ts", "check_name"),
    cluster_by=("run_id",),
)  # fmt: skip

EVALUATION = (METRICS, COMPARISONS, CURVES, INPUT_CHECKS, POLICY_VALUES, PROMOTIONS)
