"""A task of Label Studio in, one prediction out, whatever happens: fewer than one a task, and it stores none at all."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from models.errors import InvalidInput, PrelabelError
from models.records import Task
from selection.routing import DRAWN, draw
from serving.annotator import Annotator
from serving.fetch import Fetched, Fetcher, new_client
from serving.http_errors import Unavailable
from serving.label_names import categories_of
from serving.label_studio.client import Client
from serving.label_studio.config import View, view
from serving.label_studio.regions import Region, regions_of
from serving.live import Live
from serving.loop import Actor, Answer, Loop
from serving.settings import Settings

log = logging.getLogger("bentoml.prelabel")

ACCEPTED = 0.9  # the places of accepted items begin here; Label Studio shows a score as percent, so none is above 1
NONE_SERVES = "none"  # as a version's name


class Media:
    """Reads what tasks name: what Label Studio holds with its token, everything else as the settings allow."""

    def __init__(self, settings: Settings, client: Client | None) -> None:
        self._settings = settings
        self._client = client
        self._limit = int(settings.max_body_mb * 1_000_000)

    def fetch(self, uri: str) -> Fetched:
        """The medium of that name; blocks.

        Raises:
            InvalidInput, NotAllowed, NotFound, TooLarge, Unavailable: as ``Fetcher.fetch``.
        """
        path = self._path_there(uri)
        if path is None:
            return asyncio.run(self._fetch(uri))
        if self._client is None:
            raise InvalidInput(f"{uri}: expected PRELABEL_LABEL_STUDIO_URL and _TOKEN to fetch it with, got none")
        return Fetched(f"{self._client.url}{path}", self._client.download(path, self._limit))

    def _path_there(self, uri: str) -> str | None:
        """The path below Label Studio's address, if it is there."""
        if uri.startswith("/data/"):
            return uri
        base = f"{self._client.url}/" if self._client else None
        return uri[len(base) - 1 :] if base and uri.startswith(base) else None

    async def _fetch(self, uri: str) -> Fetched:
        async with new_client() as client:
            given = self._settings
            fetcher = Fetcher(given.uri_roots, given.uri_hosts, limit=self._limit, timeout_s=given.uri_timeout_s,
                              client=client)  # fmt: skip
            return await fetcher.fetch(uri)


class Predictor:
    """Answers tasks with the version that serves. Safe to call from several threads."""

    def __init__(self, loop: Loop, live: Live, annotator: Annotator, media: Media, settings: Settings) -> None:
        self._loop = loop
        self._live = live
        self._annotator = annotator
        self._media = media
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
            Unavailable: no version serves.
        """
        self._live.version(task)
        return view(label_config, task, categories_of(self._loop, task), self._settings.label_studio_labels)

    def result(
        self,
        task: Task,
        studio_task: Mapping[str, Any],
        shown: View | PrelabelError,
        actor: Actor,
        drawn: Sequence[Mapping[str, Any]] = (),
    ) -> dict[str, Any]:
        """The prediction for one task; an empty one, with the reason as ``error``, where there is none.

        ``drawn`` are regions that a person draws at the moment: then only what they touch is wanted.
        """
        try:
            if isinstance(shown, PrelabelError):
                raise shown
            answer = self.answer(task, studio_task, shown, actor)
            regions = regions_of(answer, shown)
            wanted = [region for region in regions if touches(region, drawn)] if drawn else regions
            return {"model_version": answer.preannotation.model_version, "score": self.place(answer), "result": wanted}
        except PrelabelError as error:
            log.warning("Label Studio's task %s gets no prediction: %s", studio_task.get("id"), error)
            why = str(error)
        except Exception as error:  # the other tasks of the request must not suffer for it
            log.exception("Label Studio's task %s gets no prediction", studio_task.get("id"))
            why = f"internal error: {error!r}"
        return {"model_version": self.version(task), "score": 0.0, "result": [], "error": why}

    def answer(self, task: Task, studio_task: Mapping[str, Any], shown: View, actor: Actor) -> Answer:
        """What the serving version says about a task's medium, which becomes an item.

        Raises:
            PrelabelError: the medium is not to be had, or none.
        """
        uri = uri_of(studio_task, shown)
        known = self._loop.store.studio.item_of(task, int(studio_task["id"]), uri)
        if known is not None:
            said = self._loop.answered(known, task, self._live.version(task))
            return said or self._annotator.registered(task, self._loop.item(known), actor)
        answer = self._annotator.fetched(task, self._media.fetch(uri), actor)
        self._loop.store.studio.remember(task, int(studio_task["id"]), uri, answer.preannotation.item_id)
        return answer

    def place(self, answer: Answer) -> float:
        """Where a task stands in Label Studio's queue, which serves the lowest score first.

        Doubtful items come first and accepted ones last. An item that is checked at random has its place by a draw of
        its own, for whom people look at to keep the promise honest must not depend on any score.
        """
        said = answer.preannotation
        by_chance = draw(said.item_id, self._settings.seed, "label-studio")
        doubt = said.uncertainty.score
        leading = self._loop.policies.of(said.task).leading
        if leading == "per-second":
            doubt = said.uncertainty.p_error / max(said.uncertainty.seconds, 1.0)
        sure = 1 - doubt
        if answer.decision.decision in DRAWN or leading == "random":
            sure = by_chance
        if answer.decision.decision == "accept":
            return round(ACCEPTED + (1 - ACCEPTED) * (1 - doubt), 6)
        return round(ACCEPTED * sure, 6)


def uri_of(studio_task: Mapping[str, Any], shown: View) -> str:
    """How a task names its medium.

    Raises:
        InvalidInput: it names none.
    """
    uri = (studio_task.get("data") or {}).get(shown.control.key)
    if not isinstance(uri, str) or not uri:
        raise InvalidInput(
            f"task {studio_task.get('id')}: expected a medium in data[{shown.control.key!r}], got {uri!r}"
        )
    return uri


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
