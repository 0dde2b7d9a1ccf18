"""From annotations to corrections: out of webhooks, in any order and any number of times, or by looking there.

An annotation is known by its id and the time of its last change; its seconds (``lead_time``) grow from change to
change, so that each correction carries what was added. A change is a correction of whoever made it, and none where it
says the same in no time, such as a star; nor is a mere copy of a prediction. What is deleted or cancelled there counts
no longer here.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from models.errors import NotFound, PrelabelError
from models.records import Correction, Label, Task, to_json
from serving.errors import Unavailable
from serving.inbox import work_off
from serving.label_names import categories_of
from serving.label_studio.client import Client, StudioTask, require
from serving.label_studio.config import View, view
from serving.label_studio.events import deleted, told
from serving.label_studio.media import Media, group_of, uri_of
from serving.label_studio.regions import drawn, label_of, regions_of, require_known
from serving.label_studio.sequences import boxes_at
from serving.label_studio.videos import Videos
from serving.loop import Loop, Registration
from serving.media_files import content_id
from serving.settings import Settings
from serving.store.inbox import Event
from serving.store.studio import Annotation, Studio

TOOL = "label-studio"


@dataclass(frozen=True)
class Reconciled:
    """What a look at a project brought: corrections new, known and withdrawn; failures."""

    new: int = 0
    known: int = 0
    withdrawn: int = 0
    failed: tuple[str, ...] = ()


class Corrections:
    """Takes annotations over. Safe to use from several processes: doing something twice changes nothing."""

    def __init__(self, loop: Loop, media: Media, videos: Videos, client: Client | None, settings: Settings) -> None:
        self._loop = loop
        self._studio = loop.store.studio
        self._media = media
        self._videos = videos
        self._client = client
        self._settings = settings

    def work(self, now: datetime) -> int:
        """Works on the events that are due, and returns how many there were."""
        return work_off(self._loop.store.inbox, TOOL, self.heed, now)

    def heed(self, event: Event) -> None:
        """Does what an event asks for.

        Raises:
            PrelabelError: it cannot be done, now or ever.
        """
        task, body = event.task, event.body
        assert task is not None, "every backend of Label Studio has its task"
        if body.get("action") == "ANNOTATIONS_DELETED":
            for number in deleted(body):
                self.forget(self._studio.annotation(task, number))
            return
        for one in told(body):
            self.take(task, one.annotation, one.task, one.project)

    def take(
        self, task: Task, given: Mapping[str, Any], studio_task: Mapping[str, Any], project: Mapping[str, Any]
    ) -> bool:
        """Makes a correction of an annotation, and says whether it is new.

        Raises:
            PrelabelError: its medium is not to be had, or its regions are not the project's.
        """
        changed_at = datetime.fromisoformat(given.get("updated_at") or given["created_at"])
        known = self._studio.annotation(task, int(given["id"]))
        is_old = known.changed_at is not None and changed_at < known.changed_at
        if known.gone or (is_old and not known.corrections):
            return False
        is_untouched, lead_s = given.get("lead_time") is None, float(given.get("lead_time") or 0)
        if known.changed_at == changed_at and (lead_s <= known.seconds if known.corrections else is_untouched):
            return False  # as was seen before; of a copy, what it was copied from may be gone by now
        known = replace(known, project=int(project["id"]), studio_task=int(studio_task["id"]),
                        changed_at=known.changed_at if is_old else changed_at)  # fmt: skip
        if given.get("was_cancelled"):
            return self._says_nothing(known, is_old)
        prediction = self._prediction(given)
        if is_untouched and given["result"] == prediction.get("result"):
            self._studio.keep(known)  # copied by "Create Annotations From Predictions": nobody has looked
            return False
        shown = self._view(task, project)
        if is_untouched and not prediction and self._was_drawn(task, given["result"], known, shown):
            self._studio.keep(known)  # such a copy, whose prediction was deleted
            return False
        if shown.control.is_hidden(given["result"]):
            return self._says_nothing(known, is_old)
        said = self._said(task, given, studio_task, shown)
        version = self._version(prediction)
        each_s = max(0.0, lead_s - known.seconds) / len(said)
        if each_s == 0 and self._was_said(known, said):
            self._studio.keep(known)
            return False
        who = f"{TOOL}:{_annotator(given, is_new=not known.corrections)}"
        made = [Correction(item_id, task, label, who, each_s, TOOL, changed_at, version) for item_id, label in said]
        receipts = [self._loop.correct(one, None, TOOL, of_gold=True) for one in made]
        gave = (*known.corrections, *(one.correction_id for one in receipts))
        self._studio.keep(replace(known, seconds=max(known.seconds, lead_s), corrections=tuple(dict.fromkeys(gave))))
        return not all(one.repeated for one in receipts)

    def _said(
        self, task: Task, given: Mapping[str, Any], studio_task: Mapping[str, Any], shown: View
    ) -> list[tuple[str, Label]]:
        """What an annotation says: of its one item or, where it is about a video, of each still."""
        require_known(given["result"], shown)
        if not shown.control.is_video:
            item_id = self._item_id(task, studio_task, shown)
            return [(item_id, label_of(given["result"], shown, lambda: self._loop.sizes.of(item_id)))]
        film = self._videos.film(task, self._whole(studio_task), shown, TOOL)
        size = self._loop.sizes.of(film.stills[0][1])
        return [(item_id, boxes_at(given["result"], shown, number, size)) for number, item_id in film.stills]

    def _was_drawn(self, task: Task, result: Sequence[Mapping[str, Any]], known: Annotation, shown: View) -> bool:
        """Whether regions are, to the last digit, what a version of ours drew on a task's picture or sound."""
        item_id = self._studio.item_of(task, known.studio_task or 0)
        if not result or item_id is None:
            return False
        versions = (one.name for one in self._loop.versions.all() if one.task == task)
        answers = (self._loop.answered(item_id, task, version) for version in versions)
        return any(drawn(regions_of(answer, shown)) == drawn(result) for answer in answers if answer is not None)

    def _was_said(self, known: Annotation, said: Sequence[tuple[str, Label]]) -> bool:
        """Whether an annotation said the same of each item before."""
        for item_id, label in said:
            given = [one for one in self._loop.history(item_id)["corrections"] if one["id"] in known.corrections]
            if not given or given[-1]["label"] != to_json(label):
                return False
        return True

    def forget(self, known: Annotation) -> bool:
        """Takes back what a deleted annotation gave, also before it is known; says whether there was something."""
        self._take_back(replace(known, gone=True))
        return bool(known.corrections)

    def _says_nothing(self, known: Annotation, is_old: bool) -> bool:
        """Takes back what an annotation gave that says nothing by now, unless that is old news; nothing is new."""
        if not is_old:
            self._take_back(known)
        return False

    def _take_back(self, known: Annotation) -> None:
        for correction_id in known.corrections:
            self._loop.withdraw(correction_id, TOOL)
        self._studio.keep(replace(known, corrections=()))

    def look(self, task: Task, project: Mapping[str, Any]) -> "Look":
        """The beginning of a look at some annotations of a project."""
        return Look(self, self._studio, task, project)

    def _view(self, task: Task, project: Mapping[str, Any]) -> View:
        label_config = project.get("label_config") or require(self._client).project(int(project["id"]))["label_config"]
        return view(label_config, task, categories_of(self._loop, task), self._settings.label_studio_labels)

    def _item_id(self, task: Task, studio_task: Mapping[str, Any], shown: View) -> str:
        """The item that a task is about; one that no model was asked about is registered now."""
        number = int(studio_task["id"])
        known = self._studio.item_of(task, number, uri_of(studio_task, shown) if studio_task.get("data") else None)
        if known is not None:
            return known
        whole = self._whole(studio_task)
        uri = uri_of(whole, shown)
        medium = self._media.fetch(uri)
        group = group_of(whole, self._settings.label_studio_group)
        data = medium.path or medium.data
        self._loop.register([Registration(medium.uri, task, data, group)], TOOL)
        item_id = content_id(data)
        self._studio.remember(task, number, uri, item_id)
        return item_id

    def _whole(self, studio_task: Mapping[str, Any]) -> Mapping[str, Any]:
        """A task with its data, which not every event brings."""
        return studio_task if studio_task.get("data") else require(self._client).task(int(studio_task["id"]))

    def _prediction(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """The prediction that an annotation began as; empty if there was none, or it is gone."""
        prediction: Mapping[str, Any] = given.get("prediction") or {}
        parent = given.get("parent_prediction")
        if prediction or parent is None or self._client is None:
            return prediction
        try:
            return self._client.prediction(int(parent))
        except NotFound:
            return {}

    def _version(self, prediction: Mapping[str, Any]) -> str | None:
        """The version of ours that made a prediction, if one did."""
        try:
            return self._loop.versions.get(str(prediction.get("model_version") or "")).name
        except NotFound:
            return None


class Look:
    """One look at annotations of a project, page by page; ``broken_off`` says why those of some tasks, ``left``, could
    not be taken over now."""

    def __init__(self, corrections: Corrections, studio: Studio, task: Task, project: Mapping[str, Any]) -> None:
        self._corrections = corrections
        self._task = task
        self._project = project
        self._known = defaultdict[int, list[Annotation]](list)
        for one in studio.annotations(task, int(project["id"])):
            self._known[one.studio_task or 0].append(one)
        self.found = Reconciled()
        self.broken_off: Unavailable | None = None
        self.left = set[int]()

    def see(self, page: Sequence[StudioTask]) -> None:
        """Takes over what is new in some tasks, and takes back what was deleted of them."""
        for studio_task in page:
            there = set[int]()
            for given in studio_task["annotations"]:
                there.add(int(given["id"]))
                if self.broken_off is None:
                    self._take(given, studio_task)
                if self.broken_off is not None:
                    self.left.add(int(studio_task["id"]))
            deleted = [one for one in self._known[int(studio_task["id"])] if one.annotation not in there]
            withdrawn = sum(map(self._corrections.forget, deleted))
            self.found = replace(self.found, withdrawn=self.found.withdrawn + withdrawn)

    def end(self) -> Reconciled:
        """What came of it.

        Raises:
            Unavailable: not everything could be taken over now.
        """
        if self.broken_off is not None:
            raise self.broken_off
        return self.found

    def _take(self, given: Mapping[str, Any], studio_task: StudioTask) -> None:
        found = self.found
        try:
            is_new = self._corrections.take(self._task, given, studio_task, self._project)
            self.found = replace(found, new=found.new + is_new, known=found.known + (not is_new))
        except Unavailable as error:
            self.broken_off = error
        except PrelabelError as error:
            self.found = replace(found, failed=(*found.failed, f"annotation {given['id']}: {error}"))


def _annotator(given: Mapping[str, Any], is_new: bool) -> str:
    """Who made an annotation that is new here, else who changed it."""
    who = (None if is_new else given.get("updated_by")) or given.get("completed_by")
    return str(who.get("id") if isinstance(who, Mapping) else who or "unknown")
