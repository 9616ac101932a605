"""The views of publications, the current one and earlier ones: what BI tools read."""

from activityrec import tables
from activityrec.lakehouse import Lakehouse

_CURRENT = "(SELECT max_by(run_id, published_ts) FROM {publications})"
# Each instant is between the two of exactly one publication, both ends included.
_VALID = (
    "SELECT *, published_ts AS valid_from, coalesce(lead(published_ts) OVER (ORDER BY published_ts)"
    " - INTERVAL '0.000001' SECOND, TIMESTAMP '9999-12-31 00:00:00') AS valid_until "
    "FROM {publications}"
)
_LAST = "SELECT * FROM {{{name}}} WHERE as_of = (SELECT max(as_of) FROM {{{name}}})"


def _published(name: str) -> str:
    return (
        f"SELECT t.*, p.published_ts, p.valid_from, p.valid_until FROM {{{name}}} t "
        f"JOIN ({_VALID}) p ON t.run_id = p.run_id"
    )


VIEWS = {
    "current_publication": "SELECT * FROM {publications} ORDER BY published_ts DESC LIMIT 1",
    "current_recommendations": f"SELECT * FROM {{recommendations}} WHERE run_id = {_CURRENT}",
    "current_audiences": f"SELECT * FROM {{audiences}} WHERE run_id = {_CURRENT}",
    "published_runs": _VALID,
    "published_recommendations": _published("recommendations"),
    "published_audiences": _published("audiences"),
    "current_exclusions": f"SELECT * FROM {{exclusions}} WHERE run_id = {_CURRENT}",
    "current_rule_counts": f"SELECT * FROM {{rule_counts}} WHERE run_id = {_CURRENT}",
    "current_performance": _LAST.format(name="performance"),
    "current_monitoring": _LAST.format(name="monitoring"),
    "metric_trend": (
        "SELECT as_of, run_id, model, metric, population, k, value, low, high, rows, positives, "
        "groups FROM {metrics} WHERE slice = 'all'"
    ),
    "current_metrics": f"SELECT * FROM {{metrics}} WHERE run_id = {_CURRENT}",
    **{
        f"current_{name}": f"SELECT * FROM {{{name}}} WHERE run_id = {_CURRENT}"
        for name in ("scored_exposures", *[table.name for table in tables.EVALUATION[1:]])
    },
}


def create_views(lakehouse: Lakehouse) -> None:
    """Make the views: in the catalog, or in this session and in ``<root>/views.sql``.

    Views of tables that do not exist yet (no evaluation was run) are left out.
    """
    existing = {table.name: table for table in tables.SERVING if lakehouse.exists(table)}
    names = {name: lakehouse.identifier(table) for name, table in existing.items()}
    views = {}
    for view, template in VIEWS.items():
        try:
            views[view] = template.format(**names)
        except KeyError:
            continue
    lakehouse.create_views("serving", views)
