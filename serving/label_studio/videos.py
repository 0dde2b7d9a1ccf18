"""Videos of Label Studio as items: each still that a person sees there is one, and the video is their group."""

from collections.abc import Mapping
from typing import Any

from models.records import Seconds, Task
from models.video import Video, read_video
from serving.fetch import Fetched
from serving.label_studio.config import View
from serving.label_studio.media import Media, group_of, uri_of
from serving.loop import Actor, Loop, Registration
from serving.media_files import content_id
from serving.settings import Settings
from serving.store.studio import Film

APART_S: Seconds = 0.2  # between two stills; Label Studio moves rectangles evenly between them
MOST = 300  # stills of one video


class Videos:
    """Takes stills out of videos, once. Safe to call from several threads."""

    def __init__(self, loop: Loop, media: Media, settings: Settings) -> None:
        self._loop = loop
        self._media = media
        self._limits = settings.limits
        self._group_key = settings.label_studio_group

    def film(self, task: Task, studio_task: Mapping[str, Any], shown: View, actor: Actor) -> Film:
        """The stills of a task's video; those of one that nobody asked about are registered now.

        Raises:
            PrelabelError: the video is not to be had, or none.
        """
        number, uri = int(studio_task["id"]), uri_of(studio_task, shown)
        rate = shown.control.frames_per_s(studio_task.get("data") or {})
        known = self._loop.store.studio.film(task, number, uri, rate)
        if known is not None:
            return known
        medium = self._media.fetch(uri)
        video = read_video(medium.data, uri, rate, APART_S, MOST, self._limits)
        self._register(task, medium, video, group_of(studio_task, self._group_key) or medium.uri, actor)
        stills = tuple((still.number, content_id(still.jpeg)) for still in video.stills)
        film = Film(uri, rate, video.frames, video.duration_s, stills)
        self._loop.store.studio.keep_film(task, number, film)
        return film

    def _register(self, task: Task, medium: Fetched, video: Video, group: str, actor: Actor) -> None:
        named = (Registration(f"{medium.uri}#frame={one.number}", task, one.jpeg, group) for one in video.stills)
        self._loop.register(named, actor)
