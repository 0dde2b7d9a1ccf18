"""The thread that keeps the queue full: it asks the serving version about registered items, and calibrates it."""

from collections.abc import Callable

from models.errors import PrelabelError
from models.records import Item, Prediction, Seconds, Task
from serving.annotator import Annotator
from serving.errors import Unavailable
from serving.live import Live
from serving.loop import Actor, Loop, StoredVersion
from serving.server_log import log
from serving.worker_thread import WorkerThread

ACTOR: Actor = "worker"
BATCH = 16  # items looked up at once
YIELD_S = 0.5  # the longest wait, before each item, for requests to be done


class Background(WorkerThread):
    """Works through what is pending, one item at a time, behind the requests that people wait for."""

    def __init__(self, loop: Loop, live: Live, annotator: Annotator, is_busy: Callable[[], bool]) -> None:
        super().__init__("background")
        self._loop = loop
        self._live = live
        self._annotator = annotator
        self._is_busy = is_busy

    def _work(self) -> bool:
        worked = self._annotate_all()
        for version in self._loop.due_for_calibration():
            self._calibrate(version)
        return worked

    def _annotate_all(self) -> bool:
        worked = [self._annotate(task) for task in self._live.tasks()]  # each task its turn
        return any(worked)

    def _annotate(self, task: Task) -> bool:
        """Answers a few pending items; says whether there were any."""
        serving = self._loop.versions.serving(task)
        if serving is None or serving.name != self._live.version(task):
            return False  # a promotion is on its way
        items = self._loop.pending(task, BATCH)
        for item in items:
            if self._stopped.is_set():
                break
            self._give_way()
            self._answer(task, item)
        return bool(items)

    def _answer(self, task: Task, item: Item) -> None:
        try:
            self._annotator.registered(task, item, ACTOR)
        except Unavailable:
            raise
        except PrelabelError as error:
            self._loop.fail(item.id, task, str(error), ACTOR)

    def _give_way(self) -> None:
        """Waits a moment while requests are at work, but does not wait for ever."""
        waited = 0.0
        while self._is_busy() and waited < YIELD_S and not self._stopped.wait(0.02):
            waited += 0.02

    def _calibrate(self, version: StoredVersion) -> None:
        def predict(item: Item) -> tuple[Prediction, Seconds | None]:
            self._give_way()
            data = self._annotator.bytes_of(item)
            name, prediction, duration_s = self._annotator.prediction(version.task, data, item.uri)
            if name != version.name:
                raise Unavailable(f"{version.name} does not answer at the moment")
            return prediction, duration_s

        trust = self._loop.recalibrate(version.name, ACTOR, predict)
        log.info("version %s is calibrated anew: %s", version.name, trust.told())
