"""The loop: items in, pre-annotations, decisions, corrections, a better version. The only place that knows the order.

Free of any framework; safe to call from several threads and processes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from models.arrays import Bools, Floats
from models.errors import InvalidInput, NotFound
from models.records import TASKS, Correction, Item, Prediction, Seconds, Task
from models.versions import keep, starters
from selection.policy import Policy
from selection.queueing import StrategyName
from selection.rules import About
from serving import concealing
from serving.calibrations import Calibrations
from serving.deciding import Deciding, undecided
from serving.gold import Gold
from serving.handing_out import HandingOut, Nothing
from serving.intake import Intake, Registered, Registration
from serving.labelled import Labelled
from serving.media_files import MediaFiles
from serving.policies import Policies
from serving.promotion import Compare
from serving.report import task_report
from serving.settings import Settings
from serving.sizes import Sizes
from serving.store import Store
from serving.store.records import (
    Actor,
    Adoption,
    Answer,
    Leased,
    Promotion,
    Receipt,
    StoredVersion,
    Unfit,
    storable,
    storable_name,
    storable_time,
)
from serving.trust import Trust
from serving.versions import Versions

__all__ = [
    "Actor", "Answer", "Compare", "Leased", "Loop", "Predict", "Promotion", "Receipt", "Registered", "Registration",
    "StoredVersion", "utc_now",
]  # fmt: skip

Predict: TypeAlias = Callable[[Item], tuple[Prediction, Seconds | None]]  # and how long the medium is, if it sounds


def utc_now() -> datetime:
    """The time of this machine, in UTC."""
    return datetime.now(UTC)


class Loop:
    """One deployment's loop over its store, its media and its settings."""

    def __init__(self, store: Store, files: MediaFiles, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._files = files
        self._settings = settings
        self._clock = clock
        self._deciding = Deciding.by(settings)
        self.policies = Policies(store, settings)
        self._calibrations = Calibrations(store, self._deciding, self.policies, settings.data_dir, clock)
        self._intake = Intake(store, files, self._deciding.draw)
        self.sizes = Sizes(store, files)
        self.gold = Gold(
            store, self._deciding, self.policies, self._calibrations, self._intake, files, self.sizes, clock
        )
        self._handing_out = HandingOut(store, self.policies, settings, self.gold.of)
        self.labelled = Labelled(store, files, self.gold.of, self.policies)
        self.versions = Versions(store, self.labelled, settings.data_dir, clock)

    @classmethod
    def open(cls, settings: Settings, clock: Callable[[], datetime] = utc_now) -> "Loop":
        """The loop over the store that the settings name; a fresh store gets the starter versions and serves them.

        They are kept with its other versions, so that an upgrade of the product, which may bring others, leaves them.
        """
        loop = cls(Store.open(settings.database_url), MediaFiles(settings.data_dir / "media"), settings, clock)
        for starter in starters():
            loop.versions.add(keep(starter, settings.data_dir / "models").folder, "starter")
            loop._store.versions.promote_first(starter.name, "starter", clock())
        return loop

    @property
    def store(self) -> Store:
        return self._store

    # -- media and what versions say about them

    def register(self, entries: Iterable[Registration], actor: Actor) -> Registered:
        """Registers media for labelling; the same bytes are the same item. What was registered before a failure stays.

        Raises:
            InvalidInput: a uri or group that cannot be stored.
        """
        return self._intake.register(entries, actor, self._clock())

    def answered(self, item_id: str, task: Task, version: str) -> Answer | None:
        """What a version said about the same bytes before, so that asking again costs nothing."""
        return self._store.items.answer(item_id, task, version)

    def latest(self, limit: int) -> list[Answer]:
        """What versions said last, newest first."""
        return self._store.items.latest(limit)

    def record(
        self,
        task: Task,
        item: Item,
        data: bytes | None,
        prediction: Prediction,
        version: str,
        duration_s: Seconds | None,
        actor: Actor,
    ) -> Answer:
        """Keeps what a version said about an item, with the decision who must look at it.

        ``data`` is given where the item's uri is no file of this machine, so that training can read it later. The first
        answer of a version on an item stays and is returned again.

        Raises:
            NotFound: the version is not known.
            InvalidInput: the item's id is not the hash of ``data``, or its group is no name.
        """
        storable_name(item.group or "", "group")
        if data is not None and (actual := self._files.save(data)) != item.id:
            raise InvalidInput(f"item: expected the SHA-256 of its bytes, {actual}, got {item.id}")
        item = replace(item, uri=storable(item.uri, "uri"))
        said = undecided(item.id, task, version, prediction)
        policy = self.policies.of(task)
        about = self._store.items.about(item, task, duration_s)
        trust = self._calibrations.trust(version, policy)
        answer = self._deciding.answer(said, about, trust, policy)
        return self._store.items.save(item, answer, self._deciding.draw(item.id), duration_s, actor, self._clock())

    def pending(self, task: Task, limit: int) -> list[Item]:
        """Items that the serving version has not seen yet; none while nothing serves."""
        serving = self._store.versions.serving(task)
        return self._store.items.pending(task, serving.name, limit) if serving else []

    def fail(self, item_id: str, task: Task, why: str, actor: Actor) -> None:
        """Takes an item whose medium cannot be read out of the work."""
        self._store.items.fail(item_id, task, storable(why, "reason"), actor, self._clock())

    def retry(self, item_id: str, task: Task, actor: Actor) -> None:
        """Brings an item back into the work whose medium could not be read.

        Raises:
            NotFound: the item is not registered for the task.
        """
        self._store.items.retry(item_id, task, actor, self._clock())

    def item(self, item_id: str) -> Item:
        """The item of that id.

        Raises:
            NotFound: there is none.
        """
        return self._store.items.item(item_id)

    def tell_group(self, item_id: str, group: str | None, actor: Actor) -> None:
        """Says of which group an item is; one that is of a group already stays there."""
        if group is not None:
            self._store.items.tell_group(item_id, group, actor, self._clock())

    def path(self, item: Item) -> Path:
        """The file with an item's bytes: the one kept here, or the one that its uri names.

        Raises:
            NotFound: neither is there.
        """
        return self._files.path(item)

    def history(self, item_id: str, asker: Actor | None = None) -> dict[str, Any]:
        """The item and everything that happened to it, as JSON values; who asks, and was handed it planted, sees it as
        if it were open until they have answered.

        Raises:
            NotFound: there is no such item.
        """
        told = self._store.items.history(item_id)
        for lease in concealing.unanswered(told, asker) if asker else ():
            said = concealing.newest(told, lease["task"])
            if said is not None and (answer := self.answered(item_id, lease["task"], said["version"])):
                about = self._store.items.about(self.item(item_id), lease["task"], said["duration_s"])
                open_answer = self._decided_as_if_open(answer, about)
                told = concealing.concealed(told, lease, open_answer, self._clock())
        return told

    # -- policies

    def adopt(self, policy: Policy, task: Task | None, actor: Actor) -> Adoption:
        """Puts a policy in force, for one task or for all, from the next decision on; what waits is decided anew soon.

        What was accepted before stays accepted, on the terms that its answer names.
        """
        return self.policies.adopt(policy, task, actor, self._clock())

    def tried(self, version: StoredVersion, policy: Policy) -> tuple[Trust, Iterator[Answer]]:
        """What a policy would make of a version's checks, and of each item that waits; nothing is changed."""
        return self._calibrations.tried(version, policy)

    # -- people

    def lease(
        self,
        task: Task,
        limit: int,
        annotator: str,
        actor: Actor,
        strategy: StrategyName | None = None,
        seconds: Seconds | None = None,
    ) -> list[Leased]:
        """The next items for one person, most useful first; nobody else gets them until the lease is over.

        Where the person has only so many ``seconds``, what is expected to fit into them. What is useful the strategy
        says, or without one the policy in force (``HandingOut.lease``).
        """
        if limit < 1 or not annotator:
            raise InvalidInput(f"lease: expected limit >= 1 and an annotator, got {limit} and {annotator!r}")
        person = storable_name(annotator, "annotator")
        return self._handing_out.lease(task, limit, person, actor, self._clock(), strategy, seconds)

    def standing(self, task: Task, places: int) -> tuple[int, list[str]]:
        """How many items people have or had, and which would have the next places in the queue; nobody gets them."""
        return self._handing_out.standing(task, places, self._clock())

    def as_if_open(self, leased: Leased, answer: Answer) -> Answer:
        """The newest answer on a leased item; on a planted one with the decision of today, which tells nothing."""
        return answer if leased.planted is None else self._decided_as_if_open(answer, leased.planted)

    def _decided_as_if_open(self, answer: Answer, about: About) -> Answer:
        said, policy = answer.preannotation, self.policies.of(answer.preannotation.task)
        trust = self._calibrations.trust(said.model_version, policy)
        return self._deciding.as_if_open(said, about, trust, policy)

    def for_tools(self, answer: Answer) -> Answer:
        """An answer as a tool may show it to anybody: on an item that is chosen as gold with the decision as if it were
        open, which tells nothing."""
        said = answer.preannotation
        about = self._store.items.about(self.item(said.item_id), said.task, said.features.get("duration_s"))
        return self._decided_as_if_open(answer, about) if about.chosen else answer

    def why_nothing(self, task: Task, annotator: str, seconds: Seconds | None = None) -> Nothing:
        """Why there was nothing for this person."""
        return self._handing_out.why_nothing(task, annotator, self._clock(), seconds)

    def release(self, lease_id: str, actor: Actor) -> None:
        """Gives an item back before its lease is over: others get it at once, who had it not before that time.

        Raises:
            NotFound: there is no such lease.
        """
        self._store.queue.release(lease_id, actor, self._clock())

    def take_back(self, lease_ids: Sequence[str]) -> None:
        """Leases of which nobody was told: they never were."""
        self._store.queue.take_back(lease_ids)

    def correct(
        self, correction: Correction, lease_id: str | None, actor: Actor, of_gold: bool = False, timed: bool = True
    ) -> Receipt:
        """Adds a person's correction; nothing is overwritten, the newest counts, the same one twice counts once; one
        that is not ``timed`` by its sender is the same as the newest one, if it says the same.

        Without ``lease_id`` a correction is always taken. From a tool that hands out its tasks itself one ``of_gold``,
        of an item chosen as gold whose label somebody else gave, measures the person and is no label.

        Raises:
            InvalidInput: the label is of another size than the item's picture.
            NotFound: no such item, task or lease.
            Stale: the lease is over, or someone else corrected the item meanwhile.
        """
        storable_name(correction.annotator, "annotator")
        storable(correction.tool, "tool")
        storable_time(correction.created_at, "created_at")
        storable_name(correction.model_version or "", "model_version")
        self.sizes.require(correction.item_id, correction.label)
        receipt = self._store.queue.correct(correction, lease_id, actor, self._clock(), of_gold, timed)
        if lease_id is not None:  # of people who do not take their work from the queue nobody asks again
            self._calibrations.look_again(correction, receipt.correction_id, actor)
        self._calibrations.watch(correction.task, actor)
        return receipt

    def find_unfit(self, said: Unfit, lease_id: str | None, actor: Actor) -> bool:
        """Takes an item out of the work that a person cannot label; returns whether the same word had come before.

        It trains nothing and checks nothing, until it is taken back or somebody labels it all the same. Without
        ``lease_id`` the word is always taken.

        Raises:
            NotFound: no such item, task or lease.
            Stale: the lease is over, or someone else ended it.
        """
        storable_name(said.annotator, "annotator")
        storable(said.tool, "tool")
        storable_time(said.created_at, "created_at")
        return self._store.unfit.say(said, lease_id, actor, self._clock())

    def find_fit(self, item_id: str, task: Task, actor: Actor) -> None:
        """Takes back that an item is unfit: it is corrected again, or open.

        Raises:
            NotFound: the item is not registered for the task.
        """
        self._store.unfit.take_back(item_id, task, actor, self._clock())

    def withdraw(self, correction_id: int, actor: Actor) -> None:
        """Lets a correction count no longer, as who gave it took it back; the item may be open again.

        Raises:
            NotFound: there is no such correction.
        """
        self._store.queue.withdraw(correction_id, actor, self._clock())

    # -- learning

    def due_for_calibration(self) -> list[StoredVersion]:
        """Serving versions that would learn from the audit items corrected since they were last calibrated, and those
        whose open items were decided by another policy than the one in force."""
        return [self.versions.get(version.name) for version in self._calibrations.due()]

    def recalibrate(self, version: str, actor: Actor, predict: Predict | None = None) -> Trust:
        """Learns from people how far a version is to be trusted, and routes its open items anew.

        Uses only corrections of audit items, which were drawn at random, and of these none that the version or one it
        descends from was trained on. Where ``predict(item)`` is given, the version is first asked about such items that
        were corrected before it came; ``item.uri`` is then the path of a file.

        Raises:
            NotFound: there is no such version.
        """
        stored = self._store.versions.get(version)
        audited = self._calibrations.audited(stored.task)
        if predict is not None:
            self._ask(stored, predict, actor)
        return self._calibrations.learn(stored, audited, actor)

    def _ask(self, version: StoredVersion, predict: Predict, actor: Actor) -> None:
        ancestry, _ = self._store.versions.ancestry(version.name)
        for item in self._store.checks.unanswered(version.task, version.name, ancestry):
            try:
                prediction, duration_s = predict(self._files.unchanged(item))
            except (InvalidInput, NotFound):
                continue  # a medium that cannot be read is never accepted unseen, so no promise speaks of it
            self.record(version.task, item, None, prediction, version.name, duration_s, actor)

    def trust(self, version: str) -> Trust:
        """How far a version is to be trusted: what checks of it taught, or else the calibration that it came with."""
        return self._calibrations.trust(version, self.policies.of(self._store.versions.get(version).task))

    def told(self, version: str) -> dict[str, Any]:
        """What is promised of a version, and what audits say of it, as in the report.

        Raises:
            NotFound: there is no such version.
        """
        return self._calibrations.told(self._store.versions.get(version))

    def checked(self, version: str) -> tuple[Floats, Bools]:
        """Of each randomly drawn item that people checked: the p_error (n,) that was said of it, and whether the
        version was wrong (n,).

        Raises:
            NotFound: there is no such version.
        """
        return self._calibrations.checked(self._store.versions.get(version))

    def report(self) -> dict[str, Any]:
        """Items by state, human seconds and seconds a label, by task and model version, and what is promised."""
        return {
            "tasks": {
                task: task_report(
                    self._store,
                    task,
                    self._calibrations.told,
                    self.labelled.planted,
                    self.policies.of(task).deadlines,
                    self._clock(),
                )
                for task in TASKS
            }
        }
