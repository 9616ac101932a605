"""Promote: the challenger becomes champion if it passes the gate; --rollback goes back."""

import logging

from activityrec import tables
from activityrec.errors import StateError
from activityrec.evaluation.gate import Check, decide
from activityrec.job import HELD_OUT, Job, main
from activityrec.serving.attempts import last_in
from activityrec.serving.contest import (
    check_servable,
    complete,
    evidence_of,
    previous_champion,
    standing,
    versions_of,
)
from activityrec.tracking import CHALLENGER, CHAMPION

log = logging.getLogger("activityrec")


def run(job: Job) -> dict[str, int]:
    """Decide, and say why in ``serving.promotions`` and in tags of the version."""
    complete(job)
    if "rollback" in job.flags:
        return roll_back(job)
    challenger, champion = standing(job, CHALLENGER), standing(job, CHAMPION)
    if challenger is None:
        raise StateError(f"{job.config.name} has no challenger: run train first")
    if challenger == champion:
        log.info("promote: %s is the champion already", challenger)
        return {"promotions": 0}
    checks = forced(job) if "force" in job.flags else decide(evidence_of(job), job.config.promote)
    failed = [check for check in checks if not check.passed]
    promoted = not failed or "force" in job.flags
    written = record(job, challenger, champion, "promoted" if promoted else "kept", checks)
    for check in failed:
        log.warning("promote: %s failed: %s", check.name, check.reason)
    if promoted:
        versions = {part: v.version for part, v in versions_of(job, CHALLENGER).items()}
        job.tracking.point(CHAMPION, versions)
        log.info("promote: %s is the champion now", challenger)
    elif champion is not None:
        log.warning("promote: %s did not pass: %s stays the champion", challenger, champion)
    else:
        # The reasons stay, though the stage fails.
        job.lakehouse.keep()
        reasons = "; ".join(f"{check.name}: {check.reason}" for check in failed)
        raise StateError(
            f"{challenger} did not pass the gate, and there is no champion to go on with: "
            f"{reasons}. Change promote in the configuration, or run promote --force"
        )
    return {"promotions": written}


def forced(job: Job) -> list[Check]:
    """What the gate would say, where there was an evaluation, and that it was passed over."""
    try:
        found = decide(evidence_of(job), job.config.promote)
    except StateError as error:
        found = [Check("evaluated", False, str(error))]
    return [*found, Check("force", True, "promoted by --force, whatever the other checks say")]


def roll_back(job: Job) -> dict[str, int]:
    """The champion before the current one is champion again."""
    current = standing(job, CHAMPION)
    if current is None:
        raise StateError(f"{job.config.name} has no champion: there is nothing to go back from")
    versions = previous_champion(job, current)
    check_servable(job, versions)
    name = str(versions.get("ranker", versions["retrieval"]))
    reason = f"rolled back from {current} by request"
    check = Check("rollback", True, reason)
    written = record(job, name, current, "rolled_back", [check])
    job.tracking.point(CHAMPION, {part: version.version for part, version in versions.items()})
    if standing(job, CHALLENGER) == current:
        # Otherwise the next promote would bring it back.
        job.tracking.unpoint(CHALLENGER)
    log.warning("promote: %s is the champion again; publish with recommend and publish", name)
    return {"promotions": written}


def record(
    job: Job, challenger: str, champion: str | None, decision: str, checks: list[Check]
) -> int:
    """A row for each check, and the same as tags of the challenger."""
    rows = [
        (job.run_id, job.as_of, job.now, challenger, champion, decision, check.name, check.passed,
         check.value, check.bound, check.reason)
        for check in checks
    ]  # fmt: skip
    frame = job.spark.createDataFrame(rows, tables.PROMOTIONS.row_type)
    written = job.lakehouse.append(tables.PROMOTIONS, frame)
    tags = {f"gate.{c.name}": f"{'passed' if c.passed else 'failed'}: {c.reason}" for c in checks}
    for version in job.tracking.named(challenger):
        job.tracking.tag_version(version, {"gate": decision, **tags})
    return written


if __name__ == "__main__":
    main(
        [("promote", run)],
        __doc__,
        flags={
            **HELD_OUT,
            "force": "promote, and write down that the gate was passed over",
            "rollback": "make the champion before the current one champion again",
        },
        attempt=last_in(tables.METRICS),
    )
