"""What checks by people taught about each version: learnt when there are enough new ones, kept, and asked for often."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from models.arrays import Bools, Floats
from models.counting import percent
from models.matters import Matters
from models.parts import has_parts
from models.records import TASKS, Correction, Label, Task
from models.tasks import differs
from models.versions import Version, read_version
from selection.audit import AuditBound
from selection.calibration import MINIMUM
from selection.checks import wants_second_look
from selection.cost import part_doubts
from selection.evidence import checks_needed
from selection.kinds import MISSING, REST, called
from selection.policy import Policy
from selection.rules import About
from serving.audits import Audits, Watch
from serving.deciding import Deciding
from serving.overtaking import overtaken
from serving.policies import Policies
from serving.standing import Standing, fits, made_for, told_terms
from serving.store import Store
from serving.store.records import (
    Actor,
    Anew,
    Answer,
    Audited,
    Calibration,
    OpenCheck,
    Pending,
    Place,
    StoredVersion,
    Withdrawal,
)
from serving.trust import Trust, learn, learn_costs, no_promise, untried
from serving.weighing import WITHDRAWN, KindPromise, Kinds, Pool, Terms, missing_of

RECENT = 2000  # corrections whose seconds count
LONGEST = timedelta(days=1)  # that audits wait for a second look ahead of them: nobody may be there to take it
_AUDITED = {"items": "labels were wrong", "parts": "parts were wrong", "missing": "items lacked something"}


class Found(NamedTuple):
    """What a check found by a correction and by what matters: whether a version was wrong that had said ``p_error``."""

    by: tuple[int, Matters]
    p_error: float
    wrong: bool


class Calibrations:
    """How far each version is to be trusted, by the checks in the store, under the terms of the policies in force."""

    def __init__(
        self, store: Store, deciding: Deciding, policies: Policies, data_dir: Path, clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._deciding = deciding
        self._policies = policies
        self._data_dir = data_dir
        self._clock = clock
        self._learnt: dict[tuple[int, str, bool], Trust] = {}
        self._as_made: dict[str, Version] = {}
        self._found: dict[str, dict[str, Found]] = {}
        self._looking = threading.Lock()
        self._audits: dict[tuple[str, str, str], Audits] = {}

    def trust(self, version: str, policy: Policy) -> Trust:
        """How far a version is to be trusted by a policy: what checks of it taught, or else the calibration that it
        came with."""
        calibration = self._last(version, policy)
        if calibration is None:
            return self._untried(version, policy)
        key = calibration.id, policy.version, calibration.outlived
        if key not in self._learnt:
            trust = Trust.from_json(calibration.calibrator, calibration.promise)
            if not fits(calibration, policy) or calibration.outlived:
                why = f"the random checks are not yet weighed for {told_terms(policy)}"
                trust = trust.without(why, policy.of_parts)
            self._learnt[key] = trust
        return self._learnt[key]

    def due(self) -> list[StoredVersion]:
        """Serving versions that would learn from the audit items corrected since they were last calibrated, and those
        whose open items were decided by another policy than the one in force."""
        serving = [self._store.versions.serving(task) for task in TASKS]
        return [version for version in serving if version is not None and self._is_due(version)]

    def _is_due(self, version: StoredVersion) -> bool:
        policy = self._policies.of(version.task)
        last = self._last(version.name, policy)
        if self._is_worth_weighing(version, policy, last):
            return True
        if last and last.outlived:
            return True
        if last and last.promise.get("waiting") and self._came(version, last.promise.get("behind", [None])):
            return True  # something that weighing waited for is there
        if self._policies.adopted(version.task) is None:  # settings may differ between processes, what was adopted not
            return last is not None and not fits(last, policy)
        newest = self._store.versions.calibration(version.name)  # what waits was decided by it, on whatever terms
        return newest is None or newest.promise.get("policy") != policy.version

    def _is_worth_weighing(self, version: StoredVersion, policy: Policy, last: Calibration | None) -> bool:
        """Whether a fifth more checks are known, or as many as were missing; a twentieth at the least, for everything
        that waits is decided anew."""
        learnt = last.audited if last else 0
        new, missing = self.audited(version.task) - learnt, self.trust(version.name, policy).missing if last else 0
        return new >= max(MINIMUM, learnt // 5) or (0 < missing <= new and new >= learnt // 20)

    def audited(self, task: Task) -> int:
        """How many audit items of a task are corrected."""
        return self._store.checks.count(task)

    def learn(self, version: StoredVersion, audited: int, actor: Actor) -> Trust:
        """Learns from the checks of a version, of which ``audited`` were known before it began, and routes anew."""
        policy, kept = self._policies.of(version.task), False
        while not kept:  # or else a promise was withdrawn meanwhile
            stands = self._standing(version, policy)
            trust = self.weigh(version, policy)
            kept = self._keep(version, trust, policy, audited, actor, stands)
        self._reroute(version, trust, policy, actor)
        return trust

    def _keep(
        self,
        version: StoredVersion,
        trust: Trust,
        policy: Policy,
        audited: int,
        actor: Actor,
        stands: Standing,
        withdrawal: Withdrawal | None = None,
    ) -> bool:
        """Keeps what follows from what ``stands``, unless anything was kept since; returns whether it is kept."""
        calibrator, promise = trust.to_json()
        told = {**promise, **made_for(policy), "policy": policy.version}
        terms = policy.alpha, policy.delta, audited, actor, self._clock()
        since = stands.checks_from if withdrawal is None or withdrawal.kind else withdrawal.since
        kept = self._store.versions.calibrate(version, calibrator, told, *terms, since, withdrawal, stands.newest)
        if kept is None:
            return False
        self._learnt[kept, policy.version, False] = trust
        return True

    def weigh(self, version: StoredVersion, policy: Policy) -> Trust:
        """What the checks of a version teach by now under a policy, kept nowhere.

        Uses none that the version or one it descends from was trained on, none that a rule of the policy catches: what
        could never be accepted says nothing of what is; and none that was drawn late.
        """
        names, unknown = self._store.versions.ancestry(version.name)
        stands = self._standing(version, policy)
        since = max(filter(None, (stands.checks_from, policy.checks_from)), default=None)
        checked = self._store.checks.audited(version.task, version.name, names, since)
        known = self._in_time(version.task, checked)
        known = (one for one in known if policy.rule_for(version.task, one.answer.label, one.about) is None)
        unsettled, checks = self._unsettled(version), [*known]
        terms = replace(self._terms(version, policy, stands), overtaken=self._overtaken(version, policy, checks))
        before = self._untried(version.name, policy).calibrator
        trust = learn(terms, checks, before, stands.last, unsettled)
        if unknown:
            why = f"nobody knows what its ancestor {unknown} was trained on"
            trust = Trust(before, no_promise(why, policy.of_parts))
        return replace(
            trust, costs=learn_costs(version.task, self._store.queue.worked(version.task, version.name, RECENT))
        )

    def _in_time(self, task: Task, checked: Iterable[Audited]) -> Iterator[Audited]:
        """Those that were drawn by every calibration share in force while people could have taken them.

        Where a share is raised later, people have taken the most doubtful ones of what it adds out of the queue.
        """
        shares, began = self._policies.shares(task), self._store.workload.began(task)
        for one in checked:
            start = max(filter(None, (one.registered_at, began)))
            if one.draw < shares.smallest(start, one.handed_at):
                yield one

    def _unsettled(self, version: StoredVersion) -> Place | None:
        names, _ = self._store.versions.ancestry(version.name)
        return self._store.checks.unsettled(version.task, names, self._clock())

    def _came(self, version: StoredVersion, behind: Sequence[str | None]) -> bool:
        """Whether one of the checks that others waited for is open no more, or all that were not settled are."""
        if None in behind and self._unsettled(version) is None:
            return True
        return not all(self._store.checks.is_open(version.task, one) for one in behind if one is not None)

    def _overtaken(self, version: StoredVersion, policy: Policy, known: Sequence[Audited]) -> list[OpenCheck]:
        """The open checks past which known ones were handed out, but for those that a rule catches."""
        task, (names, _) = version.task, self._store.versions.ancestry(version.name)
        found = overtaken(known, self._store.checks.open(task, names))
        if not policy.rules and not policy.kinds_of(task):
            return found
        said = chain.from_iterable(self._store.items.open_among(task, [one.item_id for one in found]))
        answers = {one.preannotation.item_id: _known(one) for one in said}
        return [
            replace(one, kinds=_kinds_of(answers.get(one.item_id), task, policy))
            for one in found
            if one.item_id not in answers or policy.rule_for(task, *answers[one.item_id]) is None
        ]

    def _standing(self, version: StoredVersion, policy: Policy) -> Standing:
        """What stands under a policy of all that was weighed for a version."""
        return Standing.of(self._store.versions.calibrations(version.name), version.task, policy)

    def look_again(self, correction: Correction, correction_id: int, actor: Actor) -> None:
        """Has somebody else look at an audit item where a person contradicts a version that was sure.

        People slip as rarely as a sure version errs, and each slip would count as an error of the version.
        """
        item_id, task, version = correction.item_id, correction.task, correction.model_version
        said = self._store.items.answer(item_id, task, version) if version else None
        if said is None:
            return
        matters = self._policies.of(task).matters
        wrong = differs(task, said.preannotation.label, correction.label, matters)
        if wants_second_look(said.preannotation.uncertainty.p_error, wrong):
            self._store.checks.contest(item_id, task, correction_id, actor, self._clock())

    def watch(self, task: Task, actor: Actor) -> None:
        """Looks at the audits that came since the last look; a promise that they break is withdrawn.

        Then nothing is accepted unseen any more or, where kinds have promises of their own, nothing of that kind. What
        was accepted since the last good audit is queued again, and the next promise rests on checks from then on alone.
        Of a version that was replaced, too: what it accepted stands, and some of its audits come later.
        """
        policy = self._policies.of(task)
        for version in self._store.versions.relied_on(task, policy.of_parts):
            self._watch(version, policy, actor)

    def _watch(self, version: StoredVersion, policy: Policy, actor: Actor) -> None:
        if self._last(version.name, policy) is None:  # nothing was ever promised of it
            return
        stands = self._standing(version, policy)  # a look ahead of what follows from it
        while self.trust(version.name, policy).holds and (broken := self._audited(version, policy).broken):
            self._withdraw(version, policy, stands, *broken, actor)
            stands = self._standing(version, policy)

    def checked(self, version: StoredVersion) -> tuple[Floats, Bools]:
        """Of each item that people checked: the p_error (n,) that was said before they looked, and whether they found
        the version wrong (n,)."""
        names, _ = self._store.versions.ancestry(version.name)
        policy = self._policies.of(version.task)
        since = self._standing(version, policy).checks_from
        counting = self._store.checks.counting(version.task, version.name, names, since)
        by = {item_id: (correction_id, policy.matters) for item_id, correction_id in counting.items()}
        known = self._found.get(version.name, {})
        found = {item_id: one for item_id, one in known.items() if by.get(item_id) == one.by}
        new = sorted(by.keys() - found.keys())
        for one in self._store.checks.among(version.task, version.name, names, new):
            wrong = differs(version.task, one.answer.label, one.truth, policy.matters)
            found[one.item_id] = Found((one.correction_id, policy.matters), one.answer.uncertainty.p_error, wrong)
        self._found[version.name] = found
        each = [one for _, one in sorted(found.items())]
        return np.array([one.p_error for one in each], np.float64), np.array([one.wrong for one in each], np.bool_)

    def told(self, version: StoredVersion) -> dict[str, Any]:
        """The promise for a report, and what audits say of it."""
        policy = self._policies.of(version.task)
        last = self._last(version.name, policy)
        trust = self.trust(version.name, policy).since(self.audited(version.task) - (last.audited if last else 0))
        audits = self._audited(version, policy) if trust.holds else Audits()
        costs = asdict(trust.costs) if trust.costs else None
        terms = {"policy": policy.version, "matters": policy.matters.told(version.task)}
        return {**trust.told(), **terms, "audits": audits.told(), "costs": costs}

    def _audited(self, version: StoredVersion, policy: Policy) -> Audits:
        """What audits say since the last promise that was withdrawn."""
        stands = self._standing(version, policy)
        names, _ = self._store.versions.ancestry(version.name)
        with self._looking:
            key = version.name, policy.version, str(stands.since)
            audits = self._audits.setdefault(key, Audits(policy))
            contested = self._store.checks.contested(version.task, names, self._clock() - LONGEST)
            new = self._store.checks.after(version.task, version.name, names, audits.last)
            audits.take(version.task, stands.made, [one for one in new if one.draw < policy.audit_share], contested)
        return audits

    def _withdraw(
        self, version: StoredVersion, policy: Policy, stands: Standing, of: str, watch: Watch, actor: Actor
    ) -> None:
        """Withdraws what audits prove not to be kept: the promise of a kind alone or, where there are none, of all."""
        before, now = self.trust(version.name, policy), self._clock()
        kind = of if isinstance(before.promise, KindPromise) else None
        since = watch.in_doubt_since or stands.began(kind) or now
        ours = f" of {called(kind)}" if kind and kind != MISSING else ""
        again = f"everything{ours} accepted since {since:%Y-%m-%d %H:%M} UTC is queued again"
        thing = "parts" if policy.of_parts else "labels"
        why = f"{_proven(watch.bound, f'{thing}{ours} were wrong' if ours else _AUDITED[of], now)}; {again}"
        if kind:
            trust = before.without_kind(kind, why, since)
            withdrawal = Withdrawal(since, why, kind, lambda one: kind in {name for name, _ in _doubts(one, policy)})
        else:
            trust, withdrawal = before.without(why, policy.of_parts), Withdrawal(since, why)
        if self._keep(version, trust, policy, self.audited(version.task), actor, stands, withdrawal):
            self._reroute(version, trust, policy, actor)

    def _terms(self, version: StoredVersion, policy: Policy, stands: Standing) -> Terms:
        share = max(policy.calibration_share, policy.audit_share)
        kinds = self._kinds(version, policy, stands.kinds_from) if policy.kinds_of(version.task) else None
        pool = Pool(np.zeros(0)) if kinds else self._pool(version, policy)
        rates, since = (policy.alpha, policy.delta), stands.checks_from
        return Terms(version.task, share, pool, *rates, policy.matters, kinds, since, policy.groups)

    def _pool(self, version: StoredVersion, policy: Policy) -> Pool:
        """All that the version answered and no rule catches, as its checks are drawn from all: what waits is surer
        than they are, once people have worked on what was doubtful."""
        if not policy.of_parts and not policy.rules:
            return Pool(self._store.items.scores(version.task, version.name))
        free = (one.preannotation for one in self._free(version, policy))
        return Pool.of_parts(free) if policy.of_parts else Pool(np.array([one.uncertainty.score for one in free]))

    def _kinds(self, version: StoredVersion, policy: Policy, checks_from: Mapping[str, datetime]) -> Kinds:
        """The same for each kind on its own."""
        task, scores = version.task, {name: list[float]() for name in policy.kinds_of(version.task)}
        for one in self._free(version, policy):
            for name, score in _doubts(one, policy):
                scores[name].append(score)
        pools = {name: Pool(np.array(own, np.float64)) for name, own in scores.items()}
        return Kinds(
            pools,
            lambda one: policy.kind_of(task, one.answer.label, one.about) or REST,
            (lambda one: policy.kinds_of_parts(task, one.answer.label, one.about)) if policy.of_parts else None,
            checks_from,
        )

    def _free(self, version: StoredVersion, policy: Policy) -> Iterator[Pending]:
        answered = chain.from_iterable(self._store.items.answers(version.task, version.name))
        return (one for one in answered if policy.rule_for(version.task, *_known(one)) is None)

    def tried(self, version: StoredVersion, policy: Policy) -> tuple[Trust, Iterator[Answer]]:
        """What the checks of a version would teach under a policy, and its decisions on what waits; kept nowhere."""
        trust = self.weigh(version, policy)
        return trust, (answer for page in self._decided(version, trust, policy) for _, answer, _ in page)

    def _reroute(self, version: StoredVersion, trust: Trust, policy: Policy, actor: Actor) -> None:
        """Decides anew about everything that waits in the queue, until something newer is kept, which does so too."""
        for page in self._decided(version, trust, policy):
            if self.trust(version.name, policy) is not trust:
                return
            self._store.items.reroute(page, actor, self._clock())

    def _decided(self, version: StoredVersion, trust: Trust, policy: Policy) -> Iterator[list[Anew]]:
        for page in self._store.items.open_answers(version.task, version.name):
            yield [self._deciding.anew(one, trust, policy) for one in page]

    def _untried(self, version: str, policy: Policy) -> Trust:
        if version not in self._as_made:
            folder = self._data_dir.resolve() / self._store.versions.get(version).folder
            self._as_made[version] = read_version(folder, version)
        fewest = max(MINIMUM, checks_needed(policy.alpha, policy.delta))
        return untried(self._as_made[version], policy.of_parts, fewest)

    def _last(self, version: str, policy: Policy) -> Calibration | None:
        return self._store.versions.calibration(version, policy.alpha, policy.delta)


def _doubts(one: Pending, policy: Policy) -> list[tuple[str, float]]:
    """Each thing that is promised of an item, by the name of its kind, and the doubt about it."""
    said, about = one.preannotation, one.about
    if not policy.of_parts:
        return [(policy.kind_of(said.task, said.label, about) or REST, said.uncertainty.score)]
    if not has_parts(said.label):
        return []
    kinds = policy.kinds_of_parts(said.task, said.label, about)
    return [*zip(kinds, part_doubts(said.label).tolist(), strict=True), (MISSING, missing_of(said))]


def _kinds_of(answer: tuple[Label, About] | None, task: Task, policy: Policy) -> frozenset[str] | None:
    """Of which kinds an open check is one; None, for all, where people hold it, or it has parts of several."""
    kind = policy.kind_of(task, *answer) if answer and not policy.of_parts else None
    return None if kind is None else frozenset([kind])


def _known(waiting: Pending) -> tuple[Label, About]:
    return waiting.preannotation.label, waiting.about


def _proven(bound: AuditBound, found: str, now: datetime) -> str:
    """What audits prove of a promise."""
    wrong = f"{bound.errors:g} of {bound.judged:g} audited {found} in {bound.n} audits"
    proven = f"which proves a rate above alpha {percent(bound.alpha)}"
    return f"{WITHDRAWN} at {now:%Y-%m-%d %H:%M} UTC: {wrong}, {proven}"
