"""The contracts of what publishing leaves behind beside ``serving.publications``."""

from activityrec.tables.contract import AS_OF, RUN_ID, Column, Table

AUDITS = Table(
    "serving",
    "audits",
    "What the audit of a run looked at before it was published, or was not.",
    (
        RUN_ID,
        AS_OF,
        Column("audited_ts", "TIMESTAMP", "when", True, stats=True),
        Column("check_name", "STRING", "which check", True),
        Column("value", "DOUBLE", "the figure that it looked at; NULL: there is none"),
        Column("bound", "DOUBLE", "what it was compared with; NULL: nothing"),
        Column("passed", "BOOLEAN", "whether it held", True),
        Column("reason", "STRING", "the check in words, with its figures", True),
    ),
    key=("run_id", "audited_ts", "check_name"),
    cluster_by=("run_id",),
)

EXPORTS = Table(
    "serving",
    "exports",
    "Which publications went to which targets outside the lakehouse.",
    (
        Column("target", "STRING", "name of the target in the configuration", True, stats=True),
        Column("table_name", "STRING", "recommendations or audiences", True, stats=True),
        RUN_ID,
        Column("published_ts", "TIMESTAMP", "of the publication", True, stats=True),
        Column("rows", "BIGINT", "rows that the target has since", True),
        Column("exported_ts", "TIMESTAMP", "when the export began", True, stats=True),
    ),
    key=("target", "table_name", "run_id", "published_ts", "exported_ts"),
)

STAGES = Table(
    "serving",
    "stages",
    "What each stage of each run wrote and how long it took: the log of the jobs.",
    (
        RUN_ID,
        AS_OF,
        Column("stage", "STRING", "name of the stage, with the options that were given", True),
        Column("status", "STRING", "begun: a run of several stages starts with this one; done; "
               "failed: its tables are as they were before; alarm: done, and error says what is "
               "wrong", True, "status IN ('begun', 'done', 'failed', 'alarm')"),
        Column("ended_ts", "TIMESTAMP", "when it ended", True, stats=True),
        Column("seconds", "DOUBLE", "how long it took", True, "seconds >= 0"),
        Column("rows", "MAP<STRING, BIGINT>", "rows written, by table; empty where there is an "
               "error", True),
        Column("error", "STRING", "why it failed, or the alarm; NULL: neither. With privacy not in "
               "words"),
        Column("configuration", "STRING", "hash of the configuration that it ran with", True),
    ),
    key=("run_id", "stage", "ended_ts"),
)  # fmt: skip
