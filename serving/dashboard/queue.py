"""The page at ``/queue/{task}``: what waits for people, in the order in which it is handed out, and what became of the
rest."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal, get_args

from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from models.errors import InvalidInput
from models.records import TASKS, Task
from models.tasks import parse_task
from selection.routing import Route
from serving.concealing import without
from serving.dashboard.cards import Card, card, is_late
from serving.dashboard.frame import MOST_NAMES, page
from serving.deployment import Deployment, actor_of, deployment_of
from serving.loop import Loop, utc_now
from serving.store.browsing import After, Listable, Listed, Place, Wanted
from serving.store.records import OPEN, Actor, ItemState

CARDS = 48
STATES: tuple[Listable, ...] = ("open", *get_args(ItemState))
_APART = "~"

routes = APIRouter()


@routes.get("/queue")
async def busiest(request: Request) -> Response:
    """To the task of which most waits."""
    task = await run_sync(busiest_task, deployment_of(request).loop)
    return RedirectResponse(f"/queue/{task}", 303, {"Cache-Control": "no-store"})


@routes.get("/queue/{task}")
async def queue(
    task: str,
    request: Request,
    state: str = "preannotated",
    decision: str = "",
    group: str = "",
    annotator: str = "",
    text: str = "",
    least: Annotated[float, Query(ge=0, le=1)] = 0.0,
    most: Annotated[float, Query(ge=0, le=1)] = 1.0,
    due: Literal["", "some", "late"] = "",
    before: str = "",
) -> Response:
    """A page of the items of a state, with what was said of them drawn on them."""
    name, deployment = parse_task(task), deployment_of(request)
    if state not in STATES:
        raise InvalidInput(f"state: expected one of {', '.join(STATES)}, got {state!r}")
    now = utc_now()
    before_now = now if due == "late" else None
    wanted = Wanted(state, decision, group, annotator, text.strip(), least, most, bool(due), before_now)
    what = await run_sync(_what, deployment, name, wanted, before, now, actor_of(request))
    late = partial(is_late, now=now)
    return page(request, "queue.html", task=name, asked=wanted, due=due, late=late, tool=tool(deployment), **what)


def _what(
    deployment: Deployment, task: Task, wanted: Wanted, before: str, now: datetime, asker: Actor
) -> dict[str, Any]:
    store, policy = deployment.loop.store, deployment.loop.policies.of(task)
    share, deadlines = policy.calibration_share, policy.deadlines
    listed, after = store.browse.page(task, wanted, now, CARDS, share, _place(before), deadlines)
    return {
        "tasks": TASKS,
        "states": STATES,
        "decisions": get_args(Route),
        "counts": _counts(store.items.counts(task, now)),
        "any_due": wanted.due or store.deadlines.earliest(task, policy.deadlines) is not None,
        "entries": [(one, _card(one)) for one in without(listed, store.planting.owed(task, asker))],
        "next_page": _told(after) if after else None,
        "groups": store.browse.groups(task, MOST_NAMES),
        "annotators": store.browse.annotators(task, MOST_NAMES),
        "strategy": ", ".join(one.words for one in policy.strategies),
    }


def _counts(by_state: Mapping[ItemState, int]) -> dict[Listable, int]:
    return {"open": sum(by_state.get(state, 0) for state in OPEN), **dict(by_state.items())}


def _card(listed: Listed) -> Card | None:
    return card(listed.answer, listed.duration_s) if listed.answer else None


def tool(deployment: Deployment) -> Any:
    """``link(listed)``: where a person works on an item: in Label Studio if it came from there, or here."""
    url = (deployment.settings.label_studio_url or "").rstrip("/")
    attached: dict[Task, list[int]] = {}
    for project in deployment.loop.store.studio.projects() if url else ():
        attached.setdefault(project.task, []).append(project.project)

    def link(listed: Listed) -> tuple[str, str]:
        project, studio_task = listed.studio or (None, None)
        only = attached.get(listed.task, [])
        project = project or (only[0] if len(only) == 1 else None)
        if url and project is not None and studio_task is not None:
            return "Label Studio", f"{url}/projects/{project}/data?task={studio_task}"
        return "", f"/review/{listed.task}/{listed.item.id}"

    return link


def busiest_task(loop: Loop) -> Task:
    """The task with the most items that wait for a person."""
    now = utc_now()
    waiting = {task: loop.store.items.counts(task, now).get("preannotated", 0) for task in TASKS}
    return max(TASKS, key=lambda task: waiting[task])


def _told(after: After) -> str:
    """A place as it stands in an address: ``doubt~id~draw~id``."""
    parts = [part for place in (after.others, after.audits) for part in (place or ("", ""))]
    return _APART.join(map(str, parts))


def _place(told: str) -> After:
    if not told:
        return After()
    try:
        doubt, item_id, draw, audit_id = told.split(_APART)
        return After(_one_place(doubt, item_id), _one_place(draw, audit_id))
    except ValueError as error:
        raise InvalidInput(f"before: expected doubt~id~draw~id as the link to a page says, got {told!r}") from error


def _one_place(value: str, item_id: str) -> Place | None:
    return (float(value), item_id) if value else None
