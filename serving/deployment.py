"""One process of the service: what its routes, its page and its probes share."""

import os
from asyncio import get_running_loop
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

import httpx
from anyio import Semaphore
from starlette.requests import ClientDisconnect, Request

from models.errors import InvalidInput, NotFound, Refused
from models.records import Task
from models.tasks import load_runtime
from serving.admission import Admission
from serving.annotator import Annotator
from serving.background import Background
from serving.bodies import CorrectionBody
from serving.comparing import Comparing
from serving.cvat import client as cvat_client
from serving.cvat.corrections import Corrections as CvatCorrections
from serving.cvat.detector import Detector
from serving.cvat.worker import Worker as CvatWorker
from serving.errors import Unavailable
from serving.fetch import Fetcher, new_client
from serving.label_studio.client import Client, connect
from serving.label_studio.corrections import Corrections
from serving.label_studio.media import Media
from serving.label_studio.predictor import Predictor
from serving.label_studio.training import Training
from serving.label_studio.videos import Videos
from serving.label_studio.worker import Worker
from serving.live import Live, LoadRuntime
from serving.loop import Actor, Answer, Leased, Loop, Promotion, Receipt, utc_now
from serving.metrics import Metrics
from serving.policies import parse_policy
from serving.promotion import quality_of
from serving.settings import Settings
from serving.suspecting import Suspecting
from serving.webhooks.sender import Sender

P = ParamSpec("P")
T = TypeVar("T")


class Deployment:
    """The loop, the versions that answer, and the limits of one process; ``start`` and ``close`` once each."""

    def __init__(
        self,
        settings: Settings,
        loop: Loop,
        *,
        client: httpx.AsyncClient | None = None,
        load: LoadRuntime = load_runtime,
        studio: Client | None = None,
    ) -> None:
        self.cores = cores = len(os.sched_getaffinity(0))
        self.settings = settings
        self.loop = loop
        self.metrics = Metrics()
        self.live = Live(loop.versions, self.metrics, slots=cores, threads=settings.threads, load=load)
        self.annotator = Annotator(loop, self.live, settings.limits)
        self.admission = Admission(cores, settings.max_waiting)
        self.turns = Semaphore(cores, max_value=cores)  # requests that decode and predict at the same time
        self.threads = ThreadPoolExecutor(cores, "annotate")
        self.background = Background(loop, self.live, self.annotator, lambda: self.admission.inside > 0)
        self.suspecting = Suspecting(loop, lambda: self.admission.inside > 0, load)
        self.comparing = Comparing(loop)
        self.fetcher = Fetcher(
            settings.uri_roots,
            settings.uri_hosts,
            limit=settings.largest_body,
            timeout_s=settings.uri_timeout_s,
            client=client or new_client(),
        )
        self.studio = studio or connect(settings)
        media = Media(settings, self.studio)
        videos = Videos(loop, media, settings)
        self.predictor = Predictor(loop, self.live, self.annotator, media, videos, settings)
        self.corrections = Corrections(loop, media, videos, self.studio, settings)
        self.label_studio = Worker(loop, self.predictor, self.corrections, self.studio, settings)
        self.training = Training(settings)
        self.detector = Detector(loop, self.annotator, settings)
        self.cvat = CvatWorker(CvatCorrections(loop, cvat_client.connect(settings), settings))
        self.webhooks = Sender(loop.store.outbox, utc_now)
        self.metrics.watch("waiting", "Media that wait for a model.", lambda: self.admission.waiting)

    @classmethod
    def open(cls, settings: Settings) -> "Deployment":
        """The deployment that the settings describe."""
        return cls(settings, Loop.open(settings))

    def start(self) -> None:
        """Loads what serves, and begins to work in the background."""
        self.loop.policies.begin("settings", utc_now())
        self.live.start()
        self.background.start()
        self.label_studio.start()
        self.cvat.start()
        self.webhooks.start()

    def close(self) -> None:
        """Ends the threads and closes the store, after what is at hand."""
        self.threads.shutdown()
        self.suspecting.close()
        self.training.close()
        self.label_studio.close()
        self.cvat.close()
        self.webhooks.close()
        self.background.close()
        self.live.close()
        self.loop.store.close()

    async def work(self, request: Request, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls in a thread when it is this request's turn; nothing is done for a client that has left meanwhile."""
        async with self.turns:
            if await request.is_disconnected():
                raise ClientDisconnect
            return await get_running_loop().run_in_executor(self.threads, lambda: call(*args, **kwargs))

    def renewed(self, leased: Sequence[Leased], actor: Actor) -> list[tuple[Leased, Answer]]:
        """Leased items with their answers; what an older version said about them is asked of the serving one first."""
        return [(one, self.loop.as_if_open(one, self._fresh(one, actor))) for one in leased]

    def _fresh(self, leased: Leased, actor: Actor) -> Answer:
        try:
            if leased.answer.preannotation.model_version == self.live.version(leased.task):
                return leased.answer
            fresh = self.annotator.registered(leased.task, leased.item, actor)
            self.loop.store.queue.show(leased, fresh)
        except (InvalidInput, NotFound, Unavailable):  # its medium is changed or gone, or nothing answers
            return leased.answer
        return fresh

    def correct(self, item_id: str, body: CorrectionBody, actor: Actor) -> Receipt:
        """Adds a correction, of what was handed out unless it names another version.

        Raises:
            NotFound, Stale: as ``Loop.correct``.
            InvalidRecord: the label is none of the task's.
        """
        shown = self.loop.store.queue.shown(item_id, body.task, body.lease_id) if body.lease_id else None
        given = body.correction(item_id, body.created_at or utc_now(), body.model_version or shown)
        return self.loop.correct(given, body.lease_id, actor, timed=body.created_at is not None)

    def adopt(self, terms: Mapping[str, Any], task: Task | None, actor: Actor) -> None:
        """Puts a policy in force, for one task or for all.

        Raises:
            InvalidInput: a term is none of a policy's.
        """
        self.loop.adopt(parse_policy(terms, "policy", self.loop.policies.default), task, actor)
        self.background.wake()

    def promote(self, version: str, force: bool, actor: Actor) -> Promotion:
        """Switches to a version, here at once and in every other process within a second.

        Raises:
            NotFound, Stale: as ``Versions.promote``.
            Refused: it is worse than the serving one, or does not load.
        """
        promotion = self.loop.versions.promote(version, actor, force, quality_of)
        self._follow("promote", version)
        return promotion

    def rollback(self, task: Task, actor: Actor) -> Promotion:
        """Switches back to the version that served before, here at once and in every other process within a second.

        Raises:
            Refused: there is none, or it does not load.
            NotFound, InvalidInput: as ``Versions.rollback``.
        """
        promotion = self.loop.versions.rollback(task, actor)
        self._follow("rollback to", promotion.version)
        return promotion

    def _follow(self, switch: str, version: str) -> None:
        away = None
        try:
            self.live.refresh()
        except Unavailable as error:  # perhaps the version of another task
            away = error
        self.background.wake()
        stored = self.loop.versions.get(version)
        if stored.state == "failed":
            raise Refused(f"{switch} {version}: expected a version that loads, got {stored.failure}")
        if away and self.live.version(stored.task) != version:
            raise away


def deployment_of(request: Request) -> Deployment:
    """The deployment of this process."""
    deployment: Deployment = request.app.state.deployment
    return deployment


def actor_of(request: Request) -> Actor:
    """Who makes the request: what ``TokenAuth`` found out."""
    return str(request.state.actor)
