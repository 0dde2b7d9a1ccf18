"""A task of Label Studio in, one answer out, whatever happens: of fewer than one a task it stores none at all.

Where it would be otherwise at another time, the answer is without a result, and Label Studio stores no prediction of
that task; an empty one it would keep. So only a medium that is none for the model gets an empty one.

Its score puts the task behind those that come next; ``ordering.py`` gives these their places.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from models.errors import NotAllowed, PrelabelError
from models.records import Task
from models.video import library
from serving.annotator import Annotator
from serving.errors import Overloaded, Unavailable
from serving.http_errors import for_callers
from serving.label_names import categories_of
from serving.label_studio.config import View, view
from serving.label_studio.media import Media, group_of, uri_of
from serving.label_studio.ordering import behind_head
from serving.label_studio.regions import Region, regions_of
from serving.label_studio.sequences import regions_of_video
from serving.label_studio.videos import Videos
from serving.live import Live
from serving.loop import Actor, Answer, Loop
from serving.server_log import log
from serving.settings import Settings

NONE_SERVES = "none"  # as a version's name


class Predictor:
    """Answers tasks with the version that serves. Safe to call from several threads."""

    def __init__(
        self, loop: Loop, live: Live, annotator: Annotator, media: Media, videos: Videos, settings: Settings
    ) -> None:
        self._loop = loop
        self._live = live
        self._annotator = annotator
        self._media = media
        self._videos = videos
        self._settings = settings

    def version(self, task: Task) -> str:
        """The name of the version that answers, or ``NONE_SERVES``."""
        try:
            return self._live.version(task)
        except Unavailable:
            return NONE_SERVES

    def view(self, task: Task, label_config: str) -> View:
        """A project as the serving version sees it.

        Raises:
            InvalidInput: its configuration is none for the task or the version.
            NotFound: it is about videos, and what reads them is not installed.
            Unavailable: no version serves.
        """
        self._live.version(task)
        shown = view(label_config, task, categories_of(self._loop, task), self._settings.label_studio_labels)
        if shown.control.is_video:
            library()
        return shown

    def result(
        self,
        task: Task,
        studio_task: Mapping[str, Any],
        shown: View | PrelabelError,
        actor: Actor,
        drawn: Sequence[Mapping[str, Any]] = (),
    ) -> dict[str, Any]:
        """The prediction for one task; an empty one where its medium is none, with the reason as ``error``, and that
        reason alone where something else is in the way.

        ``drawn`` are regions that a person draws at the moment: then only what they touch is wanted.
        """
        try:
            if isinstance(shown, PrelabelError):
                raise shown
            if shown.control.is_video:
                return self._of_video(task, studio_task, shown, actor)
            answer = self.answer(task, studio_task, shown, actor)
            regions = regions_of(answer, shown)
            wanted = [region for region in regions if touches(region, drawn)] if drawn else regions
            return {"model_version": answer.preannotation.model_version, "score": self._place(answer), "result": wanted}
        except PrelabelError as error:
            log.warning("Label Studio's task %s gets no prediction: %s", studio_task.get("id"), error)
            lasts = shown is not error and not isinstance(error, Unavailable | Overloaded | NotAllowed)
            why = for_callers(error)
        except Exception as error:  # the other tasks of the request must not suffer for it
            log.exception("Label Studio's task %s gets no prediction", studio_task.get("id"))
            lasts, why = False, f"internal error: {error!r}"
        said = {"model_version": self.version(task), "score": 0.0, "error": why}
        return said | {"result": []} if lasts or drawn else said

    def answer(self, task: Task, studio_task: Mapping[str, Any], shown: View, actor: Actor) -> Answer:
        """What the serving version says about a task's medium, which becomes an item.

        Raises:
            PrelabelError: the medium is not to be had, or none.
        """
        uri = uri_of(studio_task, shown)
        known = self._loop.store.studio.item_of(task, int(studio_task["id"]), uri)
        if known is not None:
            return self._known(task, known, self._live.version(task), actor)
        group = group_of(studio_task, self._settings.label_studio_group)
        answer = self._annotator.fetched(task, self._media.fetch(uri), actor, group)
        self._loop.store.studio.remember(task, int(studio_task["id"]), uri, answer.preannotation.item_id)
        return self._loop.for_tools(answer)

    def _of_video(self, task: Task, studio_task: Mapping[str, Any], shown: View, actor: Actor) -> dict[str, Any]:
        """The prediction for a video, which stands where the first of its stills would."""
        version = self._live.version(task)
        film = self._videos.film(task, studio_task, shown, actor)
        answers = {number: self._known(task, item_id, version, actor) for number, item_id in film.stills}
        place = min(map(self._place, answers.values()))
        return {"model_version": version, "score": place, "result": regions_of_video(film, answers, shown)}

    def _known(self, task: Task, item_id: str, version: str, actor: Actor) -> Answer:
        """What a version says about an item of the store."""
        said = self._loop.answered(item_id, task, version)
        return self._loop.for_tools(said or self._annotator.registered(task, self._loop.item(item_id), actor))

    def _place(self, answer: Answer) -> float:
        return behind_head(answer, self._loop, self._settings)


def touches(region: Region, drawn: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a region meets one of those that are drawn, in place or time; one without either always does."""
    here = _extents(region)
    return not here or any(
        all(low <= most and least <= high for (low, high), (least, most) in zip(here, there, strict=True))
        for there in map(_extents, drawn)
        if len(there) == len(here)
    )


def _extents(region: Mapping[str, Any]) -> tuple[tuple[float, float], ...]:
    """From where to where a region reaches: along x and y in percent, or in seconds."""
    value = region.get("value") or {}
    if "start" in value:
        return ((float(value["start"]), float(value["end"])),)
    points = value.get("vertices") or ([value] if "x" in value else [])
    if not points:
        return ()
    sizes = (float(value["width"]), float(value["height"])) if "height" in value else (0.0, 0.0)
    xs, ys = ([float(point[axis]) for point in points] for axis in "xy")
    return (min(xs), max(xs) + sizes[0]), (min(ys), max(ys) + sizes[1])
