"""The versions there are: what comes in as a candidate, which of them serves, and what decides whether one may."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from models.errors import NotFound, Refused
from models.records import Task
from models.versions import read_version
from serving.labelled import Labelled
from serving.promotion import Broken, Compare, Pairs, compared
from serving.store import Store
from serving.store.records import Actor, Comparison, Promotion, StoredVersion


class Versions:
    """The versions of a store, with the folders that hold them: those below ``data_dir`` may move together with it."""

    def __init__(self, store: Store, labelled: Labelled, data_dir: Path, clock: Callable[[], datetime]) -> None:
        self._versions = store.versions
        self._labelled = labelled
        self._data_dir = data_dir.resolve()
        self._clock = clock

    def add(self, folder: Path, actor: Actor) -> StoredVersion:
        """Makes a trained version known, as a candidate; adding it again changes nothing.

        Raises:
            NotFound: there is no version in that folder.
            InvalidInput: it is damaged.
            Refused: another version of the same name is known.
        """
        read = read_version(folder)
        version = StoredVersion(
            name=read.name,
            task=read.task,
            folder=self._folder_to_keep(folder),
            parent=read.parent,
            onnx_sha256=read.onnx_sha256,
            metrics=read.metrics,
            created_at=read.created_at,
            state="candidate",
            failure=None,
        )
        return self._placed(self._versions.add(version, read.training_ids(), actor, self._clock()))

    def _folder_to_keep(self, folder: Path) -> Path:
        """Relative to the data folder where it lies in there, so that the data folder can be moved."""
        folder = folder.resolve()
        return folder.relative_to(self._data_dir) if folder.is_relative_to(self._data_dir) else folder

    def _placed(self, version: StoredVersion) -> StoredVersion:
        return replace(version, folder=self._data_dir / version.folder)

    def all(self) -> list[StoredVersion]:
        """Every version, by task and age."""
        return [self._placed(version) for version in self._versions.all()]

    def get(self, name: str) -> StoredVersion:
        """The version of that name.

        Raises:
            NotFound: there is none.
        """
        return self._placed(self._versions.get(name))

    def of_task(self, task: Task, name: str | None) -> StoredVersion:
        """The version of that name or, without one, the one that answers for the task now.

        Raises:
            NotFound: there is none, or it is of another task.
        """
        version = self.serving(task) if name is None else self.get(name)
        if version is None or version.task != task:
            raise NotFound(f"{task}: expected a version of that task, got {name or 'none that serves'}")
        return version

    def serving(self, task: Task) -> StoredVersion | None:
        """The version that answers for a task now."""
        version = self._versions.serving(task)
        return self._placed(version) if version else None

    def changes(self) -> int:
        """A number that rises with every switch of versions; cheap to ask often."""
        return self._versions.changes()

    def promote(self, version: str, actor: Actor, force: bool = False, compare: Compare | None = None) -> Promotion:
        """Makes a version serve, unless it is worse than the serving one on the gold items, or ``force`` is given.

        ``compare(version, pairs)`` measures a version's quality on the gold items that neither version was trained on.
        Where there are none, the promotion says so. Promoting the serving version changes nothing.

        Raises:
            NotFound: there is no such version, or its folder is gone.
            InvalidInput: what is in it is damaged.
            Refused: it is worse, with the figures, or broken, and then marked so.
            Stale: another version began to serve meanwhile.
        """
        candidate = self.get(version)
        serving = self.serving(candidate.task)
        if candidate.state == "failed" and not force:
            raise Refused(f"promote {version}: expected a version that loads, got one that failed: {candidate.failure}")
        read_version(candidate.folder, candidate.name)
        comparison = self._compared(candidate, serving, actor, compare, force)
        replaces = serving.name if serving else None
        return self._versions.promote(version, replaces, comparison, actor, self._clock(), force)

    def compare(self, version: str, actor: Actor, compare: Compare) -> Comparison:
        """What would decide a promotion, whichever way; nothing is switched.

        Raises:
            NotFound: there is no such version.
            Refused: it is broken, and then marked so.
        """
        candidate = self.get(version)
        return self._compared(candidate, self.serving(candidate.task), actor, compare, force=True)

    def _compared(
        self,
        candidate: StoredVersion,
        serving: StoredVersion | None,
        actor: Actor,
        compare: Compare | None,
        force: bool,
    ) -> Comparison:
        if serving is None or serving.name == candidate.name:
            return Comparison()
        pairs = self._untrained_gold(candidate, serving) if compare else []
        try:
            return compared(candidate, serving, pairs, compare, force)
        except Broken as broken:
            if broken.version == candidate.name:
                self.fail(candidate.name, broken.why, actor)
            raise

    def _untrained_gold(self, candidate: StoredVersion, serving: StoredVersion) -> Pairs:
        names = [name for version in (candidate, serving) for name in self._versions.ancestry(version.name)[0]]
        seen = self._versions.trained_on(names)
        return [(item, label) for item, label in self._labelled.gold_data(candidate.task) if item.id not in seen]

    def rollback(self, task: Task, actor: Actor) -> Promotion:
        """Lets the version serve again that did so before.

        Raises:
            Refused: there is none.
            NotFound, InvalidInput: its folder is gone, or damaged.
        """
        before = self._versions.before(task)
        if before is not None:
            read_version(self._placed(before).folder, before.name)
        return self._versions.rollback(task, actor, self._clock())

    def fail(self, version: str, why: str, actor: Actor = "live") -> None:
        """Marks a version that does not load; if it was to serve, the one before it does so again.

        Raises:
            NotFound: there is no such version.
        """
        self._versions.fail(version, why, actor, self._clock())
