"""What checks by people taught about each version: learnt when there are enough new ones, kept, and asked for often."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from models.matters import ANYTHING
from models.records import TASKS, Correction, Task
from models.tasks import differs
from models.versions import read_version
from selection.calibration import MINIMUM
from selection.checks import wants_second_look
from serving.audits import Audits, Made, Watch
from serving.deciding import Deciding
from serving.settings import Settings
from serving.store import Store
from serving.store.records import Actor, Answer, Calibration, Pending, StoredVersion, Worked
from serving.trust import Pool, Trust, learn, learn_costs, no_promise, untried

RECENT = 2000  # corrections whose seconds count
BATCH = 500  # items a transaction
_AUDITED = {"items": "labels were wrong", "parts": "parts were wrong", "missing": "items lacked something"}


class Calibrations:
    """How far each version is to be trusted, by the checks in the store, under the terms of the settings."""

    def __init__(self, store: Store, deciding: Deciding, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._deciding = deciding
        self._terms = settings.alpha, settings.delta
        self._of_parts = settings.promise_of == "parts"
        self._matters = settings.matters
        self._data_dir = settings.data_dir
        self._clock = clock
        self._learnt: dict[int, Trust] = {}
        self._as_made: dict[str, Trust] = {}
        self._looking = threading.Lock()
        self._audits: dict[tuple[str, datetime | None], Audits] = {}

    def trust(self, version: str) -> Trust:
        """How far a version is to be trusted: what checks of it taught, or else the calibration that it came with."""
        calibration = self._last(version)
        if calibration is None:
            return self._untried(version)
        if calibration.id not in self._learnt:
            trust = Trust.from_json(calibration.calibrator, calibration.promise)
            if not self._fits(calibration):
                trust = trust.without(f"the random checks are not yet weighed for {self._told_terms()}", self._of_parts)
            self._learnt[calibration.id] = trust
        return self._learnt[calibration.id]

    def due(self) -> list[StoredVersion]:
        """Serving versions that would learn from the audit items corrected since they were last calibrated, and those
        whose promise was made for another alpha or delta than the settings ask for."""
        serving = [self._store.versions.serving(task) for task in TASKS]
        return [version for version in serving if version is not None and self._is_due(version)]

    def _is_due(self, version: StoredVersion) -> bool:
        last = self._last(version.name)
        learnt = last.audited if last else 0
        enough = self.audited(version.task) - learnt >= max(MINIMUM, learnt // 5)
        return enough or (last is not None and not self._fits(last))

    def audited(self, task: Task) -> int:
        """How many audit items of a task are corrected."""
        return self._store.checks.count(task)

    def learn(self, version: StoredVersion, audited: int, actor: Actor) -> Trust:
        """Learns from the checks of a version, of which ``audited`` were known before it began, and routes anew."""
        trust, checks_from = self.weigh(version), self._checks_from(self._store.versions.calibrations(version.name))
        learnt = (*self._to_json(trust), *self._terms, audited)
        self._learnt[self._store.versions.calibrate(version, *learnt, actor, self._clock(), checks_from)] = trust
        self._reroute(version, trust, actor)
        return trust

    def weigh(self, version: StoredVersion) -> Trust:
        """What the checks of a version teach by now, kept nowhere.

        Uses none that the version or one it descends from was trained on.
        """
        names, unknown = self._store.versions.ancestry(version.name)
        checks_from = self._checks_from(self._store.versions.calibrations(version.name))
        known = self._store.checks.audited(version.task, version.name, names, checks_from)
        before = self._untried(version.name).calibrator
        policy = self._deciding.policy
        share = max(policy.calibration_share, policy.audit_share)
        trust = learn(version.task, known, share, self._pool(version), *self._terms, before, self._matters)
        if unknown:
            why = f"nobody knows what its ancestor {unknown} was trained on"
            trust = Trust(before, no_promise(why, self._of_parts))
        return replace(trust, costs=learn_costs(version.task, self._worked(version)))

    def look_again(self, correction: Correction, correction_id: int, actor: Actor) -> None:
        """Has somebody else look at an audit item where a person contradicts a version that was sure.

        People slip as rarely as a sure version errs, and each slip would count as an error of the version.
        """
        item_id, task, version = correction.item_id, correction.task, correction.model_version
        said = self._store.items.answer(item_id, task, version) if version else None
        if said is None:
            return
        wrong = differs(task, said.preannotation.label, correction.label, self._matters)
        if wants_second_look(said.preannotation.uncertainty.p_error, wrong):
            self._store.checks.contest(item_id, task, correction_id, actor, self._clock())

    def watch(self, task: Task, actor: Actor) -> None:
        """Looks at the audits that came since the last look; a promise that they break is withdrawn.

        Then nothing is accepted unseen any more, what was accepted since the last good audit is queued again, and the
        next promise rests on checks from then on alone.
        """
        version = self._store.versions.serving(task)
        if version is None or not self.trust(version.name).holds:
            return
        broken = self._audited(version).broken
        if broken is not None:
            self._withdraw(version, *broken, actor)

    def told(self, version: str) -> dict[str, Any]:
        """The promise for a report, and what audits say of it."""
        trust, stored = self.trust(version), self._store.versions.get(version)
        audits = self._audited(stored) if trust.holds else Audits()
        costs = asdict(trust.costs) if trust.costs else None
        return {**trust.told(), "matters": self._matters.told(stored.task), "audits": audits.told(), "costs": costs}

    def _to_json(self, trust: Trust) -> tuple[dict[str, Any], dict[str, Any]]:
        calibrator, promise = trust.to_json()
        return calibrator, {**promise, "matters": asdict(self._matters)}

    def _audited(self, version: StoredVersion) -> Audits:
        """What audits say since the last promise that was withdrawn."""
        kept = self._store.versions.calibrations(version.name)
        checks_from = self._checks_from(kept)
        made = [
            Made(Trust.from_json(one.calibrator, one.promise).promise, one.at)
            for one in kept
            if one.checks_from == checks_from and self._fits(one)
        ]
        names, _ = self._store.versions.ancestry(version.name)
        with self._looking:
            audits = self._audits.setdefault((version.name, checks_from), Audits(self._matters))
            new = self._store.checks.after(version.task, version.name, names, audits.last)
            audits.take(version.task, made, [one for one in new if one.draw < self._deciding.policy.audit_share])
        return audits

    def _withdraw(self, version: StoredVersion, of: str, watch: Watch, actor: Actor) -> None:
        bound, now = watch.bound, self._clock()
        since = watch.in_doubt_since or self._first_made(version, now)
        wrong = f"{bound.errors:g} of {bound.judged:g} audited {_AUDITED[of]} in {bound.n} audits"
        why = (
            f"withdrawn at {now:%Y-%m-%d %H:%M} UTC: {wrong}, which proves a rate above alpha {100 * bound.alpha:.4g} %"
        )
        again = f"everything accepted since {since:%Y-%m-%d %H:%M} UTC is queued again"
        trust = self.trust(version.name).without(f"{why}; {again}", self._of_parts)
        learnt = (*self._to_json(trust), *self._terms, self.audited(version.task))
        self._store.versions.calibrate(version, *learnt, actor, now, checks_from=since, withdrawn=True)
        self._reroute(version, trust, actor)

    def _first_made(self, version: StoredVersion, now: datetime) -> datetime:
        kept = self._store.versions.calibrations(version.name)
        checks_from = self._checks_from(kept)
        return min((one.at for one in kept if one.checks_from == checks_from and self._fits(one)), default=now)

    @staticmethod
    def _checks_from(kept: Sequence[Calibration]) -> datetime | None:
        return max((one.checks_from for one in kept if one.checks_from is not None), default=None)

    def _worked(self, version: StoredVersion) -> list[Worked]:
        return self._store.queue.worked(version.task, version.name, RECENT)

    def _pool(self, version: StoredVersion) -> Pool:
        """All that the version answered, as its checks are drawn from all: what waits is surer than they are, once
        people have worked on what was doubtful."""
        scores = self._store.items.scores(version.task, version.name)
        if not self._of_parts:
            return Pool(scores)
        batches = self._store.items.answers(version.task, version.name, BATCH)
        return Pool.of_parts(scores, (one.preannotation for batch in batches for one in batch))

    def _reroute(self, version: StoredVersion, trust: Trust, actor: Actor) -> None:
        """Decides anew about everything that waits in the queue."""
        for batch in self._store.items.open_answers(version.task, version.name, BATCH):
            self._store.items.reroute([self._decided(one, trust) for one in batch], actor, self._clock())

    def _decided(self, waiting: Pending, trust: Trust) -> tuple[int, Answer, float]:
        said = waiting.preannotation
        answer = self._deciding.answer(said, waiting.duration_s, trust)
        return waiting.preannotation_id, answer, self._deciding.draw(said.item_id)

    def _untried(self, version: str) -> Trust:
        if version not in self._as_made:
            folder = self._data_dir.resolve() / self._store.versions.get(version).folder
            self._as_made[version] = untried(read_version(folder), self._of_parts)
        return self._as_made[version]

    def _last(self, version: str) -> Calibration | None:
        return self._store.versions.calibration(version, *self._terms)

    def _fits(self, calibration: Calibration) -> bool:
        """Whether its promise was made for the terms that the settings ask for, of what they say matters."""
        kept = calibration.promise
        same = "most" in kept, kept.get("matters", asdict(ANYTHING))
        asked = self._of_parts, asdict(self._matters)
        return (calibration.alpha, calibration.delta) == self._terms and same == asked

    def _told_terms(self) -> str:
        alpha, delta = (f"{100 * share:.4g} %" for share in self._terms)
        other = "" if self._matters == ANYTHING else ", by the rule of what matters"
        return f"alpha {alpha}, delta {delta}" + (", part by part" if self._of_parts else "") + other
