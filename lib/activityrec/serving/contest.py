"""Champion and challenger: which model is evaluated, beside which, and what the gate may know."""

from pyspark.sql import Row, Window
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.errors import StateError
from activityrec.evaluation.gate import Evidence
from activityrec.job import Job
from activityrec.serving.candidates import Serving
from activityrec.serving.load import load_serving
from activityrec.tables import Table
from activityrec.tracking import CHALLENGER, CHAMPION, PARTS, RETRIEVAL_VERSION, ModelVersion

EVALUATED_RUN = "evaluated_run"
"""Tag of a version: the run that evaluated it last."""
EVALUATED_BESIDE = "evaluated_beside"
"""Tag of a version: the champion at that time, ``none`` without one."""
INCOMPARABLE = "evaluated_incomparable"
"""Tag of a version: why that champion was not evaluated beside it; empty where it was."""


def under_test(job: Job) -> str:
    """The alias of the model to evaluate: the challenger, where it is of the job's day or an
    earlier one and trained no earlier than the champion; otherwise the champion."""
    challenger = job.tracking.version("retrieval", CHALLENGER)
    champion = job.tracking.version("retrieval", CHAMPION)
    if challenger is None or challenger.as_of > job.as_of:
        return CHAMPION
    if champion is not None and challenger.as_of < champion.as_of <= job.as_of:
        return CHAMPION
    return CHALLENGER


def load_champion(job: Job, tested: ModelVersion) -> tuple[Serving | None, str]:
    """The champion, to be evaluated beside another model, or why it cannot be.

    Returns
    -------
    tuple
        None and a reason where it was trained later, or does not serve with this configuration;
        None and an empty reason where there is no champion, or where it is the one under test.
    """
    current = standing(job, CHAMPION)
    if current is None or current == str(tested):
        return None, ""
    try:
        serving, _ = load_serving(job, CHAMPION)
    except StateError as error:
        return None, str(error)
    return serving, ""


def standing(job: Job, alias: str) -> str | None:
    """Name and version of what stands for a model, as ``load_serving`` gives it."""
    versions = versions_of(job, alias)
    return str(versions.get("ranker", versions["retrieval"])) if versions else None


def versions_of(job: Job, alias: str) -> dict[str, ModelVersion]:
    """The versions of a model by part; empty without one. The ranker is left out where it is of
    another training: the retrieval model has none then."""
    found = {part: job.tracking.version(part, alias) for part in PARTS}
    retrieval, ranker = found["retrieval"], found["ranker"]
    if retrieval is None:
        return {}
    if ranker is None or ranker.tags.get(RETRIEVAL_VERSION) != retrieval.version:
        return {"retrieval": retrieval}
    return {"retrieval": retrieval, "ranker": ranker}


def evaluated_tags(job: Job, incomparable: str) -> dict[str, str]:
    """What a version's tags say of the evaluation that it has just had."""
    return {
        EVALUATED_RUN: job.run_id,
        EVALUATED_BESIDE: standing(job, CHAMPION) or "none",
        INCOMPARABLE: incomparable,
    }


def evidence_of(job: Job) -> Evidence:
    """What the evaluation of this run found of the challenger.

    Raises
    ------
    StateError
        This run did not evaluate it, or there was another champion then.
    """
    versions = versions_of(job, CHALLENGER)
    tested = versions.get("ranker", versions["retrieval"])
    if tested.tags.get(EVALUATED_RUN) != job.run_id:
        raise StateError(f"{tested} was not evaluated by run {job.run_id}: run evaluate first")
    champion = versions_of(job, CHAMPION)
    if tested.tags.get(EVALUATED_BESIDE) != (standing(job, CHAMPION) or "none"):
        raise StateError(
            f"{tested} was evaluated beside {tested.tags.get(EVALUATED_BESIDE)}, and the champion "
            "has changed since: run evaluate again"
        )
    mine = f"run_id = '{job.run_id}'"

    def rows(table: Table) -> list[Row]:
        if not job.lakehouse.exists(table):
            return []
        return job.lakehouse.read(table).where(mine).collect()

    return Evidence(
        metrics=rows(tables.METRICS),
        comparisons=rows(tables.COMPARISONS),
        input_checks=rows(tables.INPUT_CHECKS),
        policy_values=rows(tables.POLICY_VALUES),
        loads=_latest_loads(job),
        champion=bool(champion),
        newer=bool(champion) and champion["retrieval"].as_of > tested.as_of,
        incomparable=tested.tags.get(INCOMPARABLE) or None,
    )


def _latest_loads(job: Job) -> list[Row]:
    """``rows`` and ``refused`` of the latest load of each clean table."""
    if not job.lakehouse.exists(tables.BATCHES):
        return []
    latest = Window.partitionBy("table_name").orderBy(F.desc("loaded_ts"), F.desc("batch_id"))
    numbered = job.lakehouse.read(tables.BATCHES).withColumn("_place", F.rank().over(latest))
    return (
        numbered.where("_place = 1")
        .groupBy("table_name")
        .agg(F.sum("rows").alias("rows"), F.sum("refused").alias("refused"))
        .collect()
    )


def previous_champion(job: Job, current: str) -> dict[str, ModelVersion]:
    """The versions, by part, that ``current`` took the place of when it was promoted.

    Raises
    ------
    StateError
        It was the first champion, nothing is known of its promotion, or the versions are gone.
    """
    rows: list[Row] = []
    if job.lakehouse.exists(tables.PROMOTIONS):
        decisions = job.lakehouse.read(tables.PROMOTIONS).where("decision = 'promoted'")
        mine = decisions.where(F.col("challenger") == current)
        rows = mine.orderBy(F.desc("decided_ts")).limit(1).collect()
    if not rows or rows[0]["champion"] is None:
        raise StateError(f"{current} was the first champion: there is nothing to go back to")
    name = rows[0]["champion"]
    found = {version.name: version for version in job.tracking.named(name)}
    by_part = {part: found.get(job.tracking.model_name(part)) for part in PARTS}
    versions = {part: version for part, version in by_part.items() if version is not None}
    if "retrieval" not in versions:
        raise StateError(f"{name}, the champion before {current}, is gone from the registry")
    return versions
