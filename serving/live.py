"""The versions that answer now, and their replacement while they answer.

A thread looks for promotions, loads and warms the new version, and then replaces one reference: whoever predicts at
that moment ends with the version it began with. One that does not load is marked failed, and the one before it stays;
one whose folder is away is waited for.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.media import SAMPLE_RATE
from models.records import TASKS, Prediction, Task
from models.tasks import Runtime, load_runtime
from models.versions import MANIFEST, read_version
from serving.errors import Unavailable
from serving.server_log import log
from serving.store.records import StoredVersion

LoadRuntime: TypeAlias = Callable[[Task, Path, int], Runtime]
LOOK_EVERY_S = 0.25


class Switches(Protocol):
    """What ``Live`` needs of the versions."""

    def changes(self) -> int:
        """A number that rises with every switch of versions."""

    def serving(self, task: Task) -> StoredVersion | None:
        """The version that should answer."""

    def fail(self, version: str, why: str) -> None:
        """Marks a version that does not load, and lets the one before it serve again."""


class Watcher(Protocol):
    """Who is told what happens here."""

    def predicted(self, task: Task, version: str, seconds: float) -> None:
        """A version looked at a medium."""

    def serves(self, task: Task, version: str, previous: str | None) -> None:
        """A version answers from now on."""


@dataclass(frozen=True)
class Loaded:
    """A version that is ready to answer."""

    version: str
    runtime: Runtime


class Live:
    """Holds one loaded version a task. Predictions may come from any number of threads; ``slots`` run at once."""

    def __init__(
        self, switches: Switches, watcher: Watcher, *, slots: int, threads: int, load: LoadRuntime = load_runtime
    ) -> None:
        self._switches = switches
        self._watcher = watcher
        self._threads = threads
        self._load = load
        self._limiter = threading.BoundedSemaphore(slots)
        self._answering: dict[Task, Loaded] = {}
        self._seen = -1
        self._looking = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow_for_ever, name="live", daemon=True)

    def start(self) -> None:
        """Loads what serves, and follows promotions from then on."""
        self.refresh()
        self._thread.start()

    def close(self) -> None:
        """Stops following; what is loaded goes on answering."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def refresh(self) -> None:
        """Looks for promotions now, and loads what they brought.

        Raises:
            Unavailable: the store cannot go on, or the folder of a version that should serve is away.
        """
        with self._looking:
            changes = self._switches.changes()
            if changes != self._seen:
                away = [why for task in TASKS if (why := self._follow(task))]
                if away:
                    raise Unavailable("; ".join(away))
                self._seen = changes

    def version(self, task: Task) -> str:
        """The name of the version that answers.

        Raises:
            Unavailable: there is none.
        """
        return self._of(task).version

    def tasks(self) -> list[Task]:
        """The tasks that a version answers."""
        return [task for task in TASKS if task in self._answering]

    def predict(self, task: Task, media: NDArray[Any]) -> tuple[str, Prediction]:
        """The version that answered, and what it said.

        Raises:
            Unavailable: no version answers for the task.
        """
        answering = self._of(task)
        with self._limiter:
            begun = perf_counter()
            prediction = answering.runtime.predict(media)
            seconds = perf_counter() - begun
        self._watcher.predicted(task, answering.version, seconds)
        return answering.version, prediction

    def is_ready(self) -> bool:
        """Whether every version that should serve is loaded, and there is one."""
        wanted = [version for task in TASKS if (version := self._switches.serving(task))]
        loaded = {answering.version for answering in self._answering.values()}
        return bool(wanted) and all(version.name in loaded for version in wanted)

    def _of(self, task: Task) -> Loaded:
        try:
            return self._answering[task]
        except KeyError:
            raise Unavailable(f"{task}: expected a version that serves, got none; promote one") from None

    def _follow_for_ever(self) -> None:
        told = ""
        while not self._stopped.wait(LOOK_EVERY_S):
            try:
                self.refresh()
                told = ""
            except Unavailable as error:  # the store or a version; the next look comes soon, and tells what is new
                if str(error) != told:
                    told = str(error)
                    log.warning("%s", told)
            except Exception:
                log.exception("looking for promotions failed")

    def _follow(self, task: Task) -> str | None:
        """Loads the version that serves; each that does not load is marked failed, which brings back the one before.
        Where its folder is away, this says so."""
        while (wanted := self._switches.serving(task)) is not None:
            current = self._answering.get(task)
            if current is not None and current.version == wanted.name:
                return None
            try:
                if not (wanted.folder / MANIFEST).is_file():
                    return _away(wanted, f"expected {wanted.folder}, got nothing there")
                runtime = self._warm(wanted)
            except OSError as error:
                return _away(wanted, str(error))
            except Exception as error:  # noqa: BLE001 - whatever a broken model raises, the one before goes on
                log.warning("version %s does not load: %s", wanted.name, error)
                self._switches.fail(wanted.name, f"{type(error).__name__}: {error}")
                continue
            self._answering[task] = Loaded(wanted.name, runtime)
            self._watcher.serves(task, wanted.name, current.version if current else None)
            log.info("version %s serves", wanted.name)
        return None

    def _warm(self, version: StoredVersion) -> Runtime:
        """The version's runtime after its first answer, so that nobody waits for what it sets up."""
        runtime = self._load(version.task, read_version(version.folder, version.name).onnx, self._threads)
        runtime.predict(blank(version.task))
        return runtime


def _away(version: StoredVersion, why: str) -> str:
    """Of a version whose disk is away, or that another data folder has: no fault of its own."""
    return (f"version {version.name}: {why}; put it back, or let another serve: prelabel rollback {version.task}, or "
            "prelabel promote")  # fmt: skip


def blank(task: Task) -> NDArray[Any]:
    """A second of silence, or a black image."""
    return np.zeros(SAMPLE_RATE, np.float32) if task == "asr" else np.zeros((256, 480, 3), np.uint8)
