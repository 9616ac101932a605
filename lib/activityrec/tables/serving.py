"""The contracts of the serving tables."""

from activityrec.tables.contract import (
    ACTIVITY_ID,
    AS_OF,
    RUN_ID,
    USER_ID,
    Column,
    Table,
    finite,
    probability,
)

RECOMMENDATIONS = Table(
    "serving",
    "recommendations",
    "The activities recommended to each user, best first.",
    (
        RUN_ID,
        AS_OF,
        USER_ID,
        Column("rank", "INT", "place in the user's list, from 1", True, "rank >= 1"),
        ACTIVITY_ID,
        Column("score", "DOUBLE", "what the list is ordered by", True),
        probability("probability", "probability of a response; NULL: no ranker was trained"),
        Column("scores", "MAP<STRING, DOUBLE>", "score by each retriever", True),
        finite("affinity_products", "distinct eligible products that the user bought before"),
        finite("affinity_amount", "money spent on these"),
        Column("offers", "ARRAY<STRING>", "the user's best offers of the activity, best first",
               True),
        Column("products", "ARRAY<STRING>", "the user's best eligible products, best first", True),
        Column("reasons", "ARRAY<STRUCT<group: STRING, contribution: DOUBLE>>",
               "how much each group of inputs adds to the log-odds of a response, beside the mean "
               "of the training examples; the largest first; NULL: no ranker was trained"),
        Column("reason_codes",
               "ARRAY<STRUCT<code: STRING, figures: MAP<STRING, DOUBLE>, contribution: DOUBLE>>",
               "why it is recommended, at most three: what adds most to the log-odds first, with "
               "the figures that it is about; contribution is NULL where no ranker was trained",
               True),
        Column("reason_text", "MAP<STRING, STRING>", "the same in words, by language", True),
        Column("expected_value", "DOUBLE", "probability times margin less cost, in the currency of "
               "the data; NULL: no margin or no probability is known"),
        Column("propensity", "DOUBLE", "probability with which its slot chose it, given the slots "
               "above; 1 where chance had no part", True, "propensity > 0 AND propensity <= 1"),
        Column("model", "STRING", "model and version that ordered the list", True),
    ),
    key=("run_id", "user_id", "activity_id"),
    cluster_by=("run_id",),
)  # fmt: skip

AUDIENCES = Table(
    "serving",
    "audiences",
    "The users of each live or planned activity, best first.",
    (
        RUN_ID,
        AS_OF,
        ACTIVITY_ID,
        Column("rank", "INT", "place in the activity's audience, from 1", True, "rank >= 1"),
        USER_ID,
        Column("score", "DOUBLE", "what the audience is ordered by", True),
        probability("probability", "probability of a response; NULL: no ranker was trained"),
        Column("model", "STRING", "model and version that ordered it", True),
    ),
    key=("run_id", "activity_id", "user_id"),
    cluster_by=("run_id",),
)

EXCLUSIONS = Table(
    "serving",
    "exclusions",
    "The live and planned activities that would have entered a user's list, and why they did not.",
    (
        RUN_ID,
        AS_OF,
        USER_ID,
        ACTIVITY_ID,
        Column("rule", "STRING", "the rule that keeps it out, see docs/serving.md; of several the "
               "first", True, stats=True),
        Column("detail", "STRING", "the rule's condition or limit"),
        Column("rank", "INT", "the place that its score would have given it in the list, from 1",
               True, "rank >= 1"),
        Column("score", "DOUBLE", "its score, without boosts", True),
        probability("probability", "probability of a response; NULL: no ranker was trained"),
        Column("model", "STRING", "model and version that scored it", True),
    ),
    key=("run_id", "user_id", "activity_id"),
    cluster_by=("run_id",),
)  # fmt: skip

RULE_COUNTS = Table(
    "serving",
    "rule_counts",
    "How often each rule kept an activity out of lists.",
    (
        RUN_ID,
        AS_OF,
        Column("rule", "STRING", "as in serving.exclusions", True, stats=True),
        ACTIVITY_ID,
        Column("users", "BIGINT", "users whose list it would have entered", True, "users > 0"),
    ),
    key=("run_id", "rule", "activity_id"),
)

PUBLICATIONS = Table(
    "serving",
    "publications",
    "One row makes a run the current one for readers: the latest by published_ts.",
    (
        RUN_ID,
        AS_OF,
        Column("published_ts", "TIMESTAMP", "when it was published", True, stats=True),
        Column("model", "STRING", "model and version of its lists", True),
        Column("users", "BIGINT", "users with a list", True),
        Column("recommendations", "BIGINT", "rows of recommendations", True),
        Column("audiences", "BIGINT", "rows of audiences", True),
    ),
    key=("run_id", "published_ts"),
)

SCORED_EXPOSURES = Table(
    "serving",
    "scored_exposures",
    "Exposures after as_of with the scores that the frozen models gave them.",
    (
        RUN_ID,
        AS_OF,
        USER_ID,
        ACTIVITY_ID,
        Column("exposure_ts", "TIMESTAMP", "when it was shown or sent", True, stats=True),
        Column("label", "INT", "1: answered inside the response window", True, "label IN (0, 1)"),
        Column("weight", "DOUBLE", "for how many candidates it stands: 1, or more for one that was "
               "sampled", True, "weight > 0"),
        Column("censored", "BOOLEAN",
               "the response window had not closed when the data end", True),
        probability("ranker", "probability by the ranker under test"),
        probability("champion", "probability by the ranker in use; NULL: there is none, or it is "
                    "the one under test"),
        probability("popularity", "response rate of the activity's type"),
        probability("past_rate", "the user's smoothed past response rate"),
        Column("affinity", "DOUBLE", "money spent before on its eligible products"),
        Column("scores", "MAP<STRING, DOUBLE>", "score by each retriever", True),
        Column("slices", "MAP<STRING, STRING>", "which part of each slice it belongs to", True),
    ),
    key=("run_id", "user_id", "activity_id", "exposure_ts"),
    cluster_by=("run_id",),
)  # fmt: skip
