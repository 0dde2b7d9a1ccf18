"""What stands of all that was weighed for a version: promises for the terms of a policy, and none that was withdrawn.

Checks from before a promise was withdrawn say nothing of what came after. A promise of all takes those of all with it,
the promise of a kind those of its kind alone. Under other kinds nobody knows which those were, so there all count from
then on.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from models.counting import percent
from models.records import Task
from selection.policy import Policy
from serving.audits import Made
from serving.store.records import Calibration
from serving.trust import Trust, holds, kinds_lost
from serving.weighing import KindPromise, Promise


@dataclass(frozen=True)
class Standing:
    """What was weighed for a version on the terms of a policy since the last promise of all was withdrawn, oldest
    first; since when checks count, if any promise was withdrawn: those of all, and those of each of the kinds; and the
    number of what was kept last, on whatever terms."""

    weighed: Sequence[Calibration]
    checks_from: datetime | None
    kinds_from: Mapping[str, datetime]
    newest: int | None

    @staticmethod
    def of(kept: Sequence[Calibration], task: Task, policy: Policy) -> "Standing":
        """What stands of all that was kept for a version of the task, oldest first."""
        of_all, of_kinds = list[datetime](), defaultdict[str, list[datetime]](list)
        for one in kept:
            of_all += [one.checks_from] if one.checks_from else []
            same = _kinds(one.promise, task) == _kinds(made_for(policy), task) and _of_parts(one) == policy.of_parts
            for kind, lost in kinds_lost(one.promise).items():
                (of_kinds[kind] if same else of_all).append(lost)
        since = max(of_all, default=None)
        each = {kind: [*of_kinds[kind], *filter(None, [since])] for kind in policy.kinds_of(task)}
        fitting = [one for one in kept if one.checks_from == since and fits(one, policy)]
        kinds_from = {kind: max(lost) for kind, lost in each.items() if lost}
        return Standing(fitting, since, kinds_from, kept[-1].id if kept else None)

    @property
    def since(self) -> tuple[datetime | None, Mapping[str, datetime]]:
        """When promises were withdrawn last: that of all, and those of kinds."""
        return self.checks_from, self.kinds_from

    @property
    def last(self) -> Trust | None:
        """What was weighed last."""
        return _trust(self.weighed[-1]) if self.weighed else None

    @property
    def made(self) -> list[Made]:
        """The promises, but for those of kinds that were withdrawn since."""
        return [Made(self._still(_trust(one).promise), one.at) for one in self.weighed]

    def began(self, kind: str | None) -> datetime | None:
        """When a promise of all, or that of a kind, held for the first time of those that stand."""
        return next((one.at for one in self.made if holds(one.promise, kind)), None)

    def _still(self, promise: Promise) -> Promise:
        return promise.still(self.kinds_from) if isinstance(promise, KindPromise) else promise


def made_for(policy: Policy) -> dict[str, Any]:
    """What a promise is made for, besides alpha, delta and whether it is of parts."""
    since = policy.checks_from.isoformat() if policy.checks_from else None
    rules, kinds = ([asdict(one) for one in conditions] for conditions in (policy.rules, policy.kinds))
    matters = asdict(policy.matters)
    return {"matters": matters, "rules": rules, "kinds": kinds, "new_groups": policy.groups, "checks_from": since}


def fits(calibration: Calibration, policy: Policy) -> bool:
    """Whether its promise was made for the terms of a policy."""
    of_before = calibration.promise.get("groups") is not False  # where that name stood for this term
    kept = {**made_for(Policy()), "new_groups": of_before, **calibration.promise}
    terms = (calibration.alpha, calibration.delta) == (policy.alpha, policy.delta)
    asked = made_for(policy)
    return terms and _of_parts(calibration) == policy.of_parts and {name: kept[name] for name in asked} == asked


def told_terms(policy: Policy) -> str:
    """The terms in a sentence."""
    parts = ", part by part" if policy.of_parts else ""
    other = "" if made_for(policy) == made_for(Policy()) else ", by the rules of the policy"
    return f"alpha {percent(policy.alpha)}, delta {percent(policy.delta)}{parts}{other}"


def _trust(kept: Calibration) -> Trust:
    return Trust.from_json(kept.calibrator, kept.promise)


def _of_parts(kept: Calibration) -> bool:
    return bool(kept.promise.get("of_parts", "most" in kept.promise))


def _kinds(made_for: Mapping[str, Any], task: Task) -> list[Any]:
    return [kind for kind in made_for.get("kinds", ()) if kind["task"] == task]
