"""An example for Airflow 3: the pipeline by stages every night, upkeep on schedules of its own.

Put it into Airflow's folder of DAGs, and set the variables activityrec_home (the checkout, after
``make setup``), activityrec_config (the YAML of the deployment) and activityrec_forget_list (a file
that may be missing).
Its secrets are the passwords of the connections in SECRETS. All tasks share a pool of one slot,
``airflow pools set activityrec 1 "one job at a time on a lakehouse"``: nothing else keeps two jobs
apart where tables are in a catalog or an object store.
"""

from datetime import datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

SECRETS = {
    "PSEUDONYM_KEY": "{{ conn.activityrec_pseudonyms.password }}",
    "SOURCE_PASSWORD": "{{ conn.activityrec_source.password }}",
    "EXPORT_PASSWORD": "{{ conn.activityrec_export.password }}",
}
"""What the configuration reads from the environment: ``privacy.key_env``, and ``${NAME}``."""

DEFAULTS = {
    "pool": "activityrec",
    "retries": 2,
    "retry_delay": timedelta(minutes=5),
    "execution_timeout": timedelta(hours=3),
    "env": SECRETS,
    "append_env": True,
    "cwd": "{{ var.value.activityrec_home }}",
}

ARGUMENTS = "--config {{ var.value.activityrec_config }} --as-of {{ data_interval_end | ds }}"
"""A run knows what happened before the day on which it starts."""

STAGES = [
    ("ingest", "ingest.py", ""),
    ("features", "features.py", "--held-out"),
    ("train", "train.py", "--held-out"),
    ("evaluate", "evaluate.py", "--held-out"),
    ("promote", "promote.py", "--held-out"),
    ("features_of_today", "features.py", ""),
    ("recommend", "recommend.py", ""),
    ("publish", "publish.py", ""),
    ("report", "report.py", ""),
]
"""Task, script and further arguments, as jobs/pipeline.py orders them."""

UPKEEP = [
    ("monitor", "monitor.py", "", "0 10 * * *"),
    ("export", "export.py", "", "0 12 * * *"),
    (
        "forget",
        "forget.py",
        "--users {{ var.value.activityrec_forget_list }} --if-any",
        "0 14 * * *",
    ),
    ("maintain", "maintain.py", "", "0 19 * * 0"),
]
"""Job, script, further arguments and schedule (UTC)."""


def submit(task: str, script: str, more: str) -> BashOperator:
    """A task that runs a script; what fails again when it is tried again is not tried again."""
    command = f"./spark-submit.sh jobs/{script} {ARGUMENTS} {more}".rstrip()
    once = {"retries": 0} if task in ("promote", "publish", "monitor") else {}
    return BashOperator(task_id=task, bash_command=command, **once)


def dag(name: str, schedule: str) -> DAG:
    return DAG(
        name,
        schedule=schedule,
        start_date=datetime(2024, 1, 1),
        catchup=False,
        max_active_runs=1,
        default_args=DEFAULTS,
        tags=["activityrec"],
    )


with dag("activityrec_pipeline", "0 2 * * *"):
    before = None
    for stage in STAGES:
        task = submit(*stage)
        if before is not None:
            before >> task
        before = task

for name, script, more, schedule in UPKEEP:
    with dag(f"activityrec_{name}", schedule):
        submit(name, script, more)
