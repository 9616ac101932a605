"""The views of publications, the current one and earlier ones: what BI tools read."""

from collections.abc import Callable

from activityrec import tables
from activityrec.lakehouse import Lakehouse
from activityrec.tables import Table

NAMING = (tables.ACTIVITIES, tables.PRODUCTS)
"""Clean tables that readers of the serving tables need: what ids stand for."""
_CURRENT = "(SELECT max_by(run_id, published_ts) FROM {publications})"
# Each instant is between the two of exactly one publication, both ends included.
_VALID = (
    "SELECT *, published_ts AS valid_from, coalesce(lead(published_ts) OVER (ORDER BY published_ts)"
    " - INTERVAL '0.000001' SECOND, TIMESTAMP '9999-12-31 00:00:00') AS valid_until "
    "FROM {publications}"
)
# By the last day of the monitor, which may have no exposures and so no row of performance.
_LAST = "SELECT * FROM {{{name}}} WHERE as_of = (SELECT max(as_of) FROM {{monitoring}})"


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
    **{table.name: f"SELECT * FROM {{{table.name}}}" for table in NAMING},
}


def create_views(lakehouse: Lakehouse) -> None:
    """Make the views: in the catalog, or in this session and in ``<root>/views.sql``."""
    lakehouse.create_views("serving", view_queries(lakehouse, lakehouse.identifier))


def view_queries(lakehouse: Lakehouse, named: Callable[[Table], str]) -> dict[str, str]:
    """The query of each view by its name; ``named`` gives the name that SQL has for a table.

    Views of tables that do not exist yet (no evaluation was run) are left out.
    """
    existing = filter(lakehouse.exists, (*tables.SERVING, *NAMING))
    names = {table.name: named(table) for table in existing}
    queries = {}
    for view, template in VIEWS.items():
        try:
            queries[view] = template.format(**names)
        except KeyError:
            continue
    return queries
