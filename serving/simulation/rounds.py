"""One round of one arm: people work through their share of the queue, then the model learns.

Nothing here knows how the loop works: it is the service's own ``Loop`` on a store of its own. A round is there whole or
not at all, with the state of the store after it, and follows from the plan, the arm, the seed and its number alone.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from models import tasks
from models.counting import percent
from models.errors import Refused
from models.parts import nothing
from models.recordings import duration_s, stretch
from models.records import Correction, Item, Label, Prediction, Seconds, Task
from models.versions import Version, read_version
from selection.actions import Actions, actions, part_actions, spent_seconds
from selection.cost import Costs
from serving.loop import Leased, Loop, Registration, StoredVersion
from serving.policies import default_policy
from serving.simulation.arms import Arm
from serving.simulation.person import Person
from serving.simulation.plan import Plan
from serving.simulation.unseen import Unseen, unseen
from serving.simulation.workshop import alone

ACTOR = "simulation"
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)  # of every simulated working time
LEASE = 20  # items that a person takes at once
PEOPLE = "ada", "ben"  # take turns, so that a second look is another person's


@dataclass(frozen=True)
class Round:
    """What one round did, and how things stand after it.

    ``work`` is what people did at each item of this round. ``labelled``, ``accepted`` and ``accepted_wrong`` count
    items so far; what is wrong, the policy's rule says. ``unseen`` is what nobody looked at of all items so far, where
    a promise speaks of parts. ``label_quality`` and ``labels_wrong`` are of the whole pool, as it would be handed over
    now: people's labels, accepted ones, and for the rest what the model says. ``model_quality`` is of the version that
    serves after the round, on unseen data.
    """

    arm: str
    seed: int
    number: int
    version: str
    work: tuple[Actions, ...]
    labelled: int
    accepted: int
    accepted_wrong: int
    labels_wrong: int
    label_quality: float
    model_quality: float
    unseen: Unseen = field(default_factory=Unseen)
    promise: Mapping[str, Any] = field(default_factory=dict)
    learnt: str = ""
    finished: bool = False


_ADAPTER = TypeAdapter(Round)


def turn(plan: Plan, arm: Arm, seed: int, number: int) -> Round:
    """The round of that number, from 1 on; one that was finished before, or meanwhile by another run of the same
    simulation, is not done again.

    The rounds before it must be finished.
    """
    target = _folder(plan, arm, seed, number)
    with alone(target.parent):
        if not target.is_dir():
            _work_through(plan, arm, seed, number, target)
        done = _ADAPTER.validate_json((target / "round.json").read_bytes())
        if done.finished:
            (target / "store.db").unlink(missing_ok=True)
        return done


def _work_through(plan: Plan, arm: Arm, seed: int, number: int, target: Path) -> None:
    work = target.parent / ".turning"
    shutil.rmtree(work, ignore_errors=True)  # of a run that was killed
    work.mkdir(parents=True)
    before = _folder(plan, arm, seed, number - 1) / "store.db"
    if number > 1:
        shutil.copy(before, work / "store.db")
    text = _ADAPTER.dump_json(_Turn(plan, arm, seed, number, work / "store.db").round()).decode()
    (work / "round.json").write_text(text, encoding="utf-8")
    work.rename(target)
    before.unlink(missing_ok=True)


def _folder(plan: Plan, arm: Arm, seed: int, number: int) -> Path:
    return plan.folder / "rounds" / f"{arm.name}-{seed}" / str(number)


class _Turn:
    """The state of one round: the loop, its person and the simulated time."""

    def __init__(self, plan: Plan, arm: Arm, seed: int, number: int, database: Path) -> None:
        self.plan, self.arm, self.seed, self.number = plan, arm, seed, number
        self.truths = plan.pool.truths
        self.people = [Person(plan.mistakes, seed, plan.pool.vocabulary, name) for name in PEOPLE]
        self.items = {item.id: item for item, _ in plan.pool.pairs}
        self.now = BEGUN + timedelta(days=number)
        self.settings = plan.settings.model_copy(
            update={
                "database_url": f"sqlite:///{database}",
                "data_dir": plan.folder,
                "seed": seed,
                "strategy": plan.settings.strategy if arm.chooses else "random",
            }
        )
        self.loop = Loop.open(self.settings, lambda: self.now)
        self.said: dict[str, Prediction] = {}  # by the version that serves

    def round(self) -> Round:
        """Works, learns and looks at what came of it."""
        try:
            if self.number == 1:
                self._begin()
                if self.plan.start is None:
                    return self._told(self._label_first(), self._learn_first(), False)
            version = self._serving()
            done = self._work(version)
            open_items = bool(self._open())
            last = not open_items or self.number == len(self.plan.shares)
            learnt = self._learn(version, last)
            return self._told(done, learnt, last)
        finally:
            self.loop.store.close()

    def _begin(self) -> None:
        if self.arm.chooses and self.plan.decided_by != default_policy(self.plan.settings):
            self.loop.adopt(self.plan.decided_by, self.plan.task, ACTOR)
        for ancestor in self.plan.ancestors:
            self.loop.versions.add(ancestor.folder, ACTOR)
        if self.plan.start:
            self._serve(self.plan.start)
        self.loop.register(
            (
                Registration(item.uri, self.plan.task, stretch(item.uri) or Path(item.uri), item.group, item.language)
                for item, _ in self.plan.pool.pairs
            ),
            ACTOR,
        )

    def _serve(self, version: Version) -> None:
        self.loop.versions.add(version.folder, ACTOR)
        serving = self.loop.versions.serving(self.plan.task)
        if serving is None or serving.name != version.name:
            self.loop.versions.promote(version.name, ACTOR, force=True)

    def _serving(self) -> StoredVersion:
        version = self.loop.versions.serving(self.plan.task)
        assert version is not None
        return version

    # -- from nothing

    def _label_first(self) -> list[Actions]:
        """The first round's items, at random: nobody is shown anything, for there is no model."""
        first = np.random.default_rng(self.seed).permutation(sorted(self.items))
        chosen = first[: round(self.plan.shares[0] * len(first))].tolist()
        return [self._label(item_id, person) for item_id, person in zip(chosen, cycle(self.people), strict=False)]

    def _label(self, item_id: str, person: Person) -> Actions:
        task, item = self.plan.task, self.items[item_id]
        given = person.label(item_id, self.truths[item_id])
        did = actions(task, None, given, duration_s(item.uri) if task == "asr" else None)
        self._give(item_id, given, did, person)
        return did

    def _learn_first(self) -> str:
        """Trains the first model; versions after it go on from there."""
        pairs = self._training_data()
        self._serve(self.plan.workshop.trained(None, pairs, self.plan.first_epochs, self.seed))
        return f"the first model, of {len(pairs)} labels"

    def _start(self) -> Version:
        """The version from which those after it are trained."""
        if self.plan.start:
            return self.plan.start
        first = _ADAPTER.validate_json((_folder(self.plan, self.arm, self.seed, 1) / "round.json").read_bytes())
        return read_version(self.plan.workshop.folder / "models" / first.version)

    # -- people

    def _work(self, version: StoredVersion) -> list[Actions]:
        """People's share of the round, a few items at a time, as a person would take them from the queue."""
        self._ask(version)
        share = self.plan.shares[self.number - 1]
        room = round(share * len(self.items)) - self._labelled()
        if share == 1:
            room = 2 * len(self.items)  # with all second looks
        if room < 1:  # of a few items half is the same number as a quarter
            return []
        done = list[Actions]()
        idle = 0
        for person in cycle(self.people):
            leased = self.loop.lease(self.plan.task, min(LEASE, room - len(done)), person.name, ACTOR)
            done += [self._correct(work, person) for work in leased]
            idle = 0 if leased else idle + 1
            if len(done) == room or idle == len(self.people):
                return done
            if leased:
                self._calibrate()
        return done

    def _ask(self, version: StoredVersion) -> None:
        """The version's answer on every item that waits."""
        trained = read_version(version.folder)
        new = [item for item_id, item in self.items.items() if item_id not in trained.training_ids()]
        self.said = self.plan.workshop.answers(trained, new)
        while waiting := self.loop.pending(self.plan.task, 500):
            for item in waiting:
                said = self.said[item.id]
                self.loop.record(self.plan.task, item, None, said, version.name, _duration(said), ACTOR)
        self._calibrate()

    def _calibrate(self) -> None:
        """As the service does in the background, where labels may be accepted."""
        if not self.arm.accepts:
            return
        for due in self.loop.due_for_calibration():
            if due.task == self.plan.task:
                self.loop.recalibrate(due.name, ACTOR, lambda item: (self.said[item.id], _duration(self.said[item.id])))

    def _correct(self, work: Leased, person: Person) -> Actions:
        answer = work.answer
        decision = answer.decision.decision if self.arm.shown else "annotate"
        given, did = self._worked(work, person, decision)
        version = None if decision == "annotate" else answer.preannotation.model_version
        # Nobody asks for second looks where no promise rests on them.
        self._give(work.item.id, given, did, person, version, work.lease_id if self.arm.accepts else None)
        return did

    def _give(
        self,
        item_id: str,
        given: Label,
        did: Actions,
        person: Person,
        version: str | None = None,
        lease_id: str | None = None,
    ) -> None:
        spent = spent_seconds(self.plan.task, did, self.plan.costs)
        self.now += timedelta(seconds=max(spent, 0.001))
        correction = Correction(item_id, self.plan.task, given, person.name, spent, ACTOR, self.now, version)
        self.loop.correct(correction, lease_id, ACTOR)

    def _worked(self, work: Leased, person: Person, decision: str) -> tuple[Label, Actions]:
        """The label that a person gives, and what it took: from nothing, of the whole, or of the parts shown alone."""
        task, said, parts = self.plan.task, work.answer.preannotation, work.answer.decision.parts
        truth, duration_s = self.truths[work.item.id], said.features.get("duration_s")
        if parts is None or decision == "annotate":
            given = person.label(work.item.id, truth)
            return given, actions(task, None if decision == "annotate" else said.label, given, duration_s)
        given = person.mended(task, work.item.id, truth, said.label, parts)
        return given, part_actions(task, said.label, given, parts, duration_s)

    # -- the model

    def _learn(self, version: StoredVersion, last: bool) -> str:
        """Trains a candidate and promotes it if it is no worse; says what came of it."""
        plan, arm = self.plan, self.arm
        if not plan.epochs or not arm.learns:
            return "the first model goes on"
        if arm.accepts and not last:
            if self.loop.trust(version.name).told()["holds"]:
                return "a promise holds: its version goes on"
            if self._labelled() > plan.learn_until * len(self.items):
                return f"more than {percent(plan.learn_until)} are labelled: this version goes on, to earn its promise"
        pairs = self._training_data()
        try:
            candidate = plan.workshop.trained(self._start(), pairs, plan.epochs, self.seed)
            self.loop.versions.add(candidate.folder, ACTOR)
            return self.loop.versions.promote(candidate.name, ACTOR, compare=self._quality).comparison.note
        except Refused as refused:
            return f"refused: {refused}"

    def _training_data(self) -> list[tuple[Item, Label]]:
        """What people corrected and is not gold; where items are independent, they are held out one by one."""
        pairs = list(self.loop.labelled.training_data(self.plan.task))
        return pairs if self.plan.groups else [(replace(item, group=None), label) for item, label in pairs]

    def _quality(self, version: StoredVersion, pairs: list[tuple[Item, Label]]) -> float:
        said = self.plan.workshop.answers(read_version(version.folder), [self.items[item.id] for item, _ in pairs])
        return tasks.measure(self.plan.task, [(said[item.id].label, label) for item, label in pairs]).quality

    # -- what came of it

    def _told(self, done: Sequence[Actions], learnt: str, last: bool) -> Round:
        task, version = self.plan.task, read_version(self._serving().folder)
        people, accepted = self._labels()
        rest = [self.items[item_id] for item_id in self.items if item_id not in people and item_id not in accepted]
        handed_over = {**people, **accepted, **self._unlooked(version, rest)}
        pairs = [(handed_over[item_id], truth) for item_id, truth in self.truths.items()]
        return Round(
            arm=self.arm.name,
            seed=self.seed,
            number=self.number,
            version=version.name,
            work=tuple(done),
            labelled=len(people),
            accepted=len(accepted),
            accepted_wrong=sum(self.plan.wrong(label, self.truths[key]) for key, label in accepted.items()),
            labels_wrong=sum(self.plan.wrong(label, truth) for label, truth in pairs),
            label_quality=tasks.measure(task, pairs).quality,
            model_quality=self.plan.workshop.quality(version, self.plan.pool.held_out),
            unseen=self._unseen(),
            promise=self.loop.trust(version.name).told() if self.arm.accepts else {},
            learnt=learnt,
            finished=last,
        )

    def _unseen(self) -> Unseen:
        if not self.arm.accepts or not self.plan.decided_by.of_parts:
            return Unseen()
        task, matters = self.plan.task, self.plan.decided_by.matters
        return sum((unseen(self.loop, task, *pair, matters) for pair in self.truths.items()), Unseen())

    def _unlooked(self, version: Version, rest: Sequence[Item]) -> dict[str, Label]:
        """What stands for a label where nobody looked: what the model says, or nothing where there is no model."""
        if not self.arm.shown:
            return {item.id: nothing(self.truths[item.id]) for item in rest}
        said = self.plan.workshop.answers(version, rest)
        return {item_id: one.label for item_id, one in said.items()}

    def _labels(self) -> tuple[dict[str, Label], dict[str, Label]]:
        """People's labels and those accepted unseen, by id."""
        people = dict(self._by_id(accepted=False))
        both = dict(self._by_id(accepted=True))
        return people, {item_id: label for item_id, label in both.items() if item_id not in people}

    def _by_id(self, accepted: bool) -> list[tuple[str, Label]]:
        paths = {str(Path(item.uri).absolute()): item_id for item_id, item in self.items.items()}
        labels = self.loop.labelled.labels(self.plan.task, accepted=accepted)
        # The file of a stretch is the one that the store keeps, which is named by its id.
        return [(paths.get(item.uri) or Path(item.uri).name, label) for item, label in labels]

    def _labelled(self) -> int:
        return int(self.loop.report()["tasks"][self.plan.task]["items"].get("corrected", 0))

    def _open(self) -> int:
        items = self.loop.report()["tasks"][self.plan.task]["items"]
        return sum(count for state, count in items.items() if state not in ("corrected", "accepted", "failed"))


def seconds(task: Task, work: Sequence[Actions], costs: Costs) -> Seconds:
    """What some work takes at these costs."""
    return sum(spent_seconds(task, did, costs) for did in work)


def _duration(said: Prediction) -> Seconds | None:
    return said.features.get("duration_s")
