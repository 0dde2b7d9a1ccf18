"""Who gets what next: strategies share the queue, people get what they can do, and what is due goes first in time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

import numpy as np

from models.counting import percent
from models.errors import InvalidInput
from models.records import STRICT, Above0, Seconds, Task, Time

StrategyName: TypeAlias = Literal[
    "random", "uncertainty", "per-second", "k-center", "badge", "cluster-margin", "typiclust"
]

DAY = timedelta(days=1)
GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class Share:
    """The share, in (0, 1], of the queue that a strategy picks."""

    name: StrategyName
    share: Above0 = 1.0

    __pydantic_config__ = STRICT

    @property
    def words(self) -> str:
        """The strategy with its share, if it shares."""
        return self.name if self.share == 1 else f"{self.name} {percent(self.share)}"

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise InvalidInput(f"strategies: share: expected a share in (0, 1], got {self.share} of {self.name}")


@dataclass(frozen=True)
class Skills:
    """What one person can do: tasks, languages and categories of boxes; None is everything."""

    tasks: tuple[Task, ...] | None = None
    languages: tuple[str, ...] | None = None
    categories: tuple[str, ...] | None = None

    __pydantic_config__ = STRICT

    def does(self, task: Task) -> bool:
        """Whether the task is one of theirs."""
        return self.tasks is None or task in self.tasks

    @property
    def words(self) -> str:
        """What they can do, for people."""
        told = {"tasks": self.tasks, "languages": self.languages, "categories": self.categories}
        named = [f"{name} {', '.join(values) or 'none'}" for name, values in told.items() if values is not None]
        return "; ".join(named) or "everything"


@dataclass(frozen=True)
class Deadline:
    """When the items of a group are due."""

    group: str
    by: Time

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        if self.by.tzinfo is None:
            raise InvalidInput(f"deadlines: by: expected a time with its zone, got '{self.by}' of group {self.group!r}")


def turns(strategies: Sequence[Share], audits: float, first: int, places: int) -> list[StrategyName | None]:
    """Whose turn each of some places in a queue is, from place number ``first`` on: a strategy's, or (None) an audit's.

    Audit items get the share ``audits`` in [0, 1] of all places, and strategies their shares of the rest: of places in
    a row, wherever they begin, each gets its share within two places or three (multiples of the golden ratio fill the
    circle as evenly as any sequence can: Kuipers and Niederreiter 1974, Uniform Distribution of Sequences, ch. 2).
    """
    shares = np.array([one.share for one in strategies])
    until = np.cumsum([audits, *(1 - audits) * shares / shares.sum()])[:-1]
    at = (0.5 + GOLDEN * np.arange(first, first + places)) % 1
    whose: list[StrategyName | None] = [None, *(one.name for one in strategies)]
    return [whose[row] for row in np.searchsorted(until, at, side="right")]


def tomorrow(now: datetime) -> datetime:
    """When the day of UTC ends."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0) + DAY


def done_by(now: datetime, open_s: Seconds, used_s: Seconds, budget_s_per_day: Seconds | None) -> datetime:
    """The end of the day on which all that is open will be done; what is due before that must go first.

    Without a budget nobody can tell; then it is a day from now.

    Args:
        open_s: human seconds that the open items take.
        used_s: human seconds that people worked today.
    """
    if budget_s_per_day is None:
        return now + DAY
    rest = open_s - max(0.0, budget_s_per_day - used_s)
    return tomorrow(now) + max(0, math.ceil(min(rest / budget_s_per_day, 36500))) * DAY


def due_by(own: datetime | None, group: str | None, deadlines: Sequence[Deadline]) -> datetime | None:
    """When an item is due: at its own time or at that of its group, whichever comes first; None if never."""
    return min([*([own] if own else []), *(one.by for one in deadlines if one.group == group)], default=None)
