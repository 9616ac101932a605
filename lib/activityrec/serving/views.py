"""The views of the current publication: what the warehouse and BI tools read."""

from activityrec import tables
from activityrec.lakehouse import Lakehouse

_CURRENT = "(SELECT max_by(run_id, published_ts) FROM {publications})"

VIEWS = {
    "current_publication": "SELECT * FROM {publications} ORDER BY published_ts DESC LIMIT 1",
    "current_recommendations": f"SELECT * FROM {{recommendations}} WHERE run_id = {_CURRENT}",
    "current_audiences": f"SELECT * FROM {{audiences}} WHERE run_id = {_CURRENT}",
    "current_exclusions": f"SELECT * FROM {{exclusions}} WHERE run_id = {_CURRENT}",
    "current_rule_counts": f"SELECT * FROM {{rule_counts}} WHERE run_id = {_CURRENT}",
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
