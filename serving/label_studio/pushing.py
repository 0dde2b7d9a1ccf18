"""A version's predictions are stored for the tasks that have none of it, page by page, and counted.

A prediction that annotations began as is never changed: what they are is known by it. Nor is any deleted, for Label
Studio refuses what people save who began with one that is gone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from models.errors import NotFound, Refused
from serving.label_studio.client import Client, StudioTask
from serving.label_studio.config import Control
from serving.label_studio.regions import is_of

Predict: TypeAlias = Callable[[list[StudioTask]], list[dict[str, Any]]]  # tasks -> as many answers

AT_ONCE = 10  # tasks a request to a service, which answers within its time on slow machines too
LAST = 1.0  # the greatest score


@dataclass
class Push:
    """Predictions of a version for a project's tasks. ``stored`` counts tasks that have one, ``unread`` says why others
    have an empty one, and ``left_out`` of the numbers of others why they have none yet."""

    client: Client
    project: int
    control: Control
    version: str
    predict: Predict
    progress: Callable[[int], None] = lambda _: None  # tasks that are done
    stored: int = 0
    unread: tuple[str, ...] = ()
    left_out: dict[int, str] = field(default_factory=dict)

    def page(self, page: list[StudioTask]) -> list[StudioTask]:
        """Stores what is missing of some tasks, and returns these as they are then. A prediction that was drawn with a
        control or a label that the project has no more counts as missing.

        Raises:
            Refused: Label Studio stored fewer than it was given.
            Unavailable: it does not answer.
        """
        missing = [one for one in page if not self._shows(one)]
        self.stored += len(page) - len(missing)
        self.progress(self.stored)
        if not missing:
            return page
        told, fresh = 0, list[dict[str, Any]]()
        at_once = 1 if self.control.is_video else AT_ONCE  # a video takes as long as many pictures
        for start in range(0, len(missing), at_once):
            some = missing[start : start + at_once]
            for one, answer in zip(some, self.predict(some), strict=True):
                told += self._tell(one, answer, fresh)
            self.progress(self.stored + told)
        if fresh:  # at once, because Label Studio goes through all tasks of a project each time
            self.client.add_predictions(self.project, fresh)
        if not told:
            return page
        page = self.client.tasks_of(self.project, [int(one["id"]) for one in page])
        numbers = {one["id"] for one in missing}
        stored = sum(one["id"] in numbers and self._shows(one) for one in page)
        if stored < told - (len(missing) - sum(one["id"] in numbers for one in page)):  # but for what is gone since
            raise Refused(f"project {self.project}: expected {told} predictions of {self.version} to be stored, "
                          f"got {stored}")  # fmt: skip
        self.stored += stored
        return page

    def _tell(self, studio_task: StudioTask, answer: dict[str, Any], fresh: list[dict[str, Any]]) -> bool:
        """Whether there is a prediction for a task: then it stands in place of a worn one, or among the fresh ones."""
        if "result" not in answer:
            self.left_out[int(studio_task["id"])] = answer["error"]
            return False
        if "error" in answer:
            self.unread += (f"task {studio_task['id']}: {answer['error']}",)
        if not self._redrawn(studio_task, answer):
            told = {name: answer[name] for name in ("model_version", "score", "result")}
            fresh.append({"task": studio_task["id"], **told})
        return True

    def _redrawn(self, studio_task: StudioTask, answer: dict[str, Any]) -> bool:
        """Whether a worn prediction of the version became the answer; those that annotations began as stay, as the
        last ones in the order."""
        parents = {one.get("parent_prediction") for one in studio_task["annotations"]}
        worn = [one for one in studio_task["predictions"] if one.get("model_version") == self.version]
        free = [one for one in worn if one["id"] not in parents]
        try:
            for one in worn:
                if one["id"] in parents and one["score"] != LAST:
                    self.client.change_prediction(int(one["id"]), score=LAST)
            for one in free[-1:]:
                self.client.change_prediction(int(one["id"]), score=answer["score"], result=answer["result"])
        except NotFound:  # deleted there since it was read
            return False
        return bool(free)

    def _shows(self, studio_task: StudioTask) -> bool:
        said = [one for one in studio_task["predictions"] if one.get("model_version") == self.version]
        return any(is_of(one.get("result") or [], self.control) for one in said)
