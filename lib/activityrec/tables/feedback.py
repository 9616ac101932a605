"""The contracts of what the field says: what came of publications, and what the monitor found."""

from activityrec.tables.contract import AS_OF, Column, Table, finite, probability

PERFORMANCE = Table(
    "serving",
    "performance",
    "What came of what was published: exposures before as_of beside the publication that was the "
    "current one at their time.",
    (
        AS_OF,
        Column("slice", "STRING", "what exposures are divided by: all (they are not), activity, "
               "rank, model, run, reason, propensity_band, day; see docs/monitoring.md", True,
               stats=True),
        Column("slice_value", "STRING", "which part it is, such as the activity_id, or a code of "
               "reason_codes; NULL: all of it"),
        Column("attribution", "STRING", "recommended: the pair was in the user's list; audience: "
               "only in the activity's audience; not_recommended: in neither; expired: lists of "
               "that run are gone; unpublished: nothing was published yet", True,
               "attribution IN ('recommended', 'audience', 'not_recommended', 'expired', "
               "'unpublished')", stats=True),
        Column("exposures", "BIGINT", "exposures", True, "exposures > 0"),
        Column("users", "BIGINT", "users of these", True, "users > 0"),
        Column("open", "BIGINT", "exposures whose response window had not closed by as_of: they "
               "are in none of the rates", True, "open >= 0"),
        Column("closed", "BIGINT", "the other exposures", True, "closed >= 0"),
        Column("responses", "BIGINT", "closed exposures that were answered inside the window", True,
               "responses >= 0"),
        probability("response_rate", "responses divided by closed; NULL: none has closed"),
        Column("low", "DOUBLE", "beginning of its 95 % interval, by a bootstrap of users; NULL: "
               "none"),
        Column("high", "DOUBLE", "end of it"),
        probability("promised_rate", "mean of the probabilities that were published, over closed "
                    "exposures; NULL: there is none, as for pairs that were not recommended"),
        finite("calibration_ratio", "promised_rate divided by the response rate of the same "
               "exposures: above 1, more was promised than came; NULL: no promise, or no "
               "response"),
        Column("calibration_low", "DOUBLE", "beginning of its 95 % interval; NULL: none"),
        Column("calibration_high", "DOUBLE", "end of it"),
    ),
    key=("as_of", "slice", "slice_value", "attribution"),
    cluster_by=("as_of",),
)  # fmt: skip

MONITORING = Table(
    "serving",
    "monitoring",
    "What the monitor looked at: drift of inputs, scores and response rates, and calibration.",
    (
        AS_OF,
        Column("check_name", "STRING", "which check, see docs/monitoring.md", True, stats=True),
        Column("name", "STRING", "of what: an input of the ranker, an activity type, or all", True),
        Column("value", "DOUBLE", "the figure that it looked at; NULL: there is none, as where the "
               "check could not be made"),
        Column("bound", "DOUBLE", "what it was compared with", True),
        Column("passed", "BOOLEAN", "whether it held; NULL: the check could not be made"),
        Column("reason", "STRING", "the check in words, with its figures; or why it could not be "
               "made", True),
        Column("rows_before", "BIGINT", "rows that it was compared with; NULL: not looked at"),
        Column("rows_after", "BIGINT", "rows of the days that it is about; NULL: not looked at"),
    ),
    key=("as_of", "check_name", "name"),
    cluster_by=("as_of",),
)  # fmt: skip
