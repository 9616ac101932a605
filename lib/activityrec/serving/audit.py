"""The audit of a run: whether its rows may become what readers see."""

from dataclasses import dataclass

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from activityrec.config_publish import PublishConfig
from activityrec.evaluation.gate import Check
from activityrec.serving.drift import drift


@dataclass(frozen=True)
class Audited:
    """What an audit looks at.

    Attributes
    ----------
    lists, audiences
        The run's rows of ``serving.recommendations`` and ``serving.audiences``.
    live
        The activities that are live or planned at the run's ``as_of``.
    users
        All users.
    last
        The lists of the last publication; None: there is none, or it is of this run.
    """

    lists: DataFrame
    audiences: DataFrame
    live: DataFrame
    users: DataFrame
    last: DataFrame | None = None


@dataclass(frozen=True)
class Audit:
    """The checks, and the figures that the row of a publication has."""

    checks: list[Check]
    users: int
    recommendations: int
    audiences: int

    @property
    def failed(self) -> list[Check]:
        return [check for check in self.checks if not check.passed]


def audit(rows: Audited, limits: PublishConfig) -> Audit:
    """Look at a run; all checks must hold.

    Where there are no lists, that is the only check: nothing else can be said.
    """
    lists = _measure(rows.lists, "user_id", "activity_id", rows.live)
    audiences = _measure(rows.audiences, "activity_id", "user_id", rows.live)
    sizes = (lists["groups"], lists["rows"], audiences["rows"])
    checks = [
        _at_least("users", lists["groups"], limits.min_users, "users with a list"),
        _at_least("audiences", audiences["rows"], 1, "rows of audiences"),
    ]
    if lists["groups"] == 0:
        return Audit(checks, *sizes)
    checks += [
        _none("list_order", lists["disordered"], "users whose list has gaps or repeats"),
        _none("audience_order", audiences["disordered"], "audiences with gaps or repeats"),
        _none("list_activities", lists["not_live"], "recommendations of activities not live"),
        _none("audience_activities", audiences["not_live"], "audience rows of activities not live"),
        _none("list_values", lists["invalid"], "recommendations whose score is no number"),
        _none("audience_values", audiences["invalid"], "audience rows whose score is no number"),
        *_coverage(rows, lists["groups"], limits),
        *_drift(rows, limits),
    ]
    return Audit(checks, *sizes)


def _measure(rows: DataFrame, group: str, member: str, live: DataFrame) -> Row:
    """``groups``, ``rows``, ``disordered`` groups, rows ``not_live``, rows ``invalid``."""
    marked = live.select("activity_id", F.lit(True).alias("live"))
    numbers = "abs(score) < double('Infinity') AND (probability IS NULL OR NOT isnan(probability))"
    # A list holds distinct members at the ranks 1, 2, 3, ...
    by_group = (
        rows.join(F.broadcast(marked), on="activity_id", how="left")
        .groupBy(group)
        .agg(
            F.count("*").alias("rows"),
            F.max("rank").alias("last"),
            F.count_distinct("rank").alias("ranks"),
            F.count_distinct(member).alias("members"),
            F.count_if(F.col("live").isNull()).alias("not_live"),
            F.count_if(~F.coalesce(F.expr(numbers), F.lit(False))).alias("invalid"),
        )
    )
    disordered = F.expr("rows != last OR rows != ranks OR rows != members")
    found = by_group.agg(
        F.count("*").alias("groups"),
        *[F.coalesce(F.sum(n), F.lit(0)).alias(n) for n in ("rows", "not_live", "invalid")],
        F.count_if(disordered).alias("disordered"),
    ).first()
    assert found is not None
    return found


def _coverage(rows: Audited, listed: int, limits: PublishConfig) -> list[Check]:
    users, live = rows.users.count(), rows.live.count()
    activities = rows.lists.select("activity_id").distinct().count()
    return [
        _share("user_coverage", listed / max(users, 1), limits.min_user_coverage,
               f"{listed:,} of {users:,} users have a list"),
        _share("activity_coverage", activities / max(live, 1), limits.min_activity_coverage,
               f"{activities:,} of {live:,} live and planned activities are in a list"),
    ]  # fmt: skip


def _drift(rows: Audited, limits: PublishConfig) -> list[Check]:
    """Beside the last publication; nothing where there is none."""
    if rows.last is None or rows.last.isEmpty():
        return []
    found = drift(rows.lists, rows.last)
    return [
        _share("users_kept", found.users_kept, limits.min_users_kept,
               f"{found.users_kept:.3f} times the users of the last publication"),
        _at_most("changed_lists", found.changed_lists, limits.max_changed_lists,
                 "share of users whose list changed"),
        _at_most("changed_first", found.changed_first, limits.max_changed_first,
                 "share of users whose first activity changed"),
        _at_most("score_psi", found.score_psi, limits.max_score_psi,
                 "population stability index of the scores"),
    ]  # fmt: skip


def _none(name: str, count: int, what: str) -> Check:
    return Check(name, count == 0, f"{what}: {count:,}", count, 0)


def _at_least(name: str, value: int, bound: int, what: str) -> Check:
    return Check(name, value >= bound, f"{what}: {value:,}, needs {bound:,}", value, bound)


def _share(name: str, value: float, bound: float, what: str) -> Check:
    return Check(name, value >= bound, f"{what}, needs {bound}", value, bound)


def _at_most(name: str, value: float | None, bound: float, what: str) -> Check:
    if value is None:
        return Check(name, True, f"{what}: no user is in both", None, bound)
    return Check(name, value <= bound, f"{what}: {value:.3f}, limit {bound}", value, bound)
