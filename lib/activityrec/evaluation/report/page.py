"""The report as one HTML page, which needs no network and no script."""

from importlib.resources import files

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from activityrec.evaluation.report import measures, summary
from activityrec.evaluation.report.data import ReportData
from activityrec.evaluation.report.grids_checks import alarms
from activityrec.evaluation.report.sections import sections
from activityrec.evaluation.report.words import plain


def render(data: ReportData) -> str:
    """The page, as the text of an HTML file; the same data give the same text."""
    here = files("activityrec.evaluation.report")
    texts = {name: (here / name).read_text(encoding="utf-8") for name in ("page.html", "page.css")}
    environment = Environment(
        loader=DictLoader(texts),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["drawn"] = lambda plot: Markup(plot.svg)
    promotion = data.promotions[0] if data.promotions else None
    verdicts = summary.verdicts(data)
    page = environment.get_template("page.html")
    return page.render(
        run_id=plain(data.run_id, 120),
        as_of=data.as_of,
        models=measures.models_of(data.metrics),
        champion=plain(promotion["champion"]) if promotion else None,
        challenger=plain(promotion["challenger"]) if promotion else None,
        outcome=promotion["decision"].replace("_", " ") if promotion else None,
        decision=summary.decision(data),
        versions=sorted(data.versions.items()),
        headline=summary.headline(verdicts),
        verdicts=verdicts,
        points=summary.points(data),
        alarms=alarms(data.input_checks),
        sections=sections(data),
        style=Markup(texts["page.css"]),
    )
