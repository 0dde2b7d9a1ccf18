"""Rules of a policy: what a person always sees, however sure the model is; and the conditions that they ask for.

A rule looks at what is known without a person: the predicted label, and what the item came with. So the items that it
catches are known beforehand, and the promise speaks of the others alone (``serving.trust``).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from fnmatch import fnmatchcase
from typing import Annotated, ClassVar, Literal

from models.errors import InvalidInput
from models.records import STRICT, Above0, Boxes, Label, Lanes, Seconds, Task, Transcript, bounded


@dataclass(frozen=True)
class About:
    """What is known of an item besides its label: group, language, how long it sounds, if it does, and whether somebody
    chose it as gold."""

    group: str | None = None
    language: str | None = None
    duration_s: Seconds | None = None
    chosen: bool = False


@dataclass(frozen=True)
class Conditions:
    """What holds of some items of a task, by what is known of them without a person; all that is given has to hold.

    ``category``: a box is named so. ``text``: a regular expression is found in the transcript, in upper or lower case.
    ``confidence_below``: a word, a box (of that category) or a line is less sure. ``more_than``: there are more of
    them. ``group`` (with ``*`` for anything) and ``language``: as the item was registered. ``longer_than_s``: it sounds
    longer.
    """

    task: Task
    _: KW_ONLY
    category: str | None = None
    text: str | None = None
    confidence_below: Above0 | None = None
    more_than: Annotated[int, bounded(minimum=0)] | None = None
    group: str | None = None
    language: str | None = None
    longer_than_s: Seconds | None = None

    term: ClassVar[str] = "rules"  # of a policy, where they stand
    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        for name, task in (("category", "detection"), ("text", "asr"), ("longer_than_s", "asr")):
            if getattr(self, name) is not None and self.task != task:
                raise self._wrong(f"expected {name} in {self.term} of {task} alone, got it in one of {self.task}")
        if self.confidence_below is not None and not 0 < self.confidence_below <= 1:
            raise self._wrong(f"confidence_below: expected a number in (0, 1], got {self.confidence_below}")
        if self.more_than is not None and self.more_than < 0:
            raise self._wrong(f"more_than: expected a number of parts >= 0, got {self.more_than}")
        try:
            re.compile(self.text or "")
        except (re.error, OverflowError, RecursionError) as error:
            raise self._wrong(f"text: expected a regular expression, got {self.text!r}: {error}") from error

    def _wrong(self, what: str) -> InvalidInput:
        return InvalidInput(f"{self.term}: {what}")

    def hold(self, label: Label, about: About) -> bool:
        """Whether all that is asked for holds of an item of the task."""
        asked: Sequence[tuple[object, Callable[[], bool]]] = (
            (self.text, lambda: isinstance(label, Transcript) and bool(re.search(self.text or "", label.text, re.I))),
            (self.group, lambda: about.group is not None and fnmatchcase(about.group, self.group or "")),
            (self.language, lambda: about.language == self.language),
            (self.longer_than_s, lambda: (about.duration_s or 0) > (self.longer_than_s or 0)),
        )
        return all(holds() for value, holds in asked if value is not None) and self._finds(_parts(label))

    def _finds(self, parts: Sequence[tuple[str, float]]) -> bool:
        """Whether there are such parts, (name, confidence) each, and enough of them."""
        wanted = [sure for name, sure in parts if self.category in (None, name)]
        if self.more_than is not None and len(wanted) <= self.more_than:
            return False
        if self.confidence_below is not None:
            return any(sure < self.confidence_below for sure in wanted)
        return self.category is None or bool(wanted)


@dataclass(frozen=True)
class Rule(Conditions):
    """What a person always sees of a task."""

    decision: Literal["review", "annotate"] = "review"

    @property
    def avoided(self) -> str:
        """How many of the parts that the rule counts an item may have without being caught; empty for any number."""
        named = f' "{self.category}"' if self.category else ""
        return "" if self.more_than is None else f"no more than {self.more_than} {self._called}{named}"

    @property
    def _called(self) -> str:
        return {"asr": "words", "detection": "boxes", "lane": "lines"}[self.task]

    @property
    def words(self) -> str:
        """The rule as people say it: what is always looked at."""
        parts = self._called
        named = f' "{self.category}"' if self.category else ""
        told = [
            f"{parts}{named}" if self.category else "",
            f"more than {self.more_than} {parts}" if self.more_than is not None else "",
            f"a confidence below {self.confidence_below:g}" if self.confidence_below is not None else "",
            f"text like {self.text!r}" if self.text is not None else "",
            f"the group {self.group!r}" if self.group is not None else "",
            f"the language {self.language!r}" if self.language is not None else "",
            f"more than {self.longer_than_s:g} s of sound" if self.longer_than_s is not None else "",
        ]
        given = [one for one in told if one]
        return f"what has {' and '.join(given)}" if given else f"everything of {self.task}"


def rule_for(rules: Sequence[Rule], task: Task, label: Label, about: About) -> Rule | None:
    """The first rule that catches an item, if any does."""
    return next((rule for rule in rules if rule.task == task and rule.hold(label, about)), None)


def _parts(label: Label) -> list[tuple[str, float]]:
    match label:
        case Transcript():
            return [(word.text, word.confidence) for word in label.words]
        case Boxes():
            return [(box.category, box.confidence) for box in label.boxes]
        case Lanes():
            return [("", lane.confidence) for lane in label.lanes]
