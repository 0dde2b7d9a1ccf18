"""What nobody looked at where parts are accepted one by one, all of it compared with the truth."""

from dataclasses import dataclass
from typing import Any

from models.matters import Matters
from models.records import Label, Task
from models.tasks import part_errors
from serving.loop import Loop


@dataclass(frozen=True)
class Unseen:
    """Parts that were accepted, and how many of those are ``wrong``; items of which nobody was asked what is missing,
    and how many of those are ``lacking`` something."""

    parts: int = 0
    wrong: int = 0
    unasked: int = 0
    lacking: int = 0

    def __add__(self, other: "Unseen") -> "Unseen":
        sums = (mine + theirs for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True))
        return Unseen(*sums)


def unseen(loop: Loop, task: Task, item_id: str, truth: Label, matters: Matters) -> Unseen:
    """Of one item, by the answer on which its label in the store rests; nothing where a person saw all of it."""
    known = loop.history(item_id)
    state = next(one for one in known["tasks"] if one["task"] == task)
    accepted = state["state"] == "accepted"
    if not accepted and state["state"] != "corrected":
        return Unseen()
    version = state["version"] if accepted else _corrected(known, task, state["correction_id"])
    answer = loop.answered(item_id, task, version) if version else None
    if answer is None or not (accepted or answer.decision.parts):
        return Unseen()
    label, parts = answer.preannotation.label, answer.decision.parts
    errors = part_errors(task, label, truth, matters)
    rows = range(len(errors.wrong)) if parts is None else parts.accepted
    unasked = parts is None or not parts.asked
    return Unseen(len(rows), int(errors.wrong[list(rows)].sum()), int(unasked), int(unasked and errors.missing > 0))


def _corrected(known: dict[str, Any], task: Task, correction_id: int) -> str | None:
    """What a person was shown whose label counts: a version, or nothing."""
    given = next(one for one in known["corrections"] if one["task"] == task and one["id"] == correction_id)
    version: str | None = given["model_version"]
    return version
