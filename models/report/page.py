"""``report.html``: one page for people, with everything it needs inside."""

from collections.abc import Mapping
from functools import cache

from jinja2 import ChoiceLoader, Environment, PackageLoader

from models.counting import counted
from models.records import Task
from models.report.cases import cases
from models.report.document import Report
from models.report.doubt_charts import doubt_charts
from models.report.judged import Judged
from models.report.lines import flat, lines, shown, span
from models.tasks import TITLES

SHOWN = 24
MAIN: Mapping[Task, tuple[str, ...]] = {
    "asr": ("wer", "cer", "exact", "auroc", "ece"),
    "detection": ("ap", "ap50", "f1", "auroc", "ece"),
    "lane": ("f1", "f1_8px", "tusimple_accuracy", "auroc", "ece"),
}


def render(report: Report, judged: Judged) -> str:
    """The page of a report on ``judged``."""
    rows = list(lines(report))
    worst, doubtful = (cases(judged, order(SHOWN)) for order in (judged.worst, judged.most_doubtful))
    return (
        _templates()
        .get_template("report.html")
        .render(
            report=report,
            title=TITLES[report.task],
            rows=rows,
            main=[row for row in rows if row.name in MAIN[report.task] and row.part is None],
            parts={name: dict(flat(part.metrics)) for name, part in report.by_data.items()},
            doubt=doubt_charts(judged),
            charts=judged.evaluation.results.charts(),
            worst=worst,
            doubtful=doubtful,
            errors=int(judged.evaluation.errors.sum()),
        )
    )


@cache
def _templates() -> Environment:
    templates = environment("models.report", "models.drawing")
    templates.filters |= {"number": shown, "span": span}
    return templates


def environment(*packages: str) -> Environment:
    """The templates that lie in some packages; all that they show is escaped."""
    loader = ChoiceLoader([PackageLoader(package, "") for package in packages])
    found = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    found.filters["counted"] = counted
    return found
