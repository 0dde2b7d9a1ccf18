"""The pages at ``/models``: versions, what they learnt from, how good they are and how far their doubt is true; what
serves can be changed here."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from markdown_it import MarkdownIt
from markupsafe import Markup

from models.errors import InvalidInput, NotFound, Refused, Stale
from models.records import TASKS
from models.report.charts import Curves
from models.report.doubt_charts import reliability, risk
from models.report.lines import flat
from models.versions import CARD, Version, beginning, read_version
from serving.dashboard.frame import page
from serving.dashboard.languages import language_of, translations
from serving.deployment import Deployment, actor_of, deployment_of
from serving.loop import StoredVersion
from serving.store.records import Comparison

PATIENCE_S = 3.0  # of a page, before it says that the comparison goes on

routes = APIRouter()


@dataclass(frozen=True)
class Row:
    """A version in the list: where it comes from, how many corrections it got, and the seconds of one."""

    version: StoredVersion
    beginning: str
    corrections: int
    seconds: float | None


@dataclass(frozen=True)
class Checked:
    """What people found on randomly drawn items: of so many, so many were wrong; in charts."""

    n: int
    wrong: int
    charts: tuple[Curves, ...]


@routes.get("/models")
async def models(request: Request) -> Response:
    """Every version, by task, the newest first."""
    tasks = await run_sync(_rows, deployment_of(request))
    return page(request, "models.html", tasks=tasks)


@routes.get("/models/{version}")
async def model(version: str, request: Request) -> Response:
    """All that is known of a version."""
    what = await run_sync(_what, deployment_of(request), version)
    said = _translator(request)
    charts = [_in_words(chart, said) for chart in what["checked"].charts]
    return page(request, "model.html", charts=charts, **what)


@routes.get("/models/{version}/promote")
async def promote_form(version: str, request: Request) -> Response:
    """The comparison that would decide, and the question whether to switch."""
    deployment = deployment_of(request)
    return await run_sync(_promote_form, request, deployment, version)


@routes.post("/models/{version}/promote")
async def promote(version: str, request: Request) -> Response:
    """Switches to the version, unless it is refused; then why."""
    deployment = deployment_of(request)
    async with request.form(max_files=0, max_fields=1) as form:
        force = form.get("force") == "on"
    try:
        await run_sync(deployment.promote, version, force, actor_of(request))
    except (Refused, Stale) as error:
        return await run_sync(_promote_form, request, deployment, version, str(error))
    return RedirectResponse(f"/models/{version}", 303)


@routes.get("/models/{version}/rollback")
async def rollback_form(version: str, request: Request) -> Response:
    """Which version would serve again, and the question whether it shall."""
    deployment = deployment_of(request)
    serving, before = await run_sync(_rollback, deployment, version)
    return page(request, "rollback.html", version=serving, before=before)


@routes.post("/models/{version}/rollback")
async def rollback(version: str, request: Request) -> Response:
    """Lets the version before this one serve again."""
    deployment = deployment_of(request)
    serving, _ = await run_sync(_rollback, deployment, version)
    promotion = await run_sync(deployment.rollback, serving.task, actor_of(request))
    return RedirectResponse(f"/models/{promotion.version}", 303)


def _rows(deployment: Deployment) -> dict[str, list[Row]]:
    loop = deployment.loop
    rows: dict[str, list[Row]] = {task: [] for task in TASKS}
    spent = {(task, one.version): one for task in TASKS for one in loop.store.queue.seconds(task)}
    for version in reversed(loop.versions.all()):
        of = spent.get((version.task, version.name))
        worked = (of.corrections, of.seconds / of.corrections) if of else (0, None)
        rows[version.task].append(Row(version, version.parent or beginning(version.folder), *worked))
    return rows


def _what(deployment: Deployment, name: str) -> dict[str, Any]:
    loop = deployment.loop
    version, versions = loop.versions.get(name), loop.versions.all()
    switches = [one for one in loop.store.versions.promotions(version.task) if name in (one.version, one.previous)]
    known = _known(version)
    return {
        "version": version,
        "known": known,
        "trained_on": len(known.training_ids()) if known else None,
        "training": [line for line in _lines(known.training) if line[0] != "items"] if known else [],
        "metrics": [(label, part, value) for (label, part), value in flat(dict(version.metrics))],
        "card": _card(version),
        "promise": loop.told(name) if known else None,
        "checked": _checked(deployment, name),
        "switches": list(reversed(switches)),
        "before": loop.store.versions.before(version.task) if version.state == "serving" else None,
        "has_parent": any(one.name == version.parent for one in versions),
        "children": [one.name for one in versions if one.parent == name],
    }


def _known(version: StoredVersion) -> Version | None:
    """What its folder tells, if it is still whole."""
    try:
        return read_version(version.folder)
    except (NotFound, InvalidInput):
        return None


def _lines(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Everything that a training tells, by name; what lies in something has that name before its own."""
    for name, value in values.items():
        label = f"{above} {name}".strip().replace("_", " ")
        if isinstance(value, Mapping):
            yield from _lines(value, label)
        else:
            yield label, f"{value:.4g}" if isinstance(value, float) else str(value)


