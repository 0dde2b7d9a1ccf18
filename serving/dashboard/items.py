"""The page at ``/items/{id}``: everything that happened to an item, for people; programs read ``/v1/items/{id}``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher
from typing import Any, TypeAlias

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from models.changes import Changes
from models.errors import InvalidInput
from models.records import Label, Task, Transcript, Uncertainty
from models.tasks import changes, parse_task
from selection.queueing import due_by
from selection.routing import Decision
from serving.dashboard.cards import Card, card_of, is_late
from serving.dashboard.frame import page
from serving.deployment import actor_of, deployment_of
from serving.loop import Loop, utc_now
from serving.store.rows import label_of, plan_of

routes = APIRouter()


@dataclass(frozen=True)
class Said:
    """What a version said, and what was decided."""

    at: datetime
    version: str
    card: Card
    uncertainty: Uncertainty
    decision: Decision
    counts: bool


@dataclass(frozen=True)
class Given:
    """What a person said: in how many seconds, against which version, and what they changed (None: unknown).

    ``planted``: the answer was known, and they were measured by it.
    """

    at: datetime
    annotator: str
    tool: str
    seconds: float
    version: str | None
    card: Card
    changes: Changes | None
    words: Sequence[tuple[str, str]]
    withdrawn: bool
    counts: bool
    planted: bool


@dataclass(frozen=True)
class Unfit:
    """A person's word that it cannot be labelled, and whether that stands no longer."""

    at: datetime
    annotator: str
    tool: str
    seconds: float
    reason: str
    withdrawn: bool


@dataclass(frozen=True)
class Lent:
    """A lease, and how it ended: by a correction, by the word that it is unfit, given back, by its time, or not yet."""

    at: datetime
    annotator: str
    until: datetime
    ended_at: datetime | None
    corrected: bool
    unfit: bool


Chapter: TypeAlias = Said | Given | Unfit | Lent


@dataclass(frozen=True)
class Story:
    """An item in a task: its state, what happened, oldest first, when it is due, if ever, whether it is late, whether
    it was chosen as gold, whether it is gold, chosen or by chance, and which versions were trained on it."""

    task: Task
    state: str
    audit: bool
    failure: str | None
    chapters: Sequence[Chapter]
    due: datetime | None
    late: bool
    chosen: bool
    gold: bool
    trained: Sequence[str]

    @property
    def shown(self) -> Card | None:
        """What counts by now: the newest correction that stands, or the newest answer."""
        cards = [one.card for one in self.chapters if isinstance(one, Said | Given) and one.counts]
        return cards[-1] if cards else None


@routes.get("/items/{item_id}")
async def item(item_id: str, request: Request) -> Response:
    """The history of an item, task by task."""
    deployment = deployment_of(request)
    history = await run_sync(deployment.loop.history, item_id, actor_of(request))
    told = [_story(history, line, deployment.loop) for line in history["tasks"]]
    return page(request, "item.html", item=history["item"], stories=told, kind=kind)


@routes.post("/items/{item_id}/fit")
async def fit(item_id: str, request: Request) -> Response:
    """Takes back that the item cannot be labelled, as the form of its page asks for."""
    async with request.form(max_files=0, max_fields=1) as form:
        task = parse_task(str(form.get("task", "")))
    await run_sync(deployment_of(request).loop.find_fit, item_id, task, actor_of(request))
    return RedirectResponse(f"/items/{item_id}", 303)


@routes.post("/items/{item_id}/gold")
async def gold(item_id: str, request: Request) -> Response:
    """Chooses the item as gold, or no longer, as the form of its page asks for."""
    async with request.form(max_files=0, max_fields=2) as form:
        task, choose = parse_task(str(form.get("task", ""))), bool(form.get("choose"))
    chosen = deployment_of(request).loop.gold
    await run_sync(chosen.choose if choose else chosen.take_back, task, [item_id], actor_of(request))
    return RedirectResponse(f"/items/{item_id}", 303)


def kind(chapter: Chapter) -> str:
    """What the template calls it."""
    return type(chapter).__name__.lower()


def _story(history: Mapping[str, Any], line: Mapping[str, Any], loop: Loop) -> Story:
    task: Task = line["task"]
    of_task = {
        name: [one for one in history[name] if one["task"] == task]
        for name in ("preannotations", "corrections", "unfit", "leases")
    }
    labels = {one["version"]: (label_of(task, one["label"]), one["duration_s"]) for one in of_task["preannotations"]}
    chapters: list[Chapter] = [_said(task, one, line) for one in of_task["preannotations"]]
    chapters += [_given(task, one, line, labels) for one in of_task["corrections"]]
    chapters += [_unfit(one) for one in of_task["unfit"]]
    chapters += [_lent(one) for one in of_task["leases"]]
    own = _time(line["due_at"]) if line["due_at"] else None
    due = due_by(own, history["item"]["group"], loop.policies.of(task).deadlines)
    late = is_late(due, line["state"], utc_now())
    in_order = sorted(chapters, key=lambda one: one.at)
    chosen = line["gold_at"] is not None
    gold = line["state"] == "corrected" and loop.gold.of(task)(line["item_id"])
    shown = in_order, due, late, chosen, gold, line["trained"]
    return Story(task, line["state"], line["audit"], line["failure"], *shown)


def _said(task: Task, one: Mapping[str, Any], line: Mapping[str, Any]) -> Said:
    plan = plan_of(one["parts"])
    counts = one["version"] == line["version"] and line["correction_id"] is None
    return Said(
        _time(one["created_at"]),
        one["version"],
        card_of(label_of(task, one["label"]), plan, one["duration_s"]),
        Uncertainty(p_error=one["p_error"], seconds=one["seconds"], score=one["score"]),
        Decision(one["decision"], one["reason"], plan, one["policy"], one["otherwise"]),
        counts,
    )


def _given(
    task: Task, one: Mapping[str, Any], line: Mapping[str, Any], labels: Mapping[str, tuple[Label, float | None]]
) -> Given:
    label = label_of(task, one["label"])
    before, duration_s = labels.get(one["model_version"], (None, None))
    return Given(
        _time(one["received_at"]),
        one["annotator"],
        one["tool"],
        one["seconds"],
        one["model_version"],
        card_of(label, None, duration_s),
        _changes(task, before, label),
        aligned(before.text, label.text) if isinstance(before, Transcript) and isinstance(label, Transcript) else (),
        one["withdrawn_at"] is not None,
        one["id"] == line["correction_id"],
        one["planted"],
    )


def _changes(task: Task, before: Label | None, after: Label) -> Changes | None:
    """What the person did, as far as both speak of the same picture."""
    try:
        return None if before is None else changes(task, before, after)
    except InvalidInput:
        return None


def _unfit(one: Mapping[str, Any]) -> Unfit:
    withdrawn = one["withdrawn_at"] is not None
    return Unfit(_time(one["received_at"]), one["annotator"], one["tool"], one["seconds"], one["reason"], withdrawn)


def _lent(one: Mapping[str, Any]) -> Lent:
    ended = _time(one["ended_at"]) if one["ended_at"] else None
    until, by = _time(one["expires_at"]), (one["correction_id"] is not None, one["unfit_id"] is not None)
    return Lent(_time(one["leased_at"]), one["annotator"], until, ended, *by)


def aligned(before: str, after: str) -> list[tuple[str, str]]:
    """Both texts in stretches that belong together, word by word: equal ones stay, others became something else."""
    old, new = before.split(), after.split()
    blocks = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return [(" ".join(old[a:b]), " ".join(new[c:d])) for _, a, b, c, d in blocks]


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
