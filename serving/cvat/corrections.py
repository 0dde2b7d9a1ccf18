"""From jobs that people completed to corrections: what a job says of each of its frames, however often it is told.

The job is looked at as it is when the event is worked on, so events may come in any order and any number of times; a
correction that says what was said last is none. People's seconds are the working time that CVAT's own analytics keep
of the job's assignee, shared evenly among the corrections; where there are no analytics, no seconds are told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Event as Flag
from typing import Any

from models.errors import InvalidInput, PrelabelError
from models.records import Correction, Label, Seconds, Task, to_json
from serving.cvat.client import Client, assignee, require
from serving.cvat.detector import SETTING, pixels_of
from serving.cvat.shapes import KINDS, Drawn, drawn_on, label_of
from serving.errors import Unavailable
from serving.inbox import work_off
from serving.label_names import LANE, Names, categories_of, category_names, lane_names
from serving.loop import Loop, Registration
from serving.media_files import content_id
from serving.settings import Settings
from serving.store.inbox import Event

TOOL = "cvat"
COMPLETED = "completed"


@dataclass(frozen=True)
class Frame:
    """A frame of a job: its number, what its pixels are called, and what is drawn on it."""

    number: int
    pixels: str
    drawn: Sequence[Drawn]


class Corrections:
    """Takes completed jobs over. Safe to use from several processes: doing something twice changes nothing."""

    def __init__(self, loop: Loop, client: Client | None, settings: Settings) -> None:
        self._loop = loop
        self._client = client
        self._aliases = settings.cvat_labels
        self._limits = settings.limits
        self._largest = settings.largest_body
        self._closed = Flag()

    def work(self, now: datetime) -> int:
        """Works on the events that are due, and returns how many there were."""
        return work_off(self._loop.store.inbox, TOOL, self.heed, now)

    def heed(self, event: Event) -> None:
        """Takes over the job that an event is about.

        Raises:
            PrelabelError: it cannot be done, now or ever.
        """
        try:
            self.take(int(event.body["job"]["id"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, PrelabelError):
                raise
            raise InvalidInput(f"webhook: expected an event as CVAT sends it, got {error!r}") from error

    def take(self, number: int) -> int:
        """Makes corrections of a job, if it is completed; says how many are new.

        Raises:
            PrelabelError: CVAT does not answer, or a shape is none that tells what its label asks for.
        """
        client = require(self._client)
        job = client.job(number)
        if job["state"] != COMPLETED:
            return 0
        labels, meta = client.labels(job), client.meta(number)
        called = {one["id"]: one["name"] for one in labels}
        drawn = drawn_on(client.annotations(number), called, job["stop_frame"], set(meta["deleted_frames"]))
        frames = [self._frame(number, frame, drawn.get(frame, ())) for frame in _frames(job, meta)]
        new = [found for task in KINDS for found in self._said(task, job, labels, frames)]
        self._add(job, new)
        return len(new)

    def close(self) -> None:
        """Ends before the next frame; what is left of a job is taken over later."""
        self._closed.set()

    def _said(
        self, task: Task, job: Mapping[str, Any], labels: Sequence[Mapping[str, Any]], frames: Sequence[Frame]
    ) -> list[Correction]:
        """What a job says about a task, unless it was said before."""
        names = self._names(task, labels, frames)
        if names is None or not self._speaks_of(task, names, frames):
            return []
        found = (self._correction(task, job, frame, self._item_id(task, job, frame), names) for frame in frames)
        return [one for one in found if one is not None]

    def _frame(self, job: int, number: int, drawn: Sequence[Drawn]) -> Frame:
        return Frame(number, pixels_of(self._bytes(job, number), f"frame {number}", self._limits), drawn)

    def _bytes(self, job: int, frame: int) -> bytes:
        if self._closed.is_set():
            raise Unavailable("this service ends")
        return require(self._client).frame(job, frame, self._largest)

    def _names(self, task: Task, labels: Sequence[Mapping[str, Any]], frames: Sequence[Frame]) -> Names | None:
        """How the job's labels and the model's categories are called by each other; None if none is about the task.

        Raises:
            InvalidInput: some labels are the model's, and a rectangle has another that means none of its categories.
        """
        lines, anything = ([one["name"] for one in labels if one["type"] == kind] for kind in (KINDS[task], "any"))
        if task == "lane":
            lines += [name for name in anything if self._aliases.get(name, name) == LANE]
            known = len(lines) == 1 or any(self._aliases.get(name, name) == LANE for name in lines)
            return lane_names(lines, self._aliases, "labels", SETTING) if known else None
        categories = categories_of(self._loop, task)
        ours = [name for name in lines + anything if name in categories or name in self._aliases]
        used = [one.label for frame in frames for one in frame.drawn if one.kind == KINDS[task]]
        wanted = tuple(dict.fromkeys(ours + used))
        return category_names(wanted, categories, self._aliases, "labels", SETTING) if ours else None

    def _speaks_of(self, task: Task, names: Names, frames: Sequence[Frame]) -> bool:
        """Whether something of the task was drawn, or asked of prelabel; else an empty frame says nothing of it."""
        return any(
            any(one.kind == KINDS[task] and one.label in names.to_category for one in frame.drawn)
            or self._loop.store.cvat.shown(task, frame.pixels)
            for frame in frames
        )

    def _item_id(self, task: Task, job: Mapping[str, Any], frame: Frame) -> str:
        """The item of a frame; one that prelabel was not asked about is registered now. A frame of a video is of that
        group, which whoever asks prelabel about it cannot tell."""
        clip = f"cvat task {job['task_id']}" if job.get("mode") == "interpolation" else None
        shown = self._loop.store.cvat.shown(task, frame.pixels)
        if shown is not None:
            self._loop.tell_group(shown.item_id, clip, TOOL)
            return shown.item_id
        where = f"{require(self._client).url}/tasks/{job['task_id']}/jobs/{job['id']}?frame={frame.number}"
        data = self._bytes(job["id"], frame.number)
        self._loop.register([Registration(where, task, data, clip)], TOOL)
        return content_id(data)

    def _correction(
        self, task: Task, job: Mapping[str, Any], frame: Frame, item_id: str, names: Names
    ) -> Correction | None:
        """What a job says of a frame; None where the same person said the same last."""
        try:
            label = label_of(task, frame.drawn, names, self._loop.sizes.of(item_id))
        except InvalidInput as error:
            raise InvalidInput(f"job {job['id']}, frame {frame.number}: {error}") from error
        annotator = f"{TOOL}:{assignee(job) or 'unknown'}"
        if self._was_said(item_id, task, label, annotator):
            return None
        shown = self._loop.store.cvat.shown(task, frame.pixels)
        return Correction(
            item_id=item_id,
            task=task,
            label=label,
            annotator=annotator,
            seconds=0.0,
            tool=TOOL,
            created_at=datetime.fromisoformat(job["updated_date"]),
            model_version=shown.version if shown else None,
        )

    def _was_said(self, item_id: str, task: Task, label: Label, annotator: str) -> bool:
        given = [one for one in self._loop.history(item_id)["corrections"] if one["task"] == task]
        return bool(given) and (given[-1]["label"], given[-1]["annotator"]) == (to_json(label), annotator)

    def _add(self, job: Mapping[str, Any], corrections: Sequence[Correction]) -> None:
        """Adds corrections, with an even share each of the seconds that none carries yet."""
        if not corrections:
            return
        who, store = assignee(job) or "", self._loop.store.cvat
        counted = store.counted(job["id"], who)
        share = max(0.0, self._worked(job, who) - counted) / len(corrections)
        for number, one in enumerate(corrections, 1):
            self._loop.correct(replace(one, seconds=share), None, TOOL, of_gold=True)
            store.count(job["id"], who, counted + number * share)

    def _worked(self, job: Mapping[str, Any], who: str) -> Seconds:
        """The seconds that the assignee worked on a job, or that all did where it is nobody's; 0 if nobody knows."""
        worked = require(self._client).working_time(job) or {}
        return worked.get(who, 0.0) if who else sum(worked.values())


def _frames(job: Mapping[str, Any], meta: Mapping[str, Any]) -> list[int]:
    """The numbers of a job's frames that are there."""
    included, deleted = meta.get("included_frames"), set(meta["deleted_frames"])
    frames = range(job["start_frame"], job["stop_frame"] + 1)
    return [frame for frame in frames if frame not in deleted and (included is None or frame in included)]
