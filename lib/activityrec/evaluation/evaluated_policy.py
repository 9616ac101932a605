"""The policy that an off-policy estimate is for, beside the rows of the log."""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec.errors import ContractError

ROUNDING = 1e-6
"""How far from 1 the probabilities of a slot may add up to: tables are written with few digits."""


def with_policy(
    log: DataFrame,
    policy: DataFrame,
    actions: Sequence[str],
    action: str = "action",
    slot: str | None = None,
) -> DataFrame:
    """``log`` with what a policy that does not look at the context would have done.

    Parameters
    ----------
    log
        With the STRING columns that ``action`` and ``slot`` name. Each slot, such as the position
        on a page, has probabilities of its own.
    policy
        A small table: ``action``, ``slot`` if ``slot`` is given, ``probability``. Actions that it
        does not have get 0.
    actions
        All actions, in the order that the arrays are to have.

    Returns
    -------
    DataFrame
        The log and ``policy`` (ARRAY<DOUBLE>: the probability of each of ``actions``) and
        ``target`` (DOUBLE: that of the logged action); NULL in slots that the table does not have.

    Raises
    ------
    ContractError
        The probabilities of a slot do not add up to 1, or are not of ``actions``.
    """
    of_slot: dict[str, dict[str, float]] = {}
    for row in policy.collect():
        of_slot.setdefault(row["slot"] if slot else "", {})[row["action"]] = row["probability"]
    for name, found in of_slot.items():
        _check(f"slot {name!r}" if slot else "the policy", found, actions)
    rows = [(name, [p.get(a, 0.0) for a in actions], p) for name, p in of_slot.items()]
    schema = "_slot STRING, policy ARRAY<DOUBLE>, _of_action MAP<STRING, DOUBLE>"
    side = log.sparkSession.createDataFrame(rows, schema)
    chosen = F.coalesce(F.element_at("_of_action", F.col(action)), F.lit(0.0))
    return (
        log.withColumn("_slot", F.col(slot) if slot else F.lit(""))
        .join(F.broadcast(side), on="_slot", how="left")
        .select(*log.columns, "policy", F.when(F.col("policy").isNotNull(), chosen).alias("target"))
    )


def _check(where: str, found: dict[str, float], actions: Sequence[str]) -> None:
    if strangers := sorted(set(found) - set(actions)):
        raise ContractError(f"policy: {strangers} are not among the actions")
    if min(found.values()) < 0:
        raise ContractError(f"policy: {where} has a negative probability")
    total = sum(found.values())
    if abs(total - 1) > ROUNDING:
        raise ContractError(f"policy: the probabilities of {where} add up to {total:g}, not to 1")
