"""The page at ``/``: what each task costs and what is promised of it, what needs a look, and the latest answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, get_args

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import Response

from models.records import TASKS, Task
from selection.actions import actions, spent_seconds
from selection.cost import Costs
from serving.dashboard.cards import Card, card
from serving.dashboard.frame import page
from serving.deployment import Deployment, deployment_of
from serving.loop import StoredVersion
from serving.store import Store
from serving.store.records import Answer, ItemState, SaidChanges
from serving.weighing import WITHDRAWN

LATEST = 8
ROUNDS = 10  # the last versions that a chart shows
BY_HAND = 200  # corrections by which it is told what a label costs from nothing

# What needs a look, by kind: {n} things of it; templates say it through these sentences.
ATTENTION: Mapping[str, str] = {
    "withdrawn": "The promise is withdrawn: audits found too many errors.",
    "withdrawn kinds": "Promises of kinds are withdrawn: audits found too many errors.",
    "nothing serves": "No version serves.",
    "failed items": "Items could not be read.",
    "late items": "Items are past their deadline.",
    "dead events": "Events of annotation tools could not be worked on.",
    "broken versions": "Versions do not work.",
    "candidates": "A newer version waits to be compared.",
}

routes = APIRouter()


@dataclass(frozen=True)
class Notice:
    """Something that needs a look: what (a key of ``ATTENTION``), of which task if of one, how many, and where."""

    kind: str
    task: Task | None
    n: int
    where: str


@dataclass(frozen=True)
class Round:
    """What people spent on a version's answers: seconds a label, corrections and labels accepted unseen."""

    version: str | None
    seconds: float
    corrections: int
    accepted: int


@routes.get("/")
async def overview(request: Request) -> Response:
    """Figures, notices and the latest answers."""
    deployment = deployment_of(request)
    what = await run_sync(_what, deployment)
    base = str(request.base_url).rstrip("/")
    return page(request, "overview.html", base=base, moment=datetime.fromisoformat, **what)


def _what(deployment: Deployment) -> dict[str, Any]:
    loop = deployment.loop
    figures, versions = loop.report()["tasks"], loop.versions.all()
    return {
        "states": get_args(ItemState),
        "tasks": figures,
        "rounds": {task: _rounds(figures[task], versions) for task in TASKS},
        "by_hand": {task: _by_hand(deployment, task) for task in TASKS},
        "versions": {task: [one for one in versions if one.task == task][-ROUNDS:] for task in TASKS},
        "notices": _notices(deployment, figures, versions),
        "attention": ATTENTION,
        "latest": [(answer, _card(answer)) for answer in loop.latest(LATEST)],
        "is_open": not loop.store.tokens.all(),
    }


def _rounds(figures: Mapping[str, Any], versions: Sequence[StoredVersion]) -> list[Round]:
    """By version, in the order in which these were made; labels from nothing come first."""
    age = {version.name: number for number, version in enumerate(versions)}
    lines = sorted(figures["by_model_version"], key=lambda line: age.get(line["model_version"], -1))
    rounds = [
        Round(line["model_version"], line["seconds_per_label"], line["corrections"], line["accepted"])
        for line in lines
        if line["seconds_per_label"]
    ]
    return rounds[-ROUNDS:]


def _by_hand(deployment: Deployment, task: Task) -> float | None:
    """The seconds that a label would take people from nothing, by what such actions cost and what they gave last."""
    loop = deployment.loop
    serving = loop.versions.serving(task)
    fitted = loop.trust(serving.name).costs if serving else None
    return _spent(loop.store, task, fitted.costs if fitted else Costs(), loop.store.said.changes(task))


@lru_cache(maxsize=16)
def _spent(store: Store, task: Task, costs: Costs, _changes: SaidChanges) -> float | None:
    given = store.queue.last_given(task, BY_HAND)
    known = [(label, duration_s) for label, duration_s in given if task != "asr" or duration_s is not None]
    spent = [spent_seconds(task, actions(task, None, label, duration_s), costs) for label, duration_s in known]
    return sum(spent) / len(spent) if spent else None


def _notices(
    deployment: Deployment, figures: Mapping[Task, Mapping[str, Any]], versions: Sequence[StoredVersion]
) -> list[Notice]:
    found = []
    for task in TASKS:
        promise = figures[task]["promise"]
        if promise is None:
            found.append(Notice("nothing serves", task, 1, "/models"))
        else:
            found += _withdrawn(task, promise, f"/models/{figures[task]['serving']}")
        if n := figures[task]["items"].get("failed", 0):
            found.append(Notice("failed items", task, n, "/errors"))
        if late := figures[task]["deadlines"]["late"]:
            found.append(Notice("late items", task, late, f"/queue/{task}?state=open&due=late"))
        if new := _newer([one for one in versions if one.task == task]):
            found.append(Notice("candidates", task, len(new), f"/models/{new[-1].name}/promote"))
    if dead := deployment.loop.store.inbox.dead():
        found.append(Notice("dead events", None, dead, "/errors"))
    if broken := sum(one.state == "failed" for one in versions):
        found.append(Notice("broken versions", None, broken, "/errors"))
    return found


def _withdrawn(task: Task, promise: Mapping[str, Any], where: str) -> list[Notice]:
    """What audits found not to be kept, of all or of kinds."""
    if str(promise.get("reason", "")).startswith(WITHDRAWN):
        return [Notice("withdrawn", task, 1, where)]
    kinds = sum(one.get("reason", "").startswith(WITHDRAWN) for one in promise.get("kinds", {}).values())
    return [Notice("withdrawn kinds", task, kinds, where)] if kinds else []


def _newer(versions: Sequence[StoredVersion]) -> list[StoredVersion]:
    """Candidates that were made after what serves."""
    serving = [one.created_at for one in versions if one.state == "serving"]
    return [one for one in versions if one.state == "candidate" and serving and one.created_at > max(serving)]


def _card(answer: Answer) -> Card:
    return card(answer, answer.preannotation.features.get("duration_s"))
