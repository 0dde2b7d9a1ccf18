"""The page at ``/log``: who changed what when."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import Response

from models.errors import InvalidInput
from models.records import TASKS
from models.tasks import TITLES
from serving.dashboard.errors import host
from serving.dashboard.frame import LINES, MOST_NAMES, UNFIT_WORDS, page
from serving.deployment import Deployment, actor_of, deployment_of
from serving.store.changes import Change
from serving.store.records import Actor

# What was done, in words; a verb that is not here stands for itself.
VERBS: Mapping[str, str] = MappingProxyType({
    "register": "registered", "fail": "took out", "retry": "tried again", "correct": "corrected",
    "contest": "asked for a second look", "release": "gave back", "withdraw": "took back", "attach": "attached",
    "detach": "detached",
    "unfit": "left out", "fit": "brought back", "gold": "chose as gold", "ungold": "chose as gold no longer",
    "due": "set the deadline of", "group": "put into a group",
    "add-webhook": "added a webhook", "remove-webhook": "removed a webhook",
    "add-version": "added", "move-version": "moved", "fail-version": "found broken", "promote": "promoted",
    "rollback": "rolled back to", "calibrate": "calibrated", "adopt-policy": "adopted a policy",
    "set": "set",
    "make-token": "made a token", "revoke-token": "revoked a token",
})  # fmt: skip
# What is told of it, in words; a name that is not here stands for itself.
DETAILS: Mapping[str, str] = MappingProxyType({
    **{name: name for name in ("task", "correction", "planted", "known", "why", "of", "lease", "group", "due", "tool",
                               "scopes", "items", "folder", "forced", "calibration", "audited", "kind", "to")},
    "previous": "before", "queued_again": "queued again", "url": "address", "kinds": "events",
})  # fmt: skip
_OF_VERSIONS = ("add-version", "move-version", "fail-version", "promote", "rollback", "calibrate")
_OF_ITEMS = ("correct", "contest", "fail", "release", "unfit", "fit", "gold", "ungold", "due", "group")

_HASH = re.compile(r"[0-9a-f]{64}")

routes = APIRouter()


@dataclass(frozen=True)
class Asked:
    """What the page is to show: the lines of one actor, verb and day, where these are given, before a line."""

    actor: str
    verb: str
    day: date | None
    before: int | None


@routes.get("/log")
async def log(request: Request, actor: str = "", verb: str = "", day: str = "", before: int | None = None) -> Response:
    """A page of the log, newest first."""
    deployment = deployment_of(request)
    asked = Asked(actor, verb, _day(day), before)
    what = await run_sync(_what, deployment, asked, actor_of(request))
    words: dict[str, Any] = {"verbs": VERBS, "details": DETAILS, "names": {**TITLES, **UNFIT_WORDS}}
    return page(request, "log.html", asked=asked, link=link, subject=subject, told=told, **words, **what)


def _what(deployment: Deployment, asked: Asked, asker: Actor) -> dict[str, Any]:
    changes, planting = deployment.loop.store.changes, deployment.loop.store.planting
    owed = frozenset[str]().union(*(planting.owed(task, asker) for task in TASKS))
    lines = changes.page(LINES + 1, asked.before, asked.actor, asked.verb, asked.day)
    return {
        "lines": [one for one in lines[:LINES] if one.subject not in owed],
        "last": lines[LINES - 1].id if len(lines) > LINES else None,
        "actors": changes.actors(MOST_NAMES),
        "known_verbs": changes.verbs(MOST_NAMES),
    }


def link(change: Change) -> str | None:
    """The page of what was changed, if it has one."""
    is_item = change.verb in _OF_ITEMS or (change.verb == "retry" and "task" in change.detail)
    if is_item or "correction" in change.detail:
        return f"/items/{change.subject}"
    return f"/models/{change.subject}" if change.verb in (*_OF_VERSIONS, "withdraw") else None


def subject(change: Change) -> str:
    """What was changed, as short as the other pages say it."""
    return change.subject[:12] if _HASH.fullmatch(change.subject) else change.subject


def told(name: str, value: Any) -> str:
    """A value of a line's details; of an address its host, for the rest may hold secrets."""
    if name == "url":
        return host(str(value))
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise InvalidInput(f"day: expected YYYY-MM-DD, got {text!r}") from error
