"""Kinds of items, each with a promise of its own: one promise for a corpus that is known well and another that is not
pays for the weaker one, and a class that is rare may be wrong far more often than all.

Like a rule, a kind looks at what is known without a person, so which items are of it is known without a label. The
checks of a kind say nothing of another, and the kinds share delta (Bonferroni): all their promises hold together but
for delta.

Where words, boxes and lines are accepted one by one, a kind is one of them: each is of the kind that its item would be
of if it were alone in there. What is missing is of no kind, for nobody sees it; that stays one question for an item,
with a promise of its own, which has the same part of delta.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from models.parts import each_alone
from models.records import Label, Task
from selection.rules import About, Conditions

REST = "rest"  # the kind of what is of no other
MISSING = "missing"  # beside kinds of parts, the question whether something is missing

_NAME = re.compile(r"\w([\w .-]{0,38}\w)?")


@dataclass(frozen=True)
class Kind(Conditions):
    """Items with a promise of their own, by a name that reasons and reports tell."""

    name: str

    term: ClassVar[str] = "kinds"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not _NAME.fullmatch(self.name) or self.name == REST:
            raise self._wrong(f"name: expected up to 40 letters, digits, spaces, . _ or -, not {REST!r}, "
                              f"got {self.name!r}")  # fmt: skip


def kind_of(kinds: Sequence[Kind], task: Task, label: Label, about: About) -> str | None:
    """The first kind of its task that an item is of, else the rest; None where the task has no kinds."""
    of_task = [kind for kind in kinds if kind.task == task]
    return next((kind.name for kind in of_task if kind.hold(label, about)), REST) if of_task else None


def kinds_of_parts(kinds: Sequence[Kind], task: Task, label: Label, about: About) -> tuple[str, ...]:
    """The kind of each word, box or line (p,) of a label, of a task that has kinds."""
    return tuple(kind_of(kinds, task, alone, about) or REST for alone in each_alone(label))


def names_of(kinds: Sequence[Kind], task: Task) -> tuple[str, ...]:
    """The names of all kinds of a task, the rest among them; none where the task has no kinds."""
    names = tuple(kind.name for kind in kinds if kind.task == task)
    return (*names, REST) if names else ()


def called(name: str) -> str:
    """A kind in a sentence."""
    if name == MISSING:
        return "what is missing"
    return "the rest" if name == REST else f'the kind "{name}"'
