"""The figures of a task: where its items are, what its labels cost, and what is promised of them."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from models.records import Task
from selection.queueing import Deadline
from serving.store import Store
from serving.store.deadlines import Lateness
from serving.store.records import Promotion, Spent, StoredVersion

_MIDNIGHT: dict[str, Any] = {"hour": 0, "minute": 0, "second": 0, "microsecond": 0}


def task_report(
    store: Store,
    task: Task,
    told_of: Callable[[StoredVersion], dict[str, Any]],
    planted_of: Callable[[Task], dict[str, Any]],
    deadlines: Sequence[Deadline],
    now: datetime,
) -> dict[str, Any]:
    """Items by state, human seconds, and seconds a label; a label is a corrected item or one accepted unseen, and none
    of those that came with their label as gold.

    Unfit items have no label, and what people said of planted items is none, but both took their time: told apart, they
    are in the human seconds. Today begins at midnight UTC. Where a tool told no seconds, people needed more than the
    figures say: the report counts such corrections.
    """
    serving = store.versions.serving(task)
    states = store.items.counts(task, now)
    gold = store.gold.counts(task)
    labels = states.get("corrected", 0) + states.get("accepted", 0) - gold.known
    lines, accepted = store.queue.seconds(task), store.items.accepted(task)
    reasons, planted, midnight = store.unfit.reasons(task), planted_of(task), now.astimezone(UTC).replace(**_MIDNIGHT)
    human_seconds = _sum(*(line.seconds for line in lines), planted["human_seconds"], store.unfit.seconds(task))
    return {
        "serving": serving.name if serving else None,
        "promise": told_of(serving) if serving else None,
        "items": states,
        "deadlines": _told(store.deadlines.lateness(task, deadlines, now)),
        "labels": labels,
        "unfit": {"items": sum(reasons.values()), "drawn": store.unfit.drawn(task), "reasons": reasons},
        "corrections": sum(line.corrections for line in lines),
        "corrections_without_seconds": sum(line.untold for line in lines),
        "gold": vars(gold),
        "planted": {**planted, "human_seconds": _sum(planted["human_seconds"])},
        "human_seconds": human_seconds,
        "human_seconds_today": _sum(store.queue.seconds_since(task, midnight), store.unfit.seconds(task, midnight)),
        "seconds_per_label": human_seconds / labels if labels else None,
        "by_model_version": [_worked(line, accepted.get(line.version or "", 0)) for line in lines],
        "switches": [_switch(one) for one in store.versions.promotions(task)],
    }


def _worked(spent: Spent, accepted: int) -> dict[str, Any]:
    """What people did with what a version said; several corrections of an item are one label, and those of one that
    turned out unfit none."""
    labels = spent.items + accepted
    return {
        "model_version": spent.version,
        "corrections": spent.corrections,
        "human_seconds": _sum(spent.seconds),
        "seconds_per_correction": spent.seconds / spent.corrections,
        "accepted": accepted,
        "seconds_per_label": spent.seconds / labels if labels else None,
    }


def _sum(*seconds: float) -> float:
    """To the millisecond, below which a sum of seconds says nothing."""
    return round(sum(seconds), 3)


def _switch(one: Promotion) -> dict[str, Any]:
    return {
        "version": one.version,
        "kind": one.kind,
        "at": one.at.isoformat(),
        "actor": one.actor,
        "forced": one.forced,
        "note": one.comparison.note,
    }


def _told(lateness: Lateness) -> dict[str, Any]:
    return {**vars(lateness), "next": lateness.next.isoformat() if lateness.next else None}
