"""What of a planted item is kept from whoever was handed it until they have answered: its label, and that it has one.

Until then they see it as they see any item that they hold or held: as it would be were it open.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from selection.routing import DRAWN
from serving.store.records import Actor, Answer

History: TypeAlias = dict[str, Any]  # as ``Items.history`` tells it
Row: TypeAlias = Mapping[str, Any]


def unanswered(told: History, asker: Actor) -> list[Row]:
    """The leases by which an item is planted for somebody who asks and owes their answer, of each task the last."""
    answered = {(one["task"], one["annotator"]) for one in told["corrections"] if one["planted"]}
    owed = [one for one in told["leases"] if one["planted"] and one["actor"] == asker and one["unfit_id"] is None]
    return list({one["task"]: one for one in owed if (one["task"], one["annotator"]) not in answered}.values())


def newest(told: History, task: str) -> Row | None:
    """What a version said last of an item, if any did."""
    return next((one for one in reversed(told["preannotations"]) if one["task"] == task), None)


def concealed(told: History, lease: Row, answer: Answer, now: datetime) -> History:
    """The history of an item as it would be were it open, with one lease of it and the answer as if it were."""
    task, said = lease["task"], newest(told, lease["task"])
    assert said is not None, "an item was planted of which no version said anything"
    open_said = {**said, **_decided(answer)}
    others = {name: [one for one in told[name] if one["task"] != task] for name in ("corrections", "unfit", "leases")}
    return {
        **told,
        **others,
        "leases": [*others["leases"], {**lease, "planted": False}],
        "preannotations": [open_said if one is said else one for one in told["preannotations"]],
        "tasks": [_open(one, lease, open_said, now) if one["task"] == task else one for one in told["tasks"]],
    }


def without(listed: Sequence[Any], hidden: frozenset[str]) -> list[Any]:
    """Entries of a list, each with its ``item``, that are not among those."""
    return [one for one in listed if one.item.id not in hidden]


def _decided(answer: Answer) -> dict[str, Any]:
    doubt, decision = answer.preannotation.uncertainty, answer.decision
    return {
        "p_error": doubt.p_error,
        "seconds": doubt.seconds,
        "decision": decision.decision,
        "reason": decision.reason,
        "policy": decision.policy,
        "otherwise": decision.otherwise,
        "parts": None,
    }


def _open(line: Row, lease: Row, said: Row, now: datetime) -> Row:
    holds = lease["ended_at"] is None and datetime.fromisoformat(lease["expires_at"]) > now
    return {
        **line,
        "state": "leased" if holds else "preannotated",
        "audit": said["decision"] in DRAWN,
        "priority": said["score"],
        "version": said["version"],
        "correction_id": None,
        "lease_id": lease["id"] if holds else None,
        "lease_until": lease["expires_at"] if holds else None,
        **dict.fromkeys(("contested_at", "failure", "gold_at")),
        "trained": [],
        "updated_at": lease["ended_at"] or lease["leased_at"],
        "actor": lease["actor"],
    }
