"""A policy: the terms on which a deployment decides, as data that is named by its content."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Annotated, Any, Literal, TypeAlias

from models.errors import InvalidInput
from models.matters import Matters
from models.records import LARGEST, STRICT, Above0, Label, Seconds, Task, Time, bounded
from selection.kinds import MISSING, Kind, kind_of, kinds_of_parts, names_of
from selection.queueing import Deadline, Share, Skills, StrategyName
from selection.rules import About, Rule, rule_for

LEAST_RATE = 1e-6  # of alpha and delta: smaller ones take more checks than can be counted, let alone made
_Rate: TypeAlias = Annotated[float, bounded(minimum=LEAST_RATE, exclusiveMaximum=1)]
_Budget: TypeAlias = Annotated[Seconds, bounded(exclusiveMinimum=0, maximum=LARGEST)]


@dataclass(frozen=True)
class Policy:
    """All terms.

    ``alpha`` and ``delta`` are those of the promise, ``promise_of`` what is accepted unseen. The shares, each in
    (0, 1], are of items that people check at random: before the first promise, and under one. Checks of one group
    (speaker, clip) are one observation, unless ``groups`` is false. ``planted_share``, in
    [0, 1), is that of gold items, whose answer is known, in what people are handed. ``matters_*`` say what an
    error is, ``budget_s_per_day`` how many human seconds there are a day (None: as many as people give). What a rule
    catches is never accepted unseen. Each of the ``kinds`` has a promise of its own; an item, or where parts are
    accepted one by one a part, is of the first that it fits, else of the rest. Only checks after ``checks_from`` count
    for the promise: a rule or a kind that was made after a look at them takes their word from them. ``strategies``
    share the queue, ``annotators`` can do what stands there and others everything, and groups with ``deadlines`` go
    first where time runs short.
    """

    alpha: _Rate = 0.02
    delta: _Rate = 0.05
    promise_of: Literal["items", "parts"] = "items"
    audit_share: Above0 = 0.02
    calibration_share: Above0 = 0.2
    groups: bool = True
    planted_share: Annotated[float, bounded(minimum=0, exclusiveMaximum=1)] = 0.0
    matters_wer: Annotated[float, bounded(minimum=0, exclusiveMaximum=1)] = 0.0
    matters_iou: Above0 = 0.5
    matters_category: bool = True
    matters_lane_px: Annotated[float, bounded(exclusiveMinimum=0, maximum=512)] = 8.0
    budget_s_per_day: _Budget | None = None
    rules: tuple[Rule, ...] = ()
    kinds: tuple[Kind, ...] = ()
    checks_from: Time | None = None
    strategies: Annotated[tuple[Share, ...], bounded(minItems=1)] = (Share("uncertainty"),)
    annotators: Mapping[str, Skills] = field(default_factory=dict)
    deadlines: tuple[Deadline, ...] = ()

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        for name in ("alpha", "delta"):
            rate = getattr(self, name)
            _require(LEAST_RATE <= rate < 1, name, f"a number in [{LEAST_RATE:g}, 1)", rate)
        for name in ("audit_share", "calibration_share"):
            _require(0 < getattr(self, name) <= 1, name, "a share in (0, 1]", getattr(self, name))
        _require(0 <= self.planted_share < 1, "planted_share", "a share in [0, 1)", self.planted_share)
        budget = self.budget_s_per_day
        fits = budget is None or 0 < budget <= LARGEST
        _require(fits, "budget_s_per_day", f"seconds above 0, at most {LARGEST:g}", budget)
        since = self.checks_from
        _require(since is None or since.tzinfo is not None, "checks_from", "a time with its zone", str(since))
        for name, named in (("kinds", [(one.task, one.name) for one in self.kinds]),
                            ("strategies", [one.name for one in self.strategies]),
                            ("deadlines", [one.group for one in self.deadlines])):  # fmt: skip
            _require(len(set(named)) == len(named), name, "each name once", named)
        _require(bool(self.strategies), "strategies", "at least one", self.strategies)
        for kind in self.kinds if self.of_parts else ():
            where = "where the promise is of parts"
            _require(kind.name != MISSING, "kinds", f"another name than {MISSING!r} {where}", kind.name)
            _require(kind.more_than is None, "kinds", f"no more_than {where}", kind.name)
        assert self.matters  # which checks its own

    @property
    def matters(self) -> Matters:
        """What counts as an error of a model."""
        return Matters(self.matters_wer, self.matters_iou, self.matters_category, self.matters_lane_px)

    @property
    def leading(self) -> StrategyName:
        """The strategy that picks most, for those who can only have one."""
        return max(self.strategies, key=lambda one: one.share).name

    @property
    def of_parts(self) -> bool:
        """Whether words, boxes and lines are accepted one by one."""
        return self.promise_of == "parts"

    def rule_for(self, task: Task, label: Label, about: About) -> Rule | None:
        """The rule by which a person always sees this item, if one does."""
        return rule_for(self.rules, task, label, about)

    def kind_of(self, task: Task, label: Label, about: About) -> str | None:
        """The kind by whose promise this item is decided; None where the task has no kinds."""
        return kind_of(self.kinds, task, label, about)

    def kinds_of(self, task: Task) -> tuple[str, ...]:
        """What has a promise of its own: the names of the kinds of a task, the rest among them, and beside kinds of
        parts the question what is missing; none where it has no kinds."""
        names = names_of(self.kinds, task)
        return (*names, MISSING) if names and self.of_parts else names

    def kinds_of_parts(self, task: Task, label: Label, about: About) -> tuple[str, ...]:
        """The kind of each part (p,) of an item, where parts are accepted one by one and the task has kinds."""
        return kinds_of_parts(self.kinds, task, label, about)

    @cached_property
    def version(self) -> str:
        """Its name: the same for the same terms, and for no others.

        What is as by default has no part in it, so that terms that a later release knows do not rename older policies.
        """
        plain = asdict(Policy())
        terms = {name: _told(value) for name, value in asdict(self).items() if value != plain[name]}
        told = json.dumps(terms, sort_keys=True, default=str)
        return f"policy-{hashlib.sha256(told.encode()).hexdigest()[:12]}"


KEYS = tuple(term.name for term in fields(Policy))


def _told(value: Any) -> Any:
    """The value without what is left out of it."""
    match value:
        case dict():
            return {name: _told(one) for name, one in value.items() if one is not None}
        case list() | tuple():
            return [_told(one) for one in value]
        case _:
            return value


def _require(holds: bool, where: str, expected: str, got: object) -> None:
    if not holds:
        raise InvalidInput(f"{where}: expected {expected}, got {got!r}")
