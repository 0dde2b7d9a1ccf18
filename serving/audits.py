"""Whether a version keeps its promise: every audit of what it would have accepted, in the order of handing out.

An audit counts once its promise was made without it. It speaks of an item that was drawn at random and would have been
accepted otherwise, so the error rate of the accepted is that of the audits but for chance (``selection.audit``). Those
that were found wrong may wait for a second look; no audit counts before one ahead of it that does, or else the wrong
ones would count in a row as soon as somebody has looked, and look like a rise.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from models.arrays import Floats
from models.parts import has_parts
from models.records import Task
from models.tasks import differs, part_errors
from selection.audit import NONE_YET, Audit, AuditBound
from selection.cost import part_doubts
from selection.kinds import MISSING, REST
from selection.parts import OfKind, PartPromise, plan, plan_kinds
from selection.policy import Policy
from selection.risk import Threshold
from serving.store.records import Audited, Place
from serving.weighing import KindPromise, Promise, missing_of, settled

DEFAULT = Policy()


@dataclass(frozen=True)
class Made:
    """A promise and when it was made."""

    promise: Promise
    at: datetime


class Watch:
    """One bound, and the moments at which the audited items would have been accepted."""

    def __init__(self, promise: Threshold) -> None:
        self.bound = AuditBound(promise.alpha, promise.delta)
        self._moments: list[datetime] = []
        self._taken = list[tuple[float, float, str | None]]()
        self._groups = dict[str, Floats]()

    def take(self, wrong: float, judged: float, moment: datetime, group: str | None = None) -> None:
        """Counts one more audit, of an item that stands alone or is of a group."""
        if group and len(self._groups.get(group, NONE_YET)) == self.bound.most:
            self._make_room()
        self._count(wrong, judged, group)
        self._taken.append((wrong, judged, group))
        self._moments.append(moment)

    def _count(self, wrong: float, judged: float, group: str | None) -> None:
        same = self._groups.get(group, NONE_YET) if group else None
        self.bound = self.bound.after(wrong, judged, same)
        if group and same is not None:
            self._groups[group] = np.append(same, [Audit(self.bound.n, wrong, judged)], axis=0)

    def _make_room(self) -> None:
        """Where a group is about to have more audits than any may: weighs all anew, for groups a quarter larger, so
        that this is rare."""
        before, self._groups = self.bound, {}
        self.bound = AuditBound(before.alpha, before.delta, most=before.most * 5 // 4 + 1)
        for one in self._taken:
            self._count(*one)
        self.bound = replace(self.bound, crossed=before.crossed)

    @property
    def in_doubt_since(self) -> datetime | None:
        """When the last audit was accepted after which all was in order; None: it never was."""
        good = self.bound.good
        return min(self._moments[good - 1 :]) if good else None


class Audits:
    """What audits say of a version's promises: a bound for each thing that is promised (items; parts, missing; or each
    kind by its name, and of parts missing)."""

    def __init__(self, policy: Policy = DEFAULT) -> None:
        self._policy = policy
        self.watches: dict[str, Watch] = {}
        self.last = 0  # the correction that was taken last
        self._waiting: dict[str, Audited] = {}
        self._judged: set[str] = set()

    def take(self, task: Task, made: Sequence[Made], audits: Iterable[Audited], contested: Place | None = None) -> None:
        """Takes further audits and counts those before the first that is ``contested``, each judged by the promise that
        held when it was handed out: a check that was corrected anew has had its part in the promise."""
        for audit in audits:
            self.last = max(self.last, audit.correction_id)
            self._waiting[audit.item_id] = audit
        for audit in settled([*self._waiting.values()], contested):
            del self._waiting[audit.item_id]
            standing = [one for one in made if one.at < audit.handed_at]
            if not standing or audit.item_id in self._judged:
                continue
            if self._policy.rule_for(task, audit.answer.label, audit.about) is not None:
                continue  # which would not have been accepted
            self._judged.add(audit.item_id)
            moment = max(standing[-1].at, audit.answered_at)
            group = audit.about.group if self._policy.groups else None
            for name, (promise, shares) in _found(task, standing[-1].promise, audit, self._policy).items():
                self.watches.setdefault(name, Watch(promise)).take(*shares, moment, group)

    @property
    def broken(self) -> tuple[str, Watch] | None:
        """What of the promise is proven not to be kept, if anything."""
        return next(((name, watch) for name, watch in self.watches.items() if watch.bound.crosses), None)

    def told(self) -> dict[str, Any]:
        """The audits for a report: how many, how wrong, and the rate that is not exceeded at all times at once."""
        bounds = {name: watch.bound for name, watch in self.watches.items()}
        return {
            name: {"n": bound.n, "judged": bound.judged, "errors": bound.errors, "at_most": bound.upper}
            for name, bound in bounds.items()
        }


def _found(
    task: Task, promise: Promise, audit: Audited, policy: Policy
) -> dict[str, tuple[Threshold, tuple[float, float]]]:
    """By what is promised: the promise, and the shares (wrong, judged) of this audit, where it would be accepted."""
    said, name = audit.answer, "items"
    if isinstance(promise, PartPromise) or (isinstance(promise, KindPromise) and promise.of_parts):
        return _found_parts(task, promise, audit, policy) if has_parts(said.label) else {}
    if isinstance(promise, KindPromise):
        name = policy.kind_of(task, said.label, audit.about) or REST
        promise = promise.of(name)
    if isinstance(promise, Threshold) and said.uncertainty.score <= promise.threshold:
        return {name: (promise, (float(differs(task, said.label, audit.truth, policy.matters)), 1.0))}
    return {}


def _found_parts(
    task: Task, promise: PartPromise | KindPromise, audit: Audited, policy: Policy
) -> dict[str, tuple[Threshold, tuple[float, float]]]:
    said, found = audit.answer, dict[str, tuple[Threshold, tuple[float, float]]]()
    doubts, doubt = part_doubts(said.label), missing_of(said)
    errors = part_errors(task, said.label, audit.truth, policy.matters)
    if isinstance(promise, PartPromise):
        of_missing, planned = promise.missing, {"parts": OfKind(plan(doubts, doubt, promise), promise)}
    else:
        kinds = policy.kinds_of_parts(task, said.label, audit.about)
        of_missing, planned = promise.of(MISSING), plan_kinds(doubts, kinds, doubt, promise.parts_of)
    for name, of in planned.items():
        if isinstance(of.promise.parts, Threshold) and of.plan.accepted:
            accepted, most = list(of.plan.accepted), of.promise.most
            found[name] = (of.promise.parts, (int(errors.wrong[accepted].sum()) / most, len(accepted) / most))
    if isinstance(of_missing, Threshold) and doubt <= of_missing.threshold:
        found[MISSING] = (of_missing, (float(errors.missing > 0), 1.0))
    return found
