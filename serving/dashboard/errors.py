"""The page at ``/errors``: what went wrong, why, and what can be tried again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from models.errors import InvalidInput, NotAllowed
from models.tasks import TITLES, parse_task
from serving.dashboard.frame import LINES, may, page
from serving.deployment import Deployment, actor_of, deployment_of
from serving.loop import Actor, utc_now
from serving.store.browsing import Failed
from serving.store.columns import LARGEST_ID
from serving.store.inbox import Letter
from serving.store.outbox import Delivery
from serving.store.records import storable_time

TOOLS = {"label-studio": "Label Studio", "cvat": "CVAT"}

routes = APIRouter()


@dataclass(frozen=True)
class Failing:
    """Something that failed: when, whose it is (a task, a tool, a host), what it is and where it is shown, what else is
    known of it, why, after how many attempts, and what the form holds that tries it again."""

    at: datetime
    of: str
    what: str
    why: str
    where: str | None = None
    about: str = ""
    attempts: int = 0
    again: Mapping[str, Any] | None = None


@routes.get("/errors")
async def errors(request: Request, before: str = "") -> Response:
    """Items and events that could not be worked on, messages that nobody heard, versions that broke."""
    what = await run_sync(_what, deployment_of(request), _moment(before))
    return page(request, "errors.html", **what)


@routes.post("/errors/retry")
async def retry(request: Request) -> Response:
    """Tries an item or an event again, as the form of the page asks for."""
    async with request.form(max_files=0, max_fields=3) as form:
        given = {name: str(value) for name, value in form.items()}
    if "delivery" in given and not may(request, "admin"):
        raise NotAllowed("retry of a message: expected the scope admin")
    await run_sync(_retry, deployment_of(request), given, actor_of(request))
    return RedirectResponse("/errors", 303)


def _what(deployment: Deployment, before: tuple[datetime, str] | None) -> dict[str, Any]:
    store = deployment.loop.store
    failed = store.browse.failed(LINES + 1, before)
    last = failed[LINES - 1] if len(failed) > LINES else None
    broken = [one for one in deployment.loop.versions.all() if one.state == "failed"]
    return {
        "failed": [_item(one) for one in failed[:LINES]],
        "last": last and f"{last.at.isoformat()}~{last.item.id}",
        "letters": [_event(one) for one in store.inbox.letters(LINES)],
        "dead": store.inbox.dead(),
        "unheard": [_message(one) for one in store.outbox.dead()[-LINES:][::-1]],
        "broken": [Failing(one.created_at, TITLES[one.task], one.name, one.failure or "", f"/models/{one.name}")
                   for one in broken],
    }  # fmt: skip


def _item(one: Failed) -> Failing:
    again = {"item": one.item.id, "task": one.task}
    where = f"/items/{one.item.id}"
    return Failing(one.at, TITLES[one.task], one.item.id[:12], one.failure, where, again=again)


def _event(one: Letter) -> Failing:
    """The words of the tool: what happened, to which annotation, task or job, as far as the body tells."""
    body = one.body
    action = str(body.get("action") or body.get("event") or "")
    about = ", ".join(f"{name} {known['id']}" for name in ("project", "task", "annotation", "job")
                      if isinstance(known := body.get(name), dict) and "id" in known)  # fmt: skip
    of = TOOLS.get(one.tool, one.tool)
    return Failing(one.received_at, of, action, one.failure or "", None, about, one.attempts, {"event": one.id})


def _message(one: Delivery) -> Failing:
    again = {"delivery": one.id}
    return Failing(one.told_at, host(one.url), one.kind, one.failure or "", attempts=one.attempts, again=again)


def _retry(deployment: Deployment, given: dict[str, str], actor: Actor) -> None:
    if (event := _id(given, "event")) is not None:
        tool = deployment.loop.store.inbox.retry(event, actor, utc_now())
        (deployment.cvat if tool == "cvat" else deployment.label_studio).wake()
    elif (delivery := _id(given, "delivery")) is not None:
        deployment.loop.store.outbox.retry(delivery, actor, utc_now())
        deployment.webhooks.wake()
    elif "item" in given and "task" in given:
        deployment.loop.retry(given["item"], parse_task(given["task"]), actor)
        deployment.background.wake()
    else:
        raise InvalidInput(
            f"retry: expected an item with its task, an event or a delivery, got {', '.join(sorted(given))}"
        )


def _id(given: Mapping[str, str], name: str) -> int | None:
    """That of a form, if it can be one."""
    told = given.get(name, "")
    return int(told) if told.isdecimal() and len(told) <= len(str(LARGEST_ID)) else None


def host(url: str) -> str:
    """Where a message goes; the rest of the address may hold secrets."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _moment(told: str) -> tuple[datetime, str] | None:
    if not told:
        return None
    try:
        at, item_id = told.split("~")
        moment = datetime.fromisoformat(at)
        return storable_time(moment if moment.tzinfo else moment.replace(tzinfo=UTC), "before"), item_id
    except ValueError as error:
        raise InvalidInput(f"before: expected time~id as the link to a page says, got {told!r}") from error
