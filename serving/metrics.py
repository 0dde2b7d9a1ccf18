"""What the service tells Prometheus; requests are labelled by route template, never by the path that was asked for."""

import os
from collections.abc import Callable
from time import perf_counter

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    values,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.records import Task
from serving.http_errors import Page, unexplained

UNKNOWN = "unknown"  # the route of every request that no route takes
GONE = 499  # the client left before its answer
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)

# BentoML asks for figures in mapped files, for several workers; a full disk kills a process that writes to such a file.
os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
values.ValueClass = values.MutexValue
disable_created_metrics()  # type: ignore[no-untyped-call]  # a second figure for each, of use to nobody here


class Metrics:
    """The figures of one process."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        kept = self._registry
        self._requests = Counter(
            "prelabel_requests", "Answered requests.", ("method", "route", "status"), registry=kept
        )
        self._seconds = Histogram(
            "prelabel_request_seconds",
            "Seconds until a request was answered.",
            ("route",),
            buckets=_SECONDS,
            registry=kept,
        )
        self._predictions = Counter(
            "prelabel_predictions", "Media that a model looked at.", ("task", "version"), registry=kept
        )
        self._inference = Histogram(
            "prelabel_inference_seconds",
            "Seconds a model took for a medium.",
            ("task",),
            buckets=_SECONDS,
            registry=kept,
        )
        self._serving = Gauge("prelabel_serving", "1 for the version that answers.", ("task", "version"), registry=kept)

    def watch(self, name: str, told: str, value: Callable[[], float]) -> None:
        """Adds a figure that is looked up whenever it is asked for."""
        Gauge(f"prelabel_{name}", told, registry=self._registry).set_function(value)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts an answered request."""
        self._requests.labels(method if method in _METHODS else UNKNOWN, route, status).inc()
        self._seconds.labels(route).observe(seconds)

    def predicted(self, task: Task, version: str, seconds: float) -> None:
        """Counts a medium that a version looked at."""
        self._predictions.labels(task, version).inc()
        self._inference.labels(task).observe(seconds)

    def serves(self, task: Task, version: str, previous: str | None) -> None:
        """Says which version answers from now on."""
        if previous is not None:
            self._serving.remove(task, previous)
        self._serving.labels(task, version).set(1)

    def text(self) -> bytes:
        """Everything, in Prometheus' own format."""
        return generate_latest(self._registry)


class Measured:
    """The outermost ASGI middleware: counts every answer, and turns what nobody caught into a 500."""

    def __init__(self, app: ASGIApp, metrics: Callable[[], Metrics], page: Page) -> None:
        self._app = app
        self._page = page
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = perf_counter(), 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except ClientDisconnect:
            status = GONE
        except Exception as error:  # noqa: BLE001 - the last place before the server, which would show a traceback
            answer = unexplained(Request(scope), error, f"{scope['method']} {route_of(scope)}", self._page)
            if status == 0:
                await answer(scope, receive, noting)
        self._metrics().answered(scope["method"], route_of(scope), status, perf_counter() - begun)


def route_of(scope: Scope) -> str:
    """The template of the route that took the request."""
    return getattr(scope.get("route"), "path", None) or UNKNOWN
