"""The page at ``/`` and what it needs: the sign-in form, the style sheet, the assets of the API's description."""

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import get_args

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from jinja2 import ChoiceLoader, Environment, PackageLoader

from models.drawing.shapes import Drawing, Outline, draw, outline
from models.errors import InvalidInput, NotFound
from models.media import read_audio
from models.records import Transcript
from serving import tokens
from serving.annotator import limits_of
from serving.auth import COOKIE
from serving.deployment import Deployment
from serving.store.records import Answer, ItemState

LATEST = 12
_NAMES = {"asr": "Speech recognition", "detection": "Object detection", "lane": "Lane detection"}
_ASSETS = {
    **{name: files("serving.dashboard") / "static" / name for name in ("page.css", "icon.svg")},
    "look.css": files("models.drawing") / "look.css",
    # The package that carries the service brings Swagger UI along.
    **{
        name: files("bentoml._internal.server") / "static_content" / name
        for name in ("swagger-ui-bundle.js", "swagger-ui.css")
    },
}
_POLICY = (
    "default-src 'none'; img-src 'self' data:; media-src 'self'; style-src 'self' 'unsafe-inline'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

routes = APIRouter(include_in_schema=False)
templates = Environment(
    loader=ChoiceLoader([PackageLoader("serving.dashboard", "templates"), PackageLoader("models.drawing", "")]),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Figure:
    """One pre-annotation and its drawing."""

    answer: Answer
    drawing: Drawing


@routes.get("/")
async def page(request: Request) -> Response:
    """The figures, the latest pre-annotations and the versions."""
    deployment: Deployment = request.app.state.deployment
    return _html(await run_sync(_page, deployment, str(request.base_url).rstrip("/")))


@routes.get("/sign-in")
async def sign_in_form() -> Response:
    """A form for a token, for the browser of a person."""
    return _html(templates.get_template("sign-in.html").render(wrong=False))


@routes.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Keeps a valid token in a cookie that scripts cannot read; it is good for looking alone."""
    async with request.form(max_files=0, max_fields=1) as form:
        secret = str(form.get("token", ""))
    deployment: Deployment = request.app.state.deployment
    if await run_sync(tokens.find_token, deployment.loop.store, secret) is None:
        return _html(templates.get_template("sign-in.html").render(wrong=True), 401)
    answer = RedirectResponse("/", 303)
    answer.set_cookie(COOKIE, secret, httponly=True, samesite="strict", secure=request.url.scheme == "https")
    return answer


@routes.get("/static/{name}")
async def asset(name: str) -> Response:
    """One of the few files that pages need."""
    if name not in _ASSETS:
        raise NotFound(f"asset: expected one of {', '.join(_ASSETS)}, got {name!r}")
    return FileResponse(str(_ASSETS[name]), headers={"Cache-Control": "max-age=3600"})


def _page(deployment: Deployment, base: str) -> str:
    return templates.get_template("page.html").render(
        base=base,
        names=_NAMES,
        states=get_args(ItemState),
        duration=duration,
        tasks=deployment.loop.report()["tasks"],
        figures=[_figure(deployment, answer) for answer in deployment.loop.latest(LATEST)],
        versions=deployment.loop.versions(),
        is_open=not tokens.list_tokens(deployment.loop.store),
    )


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _figure(deployment: Deployment, answer: Answer) -> Figure:
    said = answer.preannotation
    sound = _outline(deployment, said.item_id) if isinstance(said.label, Transcript) else None
    return Figure(answer, draw(said.label, sound))


@lru_cache(maxsize=256)
def _outline(deployment: Deployment, item_id: str) -> Outline | None:
    try:
        data = deployment.annotator.bytes_of(deployment.loop.item(item_id))
        return outline(read_audio(data, item_id, limits_of(deployment.settings)))
    except (NotFound, InvalidInput):  # the medium is gone; the words are still there
        return None


def _html(text: str, status: int = 200) -> Response:
    return HTMLResponse(text, status, {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"})
