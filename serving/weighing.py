"""Checks that become more are weighed for a promise: which of them count by now, and by which rule.

They count in the order in which people were handed them, up to the first that is not settled: that somebody holds, or
that waits for a second look. That order knows nothing of what people find, and no check counts before the one ahead of
it. So neither does a slip count as an error meanwhile, nor do checks come first that are right and therefore quick.
What was handed out past a check that had been drawn before it waits for that one (``serving.overtaking``).

Where a policy has kinds, the checks of each are weighed on their own, on its own pool and with its part of delta. Once
the promise of one was withdrawn, what was checked of it before counts no longer.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Any, TypeAlias

import numpy as np

from models.arrays import Floats
from models.matters import ANYTHING, Matters
from models.parts import PartErrors, has_parts
from models.records import PreAnnotation, Task
from models.tasks import differs, part_errors
from selection.checks import RandomChecks
from selection.cost import part_doubts
from selection.evidence import checks_needed
from selection.growing import Ladder, ladder, part_ladders, weigh, weigh_part, weigh_parts
from selection.kinds import MISSING, REST, called
from selection.looks import begins, level, look
from selection.parts import PartChecks, PartPromise, missing_doubt, most_parts, promise_part, promise_parts
from selection.risk import NoPromise, Threshold, promise
from selection.routing import standing_of
from serving.overtaking import overtaking
from serving.store.records import Audited, OpenCheck, Place

WITHDRAWN = "withdrawn"  # how every reason begins after audits broke a promise, until the next one holds

_LATER = "; once those drawn before them are checked, "

Find: TypeAlias = "Callable[[Sequence[Audited], Terms], RandomChecks | PartChecks]"
Own: TypeAlias = Callable[[str], Sequence[Audited]]
Finds: TypeAlias = Callable[[str], Find]
Promise: TypeAlias = "Threshold | NoPromise | PartPromise | KindPromise"


@dataclass(frozen=True)
class Pool:
    """What a version said of its items, corrected or not: the doubt (n,) about each; where parts are accepted one by
    one, that about each part (p,), and whether something is missing (m,)."""

    scores: Floats
    parts: Floats | None = None
    missing: Floats | None = None

    @staticmethod
    def of_parts(answers: Iterable[PreAnnotation]) -> "Pool":
        """The pool of answers with the parts of those that have any."""
        scores, doubts, missing = list[float](), [np.zeros(0)], list[float]()
        for one in answers:
            scores.append(one.uncertainty.score)
            if has_parts(one.label):
                doubts.append(part_doubts(one.label))
                missing.append(missing_of(one))
        return Pool(np.array(scores), np.concatenate(doubts), np.array(missing, np.float64))


@dataclass(frozen=True)
class Kinds:
    """The kinds that have a promise each: the pool of every one by its name, and which kind a check is ``of`` or, where
    kinds are of parts, each of its ``parts`` (p,). Where the promise of one was withdrawn, its checks count from
    ``checks_from`` on."""

    pools: Mapping[str, Pool]
    of: Callable[[Audited], str]
    parts: Callable[[Audited], Sequence[str]] | None = None
    checks_from: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True)
class Terms:
    """What is promised, on what pool, from checks drawn with a number below ``share``; with ``kinds``, of each on its
    own pool.

    If a promise was withdrawn, from checks after ``checks_from`` alone. Checks of one group are one observation, unless
    ``groups`` is false.
    """

    task: Task
    share: float
    pool: Pool
    alpha: float
    delta: float
    matters: Matters = ANYTHING
    kinds: Kinds | None = None
    checks_from: datetime | None = None
    groups: bool = True
    overtaken: Sequence[OpenCheck] = ()  # past which checks were handed out
    find: "Find | None" = None  # what was found of a part of each item, instead of the whole

    @property
    def each(self) -> float:
        """The delta of one promise: that of parts and that of what is missing share it."""
        return self.delta if self.pool.parts is None else self.delta / 2


@dataclass(frozen=True)
class Weighed:
    """A promise, or why there is none; how many known checks did not count yet; and what weighing goes on from: the
    ladders, or in groups the last look, and since when checks count, if a promise was withdrawn then. Of the parts of
    one item no more than ``most`` are accepted; the ``pool`` has so many of what is promised. What waits does so
    until one of the checks ``behind`` which it came is open no more, None standing for all that are not settled."""

    promise: Promise
    waiting: int = 0
    ladders: tuple[Ladder, ...] = ()
    looked: int = 0
    checks_from: datetime | None = None
    most: int = 1
    pool: int = 0
    behind: tuple[str | None, ...] = ()


@dataclass(frozen=True)
class KindPromise:
    """What is promised of ``each`` kind by its name, of items or ``of_parts``, and there of the question what is
    missing as well; all of them hold together but for ``delta``."""

    alpha: float
    delta: float
    each: Mapping[str, Weighed]
    of_parts: bool = False

    def parts_of(self, kind: str) -> PartPromise:
        """What is promised of the parts of a kind."""
        return PartPromise(self.of(kind), self.of(MISSING), self.each[kind].most)

    @property
    def together(self) -> PartPromise:
        """What is promised of the parts of all kinds that there are: nothing while one of them has no promise, so
        that people go on checking as many items as before, and all items alike, whatever is in them."""
        kinds = [kind for kind, one in self.each.items() if kind != MISSING and (one.pool or one.checks_from)]
        without = [kind for kind in kinds if isinstance(self.of(kind), NoPromise)]
        return self.parts_of((*without, *kinds, REST)[0])

    def of(self, kind: str) -> Threshold | NoPromise:
        """What is promised of a kind."""
        promise = self.each[kind].promise
        assert isinstance(promise, Threshold | NoPromise)
        return promise

    def without(self, kind: str, reason: str, checks_from: datetime) -> "KindPromise":
        """What stays where the promise of a kind is not kept: those of all others."""
        return replace(self, each={**self.each, kind: Weighed(NoPromise(reason), checks_from=checks_from)})

    def still(self, checks_from: Mapping[str, datetime]) -> "KindPromise":
        """What stands of it today, where kinds have lost their promises since: their checks count from another time."""
        gone = {kind: one for kind, one in self.each.items() if one.checks_from != checks_from.get(kind)}
        lost = {kind: replace(one, promise=NoPromise("withdrawn since")) for kind, one in gone.items()}
        return replace(self, each={**self.each, **lost})

    @property
    def waiting(self) -> int:
        """How many known checks did not count yet."""
        return sum(one.waiting for one in self.each.values())

    @property
    def holds(self) -> bool:
        """Whether anything of any kind is accepted unseen."""
        return any(isinstance(self.of(kind), Threshold) for kind in self.each)

    def told(self) -> dict[str, Any]:
        """All of it for a report, each kind with a line that people read; why there is nothing, where none holds."""
        kinds = {kind: {"called": called(kind), "told": standing_of(kind, promise),
                        "holds": isinstance(promise, Threshold), **asdict(promise),
                        **({"most": self.each[kind].most} if self.of_parts and kind != MISSING else {})}
                 for kind in self.each for promise in (self.of(kind),)}  # fmt: skip
        told = {"alpha": self.alpha, "delta": self.delta, "kinds": kinds}
        if self.holds:
            return told
        missing = [one["missing"] for one in kinds.values() if one["missing"]]
        return {**told, "reason": "no kind has a promise of its own", "missing": min(missing, default=0)}


def settled(known: Sequence[Audited], until: Place | None) -> list[Audited]:
    """The checks that count, in their order: those before the first that is not settled."""
    return sorted((one for one in known if until is None or one.place < until), key=lambda one: one.place)


def weigh_checks(known: Sequence[Audited], until: Place | None, terms: Terms, stood: Weighed | None) -> Weighed:
    """What the checks that count promise; ``stood`` is what was weighed before on the same terms.

    Where none of them has a group, at any moment (``selection.growing``); where items come in groups that grow, at
    looks (``selection.looks``).
    """
    if terms.kinds is not None:
        return _by_kind(known, until, terms, terms.kinds, stood)
    since = terms.checks_from
    known = [one for one in known if since is None or one.checked_at > since]
    ahead = overtaking(known, terms.overtaken)
    come = settled(known, until)
    counted = [one for one in come if one.item_id not in ahead]
    grouped = any(_group(one, terms) for one in known)
    found = _at_look(counted, terms, stood) if grouped else _at_any_time(counted, terms, stood)
    told = _each(found.promise, lambda one: _withdrawn(_later(one, len(ahead)), since))
    waiting, pool = len(known) - len(counted), len(terms.pool.scores)
    behind = (*([None] if len(come) < len(known) else []), *([terms.overtaken[-1].item_id] if ahead else []))
    return replace(found, promise=told, waiting=waiting, checks_from=since, pool=pool, behind=behind)


def _by_kind(
    known: Sequence[Audited], until: Place | None, terms: Terms, kinds: Kinds, stood: Weighed | None
) -> Weighed:
    """Each kind as if there were no other, with its part of delta."""
    own, find = _by_item(known, kinds) if kinds.parts is None else _by_part(known, kinds.parts, terms)
    stands = stood.promise.each if stood and isinstance(stood.promise, KindPromise) else {}
    each = dict[str, Weighed]()
    for name, pool in kinds.pools.items():
        since = kinds.checks_from.get(name)
        passed = [one for one in terms.overtaken if one.kinds is None or name in one.kinds]
        alone = replace(terms, delta=terms.delta / len(kinds.pools), kinds=None, pool=pool, checks_from=since)
        alone = replace(alone, overtaken=passed)
        before = stands[name] if name in stands and stands[name].checks_from == since else None
        each[name] = weigh_checks(own(name), until, replace(alone, find=find(name)), before)
    promise = KindPromise(terms.alpha, terms.delta, each, kinds.parts is not None)
    behind = dict.fromkeys(chain.from_iterable(one.behind for one in each.values()))
    return Weighed(promise, promise.waiting, behind=(*behind,))


def _by_item(known: Sequence[Audited], kinds: Kinds) -> tuple[Own, Finds]:
    """The checks of each kind of items."""
    own = defaultdict[str, list[Audited]](list)
    for one in known:
        own[kinds.of(one)].append(one)
    return (lambda name: own[name]), (lambda _: item_checks)


def _by_part(known: Sequence[Audited], kinds: Callable[[Audited], Sequence[str]], terms: Terms) -> tuple[Own, Finds]:
    """All checks for each kind of parts and for what is missing, but of each only the parts that are of it."""
    whole = [one for one in known if has_parts(one.answer.label)]
    of = {one.item_id: kinds(one) for one in whole}
    errors = {one.item_id: _errors(one, terms) for one in whole}

    def find(name: str, counted: Sequence[Audited], terms: Terms) -> RandomChecks | PartChecks:
        checks = _part_checks(counted, terms, errors)
        if name == MISSING:
            return checks.items
        of_all = [kind for one in counted for kind in of[one.item_id]]
        mine = np.array([kind == name for kind in of_all], np.bool_)
        return PartChecks(checks.items, checks.scores[mine], checks.errors[mine], checks.item[mine])

    return (lambda _: whole), (lambda name: partial(find, name))


def _at_any_time(counted: Sequence[Audited], terms: Terms, stood: Weighed | None) -> Weighed:
    """By the ladders of before; while no number of right checks could do, they are made anew."""
    ladders = stood.ladders if stood else ()
    able = len(counted) >= checks_needed(terms.alpha, terms.each)
    if terms.pool.parts is None or terms.pool.missing is None:
        return _one_at_any_time((terms.find or item_checks)(counted, terms), terms, ladders)
    parts = _part_checks(counted, terms)
    ladders = ladders or part_ladders(parts, _some(terms.pool.parts), _some(terms.pool.missing))
    of_parts = weigh_parts(parts, (ladders[0], ladders[1]), alpha=terms.alpha, delta=terms.delta)
    return Weighed(of_parts, ladders=ladders if able else ())


def _one_at_any_time(checks: RandomChecks | PartChecks, terms: Terms, ladders: tuple[Ladder, ...]) -> Weighed:
    alpha, delta = terms.alpha, terms.delta
    if isinstance(checks, PartChecks):
        by, n = ladders[0] if ladders else ladder(_some(terms.pool.scores), most_parts(checks)), len(set(checks.item))
        found = weigh_part(checks, by, alpha=alpha, delta=delta)
    else:
        by, n = ladders[0] if ladders else ladder(_some(terms.pool.scores)), len(checks.scores)
        found = weigh(checks.scores, checks.errors, by, alpha=alpha, delta=delta)
    able = n >= checks_needed(terms.alpha, terms.each)
    return Weighed(found, ladders=(by,) if able else (), most=by.most)


def _some(pool: Floats) -> Floats:
    return pool if len(pool) else np.ones(1)


def _at_look(counted: Sequence[Audited], terms: Terms, stood: Weighed | None) -> Weighed:
    """At the last look for which enough checks count, and from no more than that look takes."""
    number = look(len(counted), terms.alpha, terms.each)
    again = begins(number + 1, terms.alpha, terms.each)
    if stood is not None and 1 <= number <= stood.looked:
        return replace(stood, promise=_each(stood.promise, lambda one: _waits(one, len(counted), again)))
    part = level(max(1, number), terms.delta)
    taken = counted[: begins(number, terms.alpha, terms.each)] if number else counted
    found = _once(taken, terms, part)
    if number == 0:
        return found
    told = _each(found.promise, lambda one: _looked_at(one, number, len(counted), again))
    return replace(found, promise=told, looked=number)


def _once(taken: Sequence[Audited], terms: Terms, delta: float) -> Weighed:
    pool, alpha = terms.pool, terms.alpha
    if pool.parts is not None and pool.missing is not None:
        pools = {"pool_parts": pool.parts, "pool_missing": pool.missing}
        return Weighed(promise_parts(_part_checks(taken, terms), alpha=alpha, delta=delta, **pools))
    checks = (terms.find or item_checks)(taken, terms)
    if isinstance(checks, PartChecks):
        found = promise_part(checks, alpha=alpha, delta=delta, pool_scores=_some(pool.scores))
        return Weighed(found, most=most_parts(checks))
    return Weighed(promise(checks, alpha=alpha, delta=delta, pool_scores=pool.scores))


def _each(promise: Promise, change: Callable[[Threshold | NoPromise], Threshold | NoPromise]) -> Promise:
    assert not isinstance(promise, KindPromise)
    if isinstance(promise, PartPromise):
        return replace(promise, parts=change(promise.parts), missing=change(promise.missing))
    return change(promise)


def _looked_at(one: Threshold | NoPromise, number: int, counted: int, again: int) -> Threshold | NoPromise:
    """A promise that says the delta of all looks, or why there is none, and when the next look is."""
    if isinstance(one, Threshold):
        return replace(one, delta=one.delta * 2**number)
    return _waits(replace(one, reason=f"{one.reason}; they are weighed again when {again} are known"), counted, again)


def _waits(one: Threshold | NoPromise, counted: int, again: int) -> Threshold | NoPromise:
    return replace(one, missing=max(1, again - counted)) if isinstance(one, NoPromise) else one


def _later(one: Threshold | NoPromise, ahead: int) -> Threshold | NoPromise:
    """Why there is no promise, where so many of the known checks are ahead of others."""
    if isinstance(one, Threshold):
        return one
    reason = one.reason.partition(_LATER)[0]  # it may be that of the last look
    return replace(one, reason=f"{reason}{_LATER}{ahead} more count" if ahead else reason)


def _withdrawn(one: Threshold | NoPromise, since: datetime | None) -> Threshold | NoPromise:
    """Why there is no promise again yet, after one was withdrawn."""
    if since is None or isinstance(one, Threshold) or one.reason.startswith(WITHDRAWN):
        return one
    broken = f"{WITHDRAWN}, as audits found too many errors"
    return replace(one, reason=f"{broken}; since {since:%Y-%m-%d %H:%M} UTC {one.reason}")


def item_checks(known: Sequence[Audited], terms: Terms) -> RandomChecks:
    """Whole items: the raw doubt, and whether a person changed something that matters."""
    wrong = [differs(terms.task, one.answer.label, one.truth, terms.matters) for one in known]
    return _random(known, terms, [one.answer.uncertainty.score for one in known], wrong)


def _errors(one: Audited, terms: Terms) -> PartErrors:
    return part_errors(terms.task, one.answer.label, one.truth, terms.matters)


def _part_checks(counted: Sequence[Audited], terms: Terms, of: Mapping[str, PartErrors] | None = None) -> PartChecks:
    """The parts of those items that have any; their errors, if they are known already, by the ids of the items."""
    known = [one for one in counted if has_parts(one.answer.label)]
    errors = [of[one.item_id] if of else _errors(one, terms) for one in known]
    doubts, lacking = [missing_of(one.answer) for one in known], [each.missing > 0 for each in errors]
    items = _random(known, terms, doubts, lacking)
    scores = np.concatenate([np.zeros(0), *(part_doubts(one.answer.label) for one in known)])
    wrong = np.concatenate([np.zeros(0, np.bool_), *(each.wrong for each in errors)])
    return PartChecks.of(items, scores, wrong, np.repeat(np.arange(len(known)), [len(each.wrong) for each in errors]))


def _random(known: Sequence[Audited], terms: Terms, scores: Sequence[float], errors: Sequence[bool]) -> RandomChecks:
    return RandomChecks.of(
        item_ids=[one.item_id for one in known],
        scores=np.array(scores, dtype=np.float64),
        errors=np.array(errors, dtype=np.bool_),
        draws=np.array([one.draw for one in known], dtype=np.float64),
        share=terms.share,
        groups=[_group(one, terms) for one in known],
    )


def _group(one: Audited, terms: Terms) -> str | None:
    return one.about.group or None if terms.groups else None


def missing_of(answer: PreAnnotation) -> float:
    """The doubt in [0, 1] whether something is missing in what a version said."""
    return missing_doubt(answer.label, answer.features, answer.uncertainty.score)