def _card(version: StoredVersion) -> Markup | None:
    """The model card as HTML; whatever HTML is in it stays text."""
    try:
        text = (version.folder / CARD).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    _, _, body = text.partition("\n")  # its first line is the name, which stands above
    return Markup(MarkdownIt("commonmark", {"html": False}).enable("table").disable("image").render(body))


def _checked(deployment: Deployment, name: str) -> Checked:
    """The charts of what people checked."""
    p_error, wrong = deployment.loop.checked(name)
    return Checked(len(wrong), int(wrong.sum()), _charts(tuple(p_error.tolist()), tuple(wrong.tolist())))


@lru_cache(maxsize=64)
def _charts(p_error: tuple[float, ...], wrong: tuple[bool, ...]) -> tuple[Curves, ...]:
    """Drawn anew when they are other checks."""
    said, found = np.array(p_error, np.float64), np.array(wrong, np.bool_)
    return (reliability(said, found), risk({"p_error": said}, found)) if wrong else ()


def _promote_form(request: Request, deployment: Deployment, name: str, refused: str | None = None) -> Response:
    version = deployment.loop.versions.get(name)
    serving = deployment.loop.versions.serving(version.task)
    asked = deployment.comparing.ask(name, actor_of(request))
    comparison, why = _comparison(asked)
    worse = comparison is not None and comparison.quality is not None and comparison.previous_quality is not None \
        and not comparison.quality >= comparison.previous_quality  # fmt: skip
    return page(
        request, "promote.html", 409 if refused else 200,
        version=version, serving=serving, comparing=not asked.done(), comparison=comparison, worse=worse,
        refused=refused or why,
    )  # fmt: skip


def _comparison(asked: Future[Comparison]) -> tuple[Comparison | None, str | None]:
    """What the gold items say, or why there is no comparison; neither where it takes longer than a page may."""
    try:
        return asked.result(PATIENCE_S), None
    except TimeoutError:
        return None, None
    except Refused as refused:
        return None, str(refused)


def _rollback(deployment: Deployment, name: str) -> tuple[StoredVersion, StoredVersion]:
    version = deployment.loop.versions.get(name)
    before = deployment.loop.store.versions.before(version.task)
    if version.state != "serving" or before is None:
        raise Refused(f"rollback {name}: expected the serving version and one before it, got {version.state}")
    return version, before


def _translator(request: Request) -> Callable[[str], str]:
    known: Mapping[str, str] = translations(language_of(request))
    return lambda sentence: known.get(sentence, sentence)


def _in_words(chart: Curves, said: Callable[[str], str]) -> Curves:
    return replace(chart, title=said(chart.title), note=said(chart.note), x=said(chart.x), y=said(chart.y),
                   dot=said(chart.dot))  # fmt: skip
