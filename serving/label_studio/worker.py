"""The thread that does what Label Studio need not wait for: corrections, projects that follow promotions, the order of
their queues."""

import threading
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from models.errors import PrelabelError
from models.records import Task
from serving.http_errors import Unavailable
from serving.label_studio.client import Client
from serving.label_studio.corrections import Corrections
from serving.label_studio.ordering import Ordering
from serving.label_studio.planting import plant
from serving.label_studio.predictor import NONE_SERVES, Predictor
from serving.label_studio.projects import push
from serving.loop import Actor, Loop, utc_now
from serving.server_log import log
from serving.settings import Settings
from serving.store.studio import Project
from serving.worker_thread import WorkerThread

ACTOR: Actor = "label-studio"
LOOK_AGAIN = timedelta(minutes=10)  # for what no webhook told
AFTER_FAILURE = timedelta(seconds=30)


@dataclass
class _Todo:
    """What there is to do for a project, and not before when: whether it may have tasks without a prediction, and
    whether people have worked since its queue was put in order."""

    not_before: datetime
    new_tasks: bool = False
    people_worked: bool = False


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
        self._todo: defaultdict[tuple[Task, int], _Todo] = defaultdict(lambda: _Todo(utc_now()))  # of each project
        self._new_tasks = threading.Event()
        self._looks_at = utc_now()

    def new_tasks(self) -> None:
        """Says that a project has tasks which may have no prediction yet."""
        self._new_tasks.set()
        self.wake()

    def _work(self) -> bool:
        worked = self._corrections.work(utc_now())
        if self._client is not None:
            self._follow(bool(worked))
        if self._client is not None and utc_now() >= self._looks_at:
            self._looks_at = utc_now() + LOOK_AGAIN
            self._look()
            self._new_tasks.set()
        return bool(worked)

    def _follow(self, people_worked: bool) -> None:
        """Each project shows what serves now, and its queue keeps its order, for which a pause of people's work is
        early enough. One that cannot be worked on keeps nothing from the others."""
        is_told = self._new_tasks.is_set()
        self._new_tasks.clear()
        for project in self._loop.store.studio.projects():
            todo = self._todo[project.task, project.project]
            todo.new_tasks |= is_told
            todo.people_worked |= people_worked
            if utc_now() < todo.not_before:
                continue
            try:
                shown = self._shown(project, todo)
                if not people_worked:
                    self._order(shown, todo)
            except PrelabelError as error:
                log.warning("Label Studio's project %d does not follow: %s", project.project, error)
                todo.not_before = utc_now() + AFTER_FAILURE

    def _shown(self, project: Project, todo: "_Todo") -> Project:
        """A project that shows what serves, on tasks that are new as well."""
        version = self._predictor.version(project.task)
        if version == NONE_SERVES or (version == project.version and not todo.new_tasks):
            return project
        self._show(project, version)
        todo.new_tasks = False
        return replace(project, version=version)

    def _show(self, project: Project, version: str) -> None:
        """Stores the version's predictions first, and then lets them order the queue."""
        assert self._client is not None
        assert self._ordering is not None
        label_config = self._client.project(project.project)["label_config"]
        shown = self._predictor.view(project.task, label_config)

        def predict(tasks: list[dict[str, object]]) -> list[dict[str, object]]:
            if self._stopped.is_set() or self._predictor.version(project.task) != version:
                raise Unavailable(f"{version} does not serve any more")
            self._corrections.work(utc_now())  # people do not wait for predictions
            return [self._predictor.result(project.task, one, shown, ACTOR) for one in tasks]

        attached = push(self._client, project.project, shown.control, version, predict)
        self._client.show_version(project.project, version)
        self._loop.store.studio.in_step(project, version)
        self._ordering.look(replace(project, version=version))
        log.info("Label Studio's project %d shows %s on %d tasks", project.project, version, attached.stored)

    def _order(self, project: Project, todo: "_Todo") -> None:
        """Moves places on where people have worked since, and where another policy decides by now."""
        assert self._ordering is not None
        if project.version is not None and not self._ordering.knows(project):
            self._ordering.look(project)
        elif project.version is not None and (todo.people_worked or self._ordering.is_old(project)):
            self._ordering.arrange(project)
        todo.people_worked = False

    def _look(self) -> None:
        for project in self._loop.store.studio.projects():
            try:
                found = self._corrections.reconcile(project.task, project.project)
                if found.new or found.withdrawn or found.failed:
                    log.info("Label Studio's project %d had more to tell: %s", project.project, found)
                if self._client is not None:
                    plant(self._loop, self._client, self._settings, project.task, project.project)
            except PrelabelError as error:
                log.warning("Label Studio's project %d was not looked at: %s", project.project, error)
