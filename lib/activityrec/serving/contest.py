"""Champion and challenger: which model is evaluated, beside which, and what the gate may know."""

import logging
from contextlib import suppress

from pyspark.sql import Row, Window
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.errors import StateError
from activityrec.evaluation.gate import Evidence
from activityrec.ingest.batch import ERASED
from activityrec.ingest.keys import SUPERSEDED
from activityrec.job import Job
from activityrec.serving.candidates import Serving
from activityrec.serving.load import fit_of, load_serving
from activityrec.tables import Table
from activityrec.tracking import (
    CHALLENGER,
    CHAMPION,
    HAS_RANKER,
    PARTS,
    RETRIEVAL_VERSION,
    SETTINGS,
    ModelVersion,
)

log = logging.getLogger("activityrec")

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


def complete(job: Job) -> None:
    """Finish an alias that was moved on the ranker, and not yet on its retrieval model."""
    for alias in (CHAMPION, CHALLENGER):
        ranker = job.tracking.version("ranker", alias)
        retrieval = job.tracking.version("retrieval", alias)
        if ranker is None or retrieval is None or retrieval.tags.get(HAS_RANKER) == "false":
            continue
        if ranker.tags.get(RETRIEVAL_VERSION) != retrieval.version:
            log.warning("the %s was changed by half: %s is completed", alias, ranker)
            job.tracking.point(alias, {"retrieval": ranker.tags[RETRIEVAL_VERSION]})


def evaluated_tags(job: Job, beside: str | None, incomparable: str) -> dict[str, str]:
    """What a version's tags say of the evaluation that it has just had, beside a champion."""
    return {
        EVALUATED_RUN: job.run_id,
        EVALUATED_BESIDE: beside or "none",
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
    # Older versions of rows, and users who were erased, are refused for no fault of the load.
    faultless = F.map_filter(
        "rules", lambda rule, _: rule.startswith(SUPERSEDED) | (rule == ERASED)
    )
    others = F.aggregate(F.map_values(faultless), F.lit(0).cast("bigint"), lambda sum, n: sum + n)
    return (
        numbered.where("_place = 1")
        .groupBy("table_name")
        .agg(F.sum("rows").alias("rows"), F.sum(F.col("refused") - others).alias("refused"))
        .collect()
    )


def kept_settings(job: Job) -> set[str]:
    """The settings of the fits that may still be served: those of the champion, of the one before
    it, and of the challenger."""
    versions = [job.tracking.version("retrieval", alias) for alias in (CHAMPION, CHALLENGER)]
    current = standing(job, CHAMPION)
    if current is not None:
        with suppress(StateError):
            versions.append(previous_champion(job, current)["retrieval"])
    return {version.tags.get(SETTINGS, "") for version in versions if version is not None}


def check_servable(job: Job, versions: dict[str, ModelVersion]) -> None:
    """Refuse a model whose vectors are gone.

    Raises
    ------
    StateError
        They were deleted, or another fit of that day and these settings was never made.
    """
    retrieval = versions["retrieval"]
    if job.lakehouse.read(tables.ITEM_VECTORS).where(fit_of(retrieval)).isEmpty():
        raise StateError(
            f"{retrieval} cannot serve any more: features.item_vectors has no fit of "
            f"{retrieval.as_of} by its settings; train again with its configuration"
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
