"""The page at ``/errors``: what went wrong, why, and what can be tried again."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from models.errors import InvalidInput, NotAllowed
from models.tasks import parse_task
from serving.dashboard.frame import page
from serving.deployment import Deployment
from serving.loop import Actor, utc_now
from serving.store.inbox import Letter

LINES = 50
TOOLS = {"label-studio": "Label Studio", "cvat": "CVAT"}

routes = APIRouter()


@routes.get("/errors")
async def errors(request: Request, before: str = "") -> Response:
    """Items and events that could not be worked on, messages that nobody heard, versions that broke."""
    what = await run_sync(_what, request.app.state.deployment, _moment(before))
    may = bool({"annotate", "correct", "admin"} & set(request.state.scopes))
    return page(request, "errors.html", tools=TOOLS, may=may, about=about, host=host, **what)


@routes.post("/errors/retry")
async def retry(request: Request) -> Response:
    """Tries an item or an event again, as the form of the page asks for."""
    async with request.form(max_files=0, max_fields=3) as form:
        given = {name: str(value) for name, value in form.items()}
    if "delivery" in given and "admin" not in request.state.scopes:
        raise NotAllowed("retry of a message: expected the scope admin")
    await run_sync(_retry, request.app.state.deployment, given, request.state.actor)
    return RedirectResponse("/errors", 303)


def _what(deployment: Deployment, before: tuple[datetime, str] | None) -> dict[str, Any]:
    store = deployment.loop.store
    failed = store.browse.failed(LINES + 1, before)
    last = failed[LINES - 1] if len(failed) > LINES else None
    return {
        "failed": failed[:LINES],
        "last": last and f"{last.at.isoformat()}~{last.item.id}",
        "letters": store.inbox.letters(LINES),
        "dead": store.inbox.dead(),
        "unheard": store.outbox.dead()[-LINES:][::-1],
        "broken": [version for version in deployment.loop.versions() if version.state == "failed"],
    }


def _retry(deployment: Deployment, given: dict[str, str], actor: Actor) -> None:
    if "event" in given and given["event"].isdecimal():
        tool = deployment.loop.store.inbox.retry(int(given["event"]), actor, utc_now())
        (deployment.cvat if tool == "cvat" else deployment.label_studio).wake()
    elif "delivery" in given and given["delivery"].isdecimal():
        deployment.loop.store.outbox.retry(int(given["delivery"]), actor, utc_now())
        deployment.webhooks.wake()
    elif "item" in given and "task" in given:
        deployment.loop.retry(given["item"], parse_task(given["task"]), actor)
        deployment.background.wake()
    else:
        raise InvalidInput(
            f"retry: expected an item with its task, an event or a delivery, got {', '.join(sorted(given))}"
        )


@dataclass(frozen=True)
class About:
    """What an event was about, as far as its body tells."""

    action: str
    subject: str


def about(letter: Letter) -> About:
    """The words of the tool: what happened, to which annotation, task or job."""
    body = letter.body
    action = body.get("action") or body.get("event") or ""
    named = [f"{name} {one['id']}" for name in ("project", "task", "annotation", "job")
             if isinstance(one := body.get(name), dict) and "id" in one]  # fmt: skip
    return About(str(action), ", ".join(named))


def host(url: str) -> str:
    """Where a message goes; the rest of the address may hold secrets."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _moment(told: str) -> tuple[datetime, str] | None:
    if not told:
        return None
    try:
        at, item_id = told.split("~")
        moment = datetime.fromisoformat(at)
        return (moment if moment.tzinfo else moment.replace(tzinfo=utc_now().tzinfo)), item_id
    except ValueError as error:
        raise InvalidInput(f"before: expected time~id as the link to a page says, got {told!r}") from error
