"""Imports conf/superset into the Superset of SUPERSET_CONFIG_PATH, and asks each of its charts.

Run by a Python that has Superset: ``python superset_dashboard.py FOLDER PORT``, PORT that of the
Thrift Server. Prints the rows of each chart by its name, as JSON, in the last line.
"""

import json
import sys
from pathlib import Path

from superset.app import create_app


def contents(folder: Path, port: str) -> dict[str, str]:
    """The files of the bundle, with the server's port."""
    found = {}
    for path in sorted(folder.rglob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        found[path.relative_to(folder).as_posix()] = text.replace(":10000/", f":{port}/")
    return found


def main(folder: str, port: str) -> None:
    app = create_app()
    with app.app_context():
        from superset import db, security_manager
        from superset.commands.chart.data.get_data_command import ChartDataCommand
        from superset.commands.dashboard.importers.v1 import ImportDashboardsCommand
        from superset.models.dashboard import Dashboard
        from superset.utils.core import override_user

        admin = security_manager.find_role("Admin")
        user = security_manager.add_user("admin", "A", "B", "admin@example.com", admin, "admin")
        with app.test_request_context(), override_user(user):
            ImportDashboardsCommand(contents(Path(folder), port), overwrite=True).run()
            db.session.commit()
            (dashboard,) = db.session.query(Dashboard).all()
            rows = {}
            for chart in dashboard.slices:
                context = chart.get_query_context()
                (answer,) = ChartDataCommand(context).run()["queries"]
                assert answer["error"] is None, answer["error"]
                rows[chart.slice_name] = answer["data"]
        print(json.dumps({"dashboard": dashboard.dashboard_title, "charts": rows}, default=str))


if __name__ == "__main__":
    main(*sys.argv[1:])
