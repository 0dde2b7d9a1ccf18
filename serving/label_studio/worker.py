"""The thread that does what Label Studio need not wait for: corrections, projects that follow promotions, the order of
their queues."""

import threading
from collections import defaultdict
from collections.abc import Iterator, Set
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

from models.errors import PrelabelError
from models.records import Task
from serving.errors import Unavailable
from serving.label_studio.client import PAGE, Client, StudioTask
from serving.label_studio.corrections import Corrections, Look
from serving.label_studio.ordering import Ordering
from serving.label_studio.planting import OpenTasks, plant
from serving.label_studio.predictor import NONE_SERVES, Predictor
from serving.label_studio.pushing import Push
from serving.loop import Actor, Loop, utc_now
from serving.server_log import log
from serving.settings import Settings
from serving.store.studio import Project
from serving.worker_thread import WorkerThread

ACTOR: Actor = "label-studio"
LOOK_AGAIN = timedelta(minutes=10)  # for what no webhook told
OVERLAP = timedelta(minutes=15)  # by which the clocks of two machines may differ
ALL_AGAIN = timedelta(hours=6)  # for what even Label Studio does not know as a change
AFTER_FAILURE = timedelta(seconds=30)
NOW = datetime.min.replace(tzinfo=UTC)


@dataclass
class _Known:
    """What is known of a project: what came of looking at it, when that was, and what there is to do."""

    looks_at: datetime = NOW  # the next time
    all_at: datetime = NOW  # when all of it is read again
    not_before: datetime = NOW
    read_at: datetime | None = None  # what was changed before is known, but for the tasks ``left``
    left: Set[int] = frozenset()
    label_config: str = ""
    refused: str = ""  # the version that its configuration was none for
    open_tasks: OpenTasks = field(default_factory=lambda: OpenTasks("<View/>"))
    people_worked: bool = False  # since its queue was put in order


