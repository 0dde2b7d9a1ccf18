"""The page at ``/``: the figures of each task, the latest pre-annotations as pictures, and the versions."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, get_args

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import Response

from models.drawing.shapes import Drawing, Outline, draw, outline
from models.errors import InvalidInput, NotFound
from models.media import read_audio
from models.records import Transcript
from serving import tokens
from serving.annotator import limits_of
from serving.dashboard.frame import page
from serving.deployment import Deployment
from serving.store.records import Answer, ItemState

LATEST = 12

routes = APIRouter()


@dataclass(frozen=True)
class Figure:
    """One pre-annotation and its drawing."""

    answer: Answer
    drawing: Drawing


@routes.get("/")
async def overview(request: Request) -> Response:
    """The figures, the latest pre-annotations and the versions."""
    deployment: Deployment = request.app.state.deployment
    what = await run_sync(_what, deployment)
    return page(request, "overview.html", base=str(request.base_url).rstrip("/"), duration=duration, **what)


def _what(deployment: Deployment) -> dict[str, Any]:
    loop = deployment.loop
    return {
        "states": get_args(ItemState),
        "tasks": loop.report()["tasks"],
        "figures": [_figure(deployment, answer) for answer in loop.latest(LATEST)],
        "versions": loop.versions(),
        "is_open": not tokens.list_tokens(loop.store),
    }


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