class Worker(WorkerThread):
    """Works on events at once, shows new versions when they serve, and looks for what was missed now and then."""

    def __init__(
        self, loop: Loop, predictor: Predictor, corrections: Corrections, client: Client | None, settings: Settings
    ) -> None:
        super().__init__("label-studio")
        self._loop = loop
        self._predictor = predictor
        self._corrections = corrections
        self._client = client
        self._settings = settings
        self._ordering = Ordering(loop, client, settings) if client is not None else None
        self._known: defaultdict[tuple[Task, int], _Known] = defaultdict(_Known)
        self._is_told = threading.Event()

    def look(self) -> None:
        """Says that a project has tasks which may have no prediction yet, or that it is another by now."""
        self._is_told.set()
        self.wake()

    def _work(self) -> bool:
        worked = self._corrections.work(utc_now())
        if self._client is not None:
            self._follow(bool(worked))
        return bool(worked)

    def _follow(self, people_worked: bool) -> None:
        """Each project shows what serves now, and its queue keeps its order, for which a pause of people's work is
        early enough. One that cannot be worked on keeps nothing from the others."""
        is_told = self._is_told.is_set()
        self._is_told.clear()
        for project in self._loop.store.studio.projects():
            known = self._known[project.task, project.project]
            known.people_worked |= people_worked
            if is_told:
                known.looks_at = utc_now()
            if utc_now() < known.not_before:
                continue
            try:
                if utc_now() >= known.looks_at or self._is_behind(project):
                    self._look(project, known)
                elif not people_worked:
                    self._order(project, known)
            except PrelabelError as error:
                log.warning("Label Studio's project %d does not follow: %s", project.project, error)
                known.not_before = utc_now() + AFTER_FAILURE

    def _is_behind(self, project: Project) -> bool:
        """Whether another version serves by now than the one that a project shows."""
        refused = self._known[project.task, project.project].refused
        return self._predictor.version(project.task) not in (NONE_SERVES, project.version, refused)

    def _look(self, project: Project, known: _Known) -> None:
        """Reads once what changed in a project, or all of it where that makes a difference: takes over what people did,
        stores predictions that are missing, plants gold items, and puts the queue in order."""
        assert self._client is not None
        assert self._ordering is not None
        begun, told = utc_now(), self._client.project(project.project)
        push = self._push(project, told["label_config"], known)
        shown = project if push is None else replace(project, version=push.version)
        is_other = (shown.version, told["label_config"]) != (project.version, known.label_config)
        since = None if is_other or begun >= known.all_at else known.read_at
        if since is None:
            known.open_tasks, known.label_config = OpenTasks(told["label_config"]), ""
        look, seen = self._corrections.look(project.task, told), set[int]()
        for page in self._pages(project.project, since, frozenset() if since is None else known.left, seen):
            look.see(page)
            self._ordering.see(shown, page if push is None else push.page(page))
            known.open_tasks.see(page)
        if since is None:
            self._ordering.keep(shown, seen)
            known.all_at = begun + ALL_AGAIN
        known.label_config, known.looks_at = told["label_config"], begun + LOOK_AGAIN
        known.read_at, known.left = begun - OVERLAP, look.left | (push.left_out.keys() if push else set())
        self._tell(project, push, told, look)
        known.people_worked = True
        self._order(shown, known)
        if plant(self._loop, self._client, self._settings, project.task, told, known.open_tasks):
            self.look()

    def _push(self, project: Project, label_config: str, known: "_Known") -> Push | None:
        """What serves, for a project; None where nothing does, or the project is none for it."""
        version = self._predictor.version(project.task)
        if version == NONE_SERVES:
            return None
        try:
            shown = self._predictor.view(project.task, label_config)
        except PrelabelError as error:
            log.warning("Label Studio's project %d gets no predictions: %s", project.project, error)
            known.refused = version
            return None
        known.refused = ""

        def predict(tasks: list[StudioTask]) -> list[dict[str, Any]]:
            if self._stopped.is_set() or self._predictor.version(project.task) != version:
                raise Unavailable(f"{version} does not serve any more")
            self._take()
            return [self._predictor.result(project.task, one, shown, ACTOR) for one in tasks]

        assert self._client is not None
        return Push(self._client, project.project, shown.control, version, predict)

    def _pages(
        self, project: int, since: datetime | None, left: Set[int], seen: set[int]
    ) -> Iterator[list[StudioTask]]:
        """Tasks that changed since, and those that are left from the time before: each once, and is ``seen`` then."""
        assert self._client is not None
        for page in chain(self._client.tasks(project, since), self._again(project, left, seen)):
            if self._stopped.is_set():
                raise Unavailable("the service ends")
            self._take()
            fresh = [one for one in page if int(one["id"]) not in seen]
            seen |= {int(one["id"]) for one in fresh}
            if fresh:
                yield fresh

    def _again(self, project: int, left: Set[int], seen: Set[int]) -> Iterator[list[StudioTask]]:
        """Tasks that are left and not seen, when those that changed have been read."""
        assert self._client is not None
        missing = sorted(left - seen)
        for start in range(0, len(missing), PAGE):
            yield self._client.tasks_of(project, missing[start : start + PAGE])

    def _take(self) -> None:
        """Works on events in between: people do not wait for predictions."""
        if self._corrections.work(utc_now()):
            for known in self._known.values():
                known.people_worked = True

    def _tell(self, project: Project, push: Push | None, told: StudioTask, look: Look) -> None:
        """Lets the version's predictions order the queue, now that they are stored, and logs what was new."""
        assert self._client is not None
        if push is not None and push.version != told.get("model_version"):
            self._client.show_version(project.project, push.version)
        if push is not None and push.version != project.version:
            self._loop.store.studio.in_step(project, push.version)
            log.info("Label Studio's project %d shows %s on %d tasks", project.project, push.version, push.stored)
        if look.found.new or look.found.withdrawn or look.found.failed:
            log.info("Label Studio's project %d had more to tell: %s", project.project, look.found)
        if look.broken_off is not None:
            log.warning("Label Studio's project %d was not looked at to the end: %s", project.project, look.broken_off)

    def _order(self, project: Project, known: "_Known") -> None:
        """Moves places on where people have worked since, and where another policy decides by now."""
        assert self._ordering is not None
        if project.version is not None and (known.people_worked or self._ordering.is_old(project)):
            self._ordering.arrange(project)
        known.people_worked = False
