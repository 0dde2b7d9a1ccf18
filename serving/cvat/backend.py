"""The routes that CVAT's functions ask, in the words of its serverless contract, and the one for its webhook."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import yaml
from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from models.errors import InvalidInput
from models.tasks import parse_task
from serving.bodies import Body, parse
from serving.cvat import tracker
from serving.cvat.corrections import COMPLETED, TOOL
from serving.cvat.nuclio import description
from serving.cvat.shapes import kind_of
from serving.deployment import actor_of, deployment_of
from serving.description import PUBLIC, documented, one_json
from serving.errors import Unauthenticated
from serving.following import Corners, State
from serving.loop import utc_now

JOB_CHANGED = "update:job"
TRACKER = "/detection/tracker"
FUNCTION_FILE = Path(__file__).parent.with_name("cvat_function.py")

routes = APIRouter(prefix="/cvat", tags=["CVAT"])


class FrameBody(Body, extra="ignore"):
    """A frame of CVAT."""

    image: str = Field(description="a JPEG, PNG or WebP image, in base64")

    def frame(self) -> bytes:
        """The bytes of the image.

        Raises:
            InvalidInput: it is no base64.
        """
        try:
            return base64.b64decode(self.image, validate=True)
        except ValueError as error:
            raise InvalidInput(f"image: expected base64, got {error}") from error


class DetectBody(FrameBody):
    """A frame to find shapes on."""

    threshold: float | None = Field(None, ge=0, le=1, description="the least confidence that is wanted")
    labels: list[str] | None = Field(None, min_length=1, description="the only labels that are wanted")
    group: str | None = Field(None, min_length=1, description="the clip that the frame is of, where it is known")


class RectangleBody(BaseModel):
    """A shape with its type."""

    type: Literal["rectangle"] = "rectangle"
    points: Corners


class TrackBody(FrameBody):
    """A frame on which shapes are looked for. A shape without a state was drawn on this very frame; a state without a
    shape has its own."""

    shapes: list[Corners | RectangleBody] = Field([], description="x1, y1, x2, y2 in pixels")
    states: list[State | None] = Field([], description="as the frame before gave them back")

    def drawn(self) -> tuple[list[Corners], list[State | None]]:
        """The shapes, and a state for each that has one.

        Raises:
            InvalidInput: a state without a shape does not say where it was.
        """
        shapes = [one.points if isinstance(one, RectangleBody) else one for one in self.shapes]
        shapes += [state.box for state in self.states[len(shapes) :] if state and state.box]
        if len(shapes) < len(self.states):
            raise InvalidInput("states: expected a shape or a box for each, got a state with neither")
        return shapes, [*self.states, *[None] * (len(shapes) - len(self.states))]

    def told(self, shapes: Sequence[Corners], states: Sequence[State]) -> "TrackedBody":
        """The answer, with types where the shapes came with them."""
        typed = [state.typed for state in states]
        typed[: len(self.shapes)] = [isinstance(one, RectangleBody) for one in self.shapes]
        return TrackedBody(
            shapes=[RectangleBody(points=one) if named else one for one, named in zip(shapes, typed, strict=True)],
            states=[replace(state, typed=named) for state, named in zip(states, typed, strict=True)],
        )


class EventBody(Body, extra="allow"):
    """What happened in CVAT."""

    event: str
    job: dict[str, Any] | None = None


class TrackedBody(BaseModel):
    """The shapes on the frame, and what to bring along with the next one."""

    shapes: list[Corners | RectangleBody]
    states: list[State]


@routes.get(TRACKER, summary="The tracker's description", responses=documented(401, 403))
async def describe_tracker(request: Request) -> dict[str, Any]:
    """How nuclio deploys it."""
    return description("prelabel-tracker", "tracker", [], f"{request.base_url}cvat{TRACKER}")


@routes.get(
    f"{TRACKER}/function.yaml",
    summary="The tracker's description for nuclio",
    response_class=Response,
    responses=documented(401, 403),
)
async def tracker_yaml(request: Request) -> Response:
    """The same as a file, for ``nuctl deploy``."""
    return _yaml(await describe_tracker(request))


@routes.post(
    TRACKER,
    summary="Follow shapes to a frame",
    response_model=TrackedBody,
    openapi_extra=one_json(TrackBody),
    responses=documented(401, 403, 413, 422, 429),
)
async def track(request: Request) -> Response:
    """Each shape moves to the detection that it overlaps; one without stays, and its state says for how many frames."""
    deployment = deployment_of(request)
    with deployment.admission.enter():
        body: TrackBody = parse(TrackBody, await request.body(), "body")
        shapes, states = await deployment.work(
            request, tracker.track, deployment.annotator, body.frame(), *body.drawn()
        )
    return Response(body.told(shapes, states).model_dump_json(), media_type="application/json")


@routes.post(
    "/webhook",
    summary="Tell that a job changed",
    openapi_extra=one_json(EventBody) | PUBLIC,
    responses=documented(401, 413, 422),
)
async def webhook(request: Request) -> dict[str, str]:
    """Completed jobs are stored at once and taken over afterwards; what is of no use here is acknowledged too. Needs no
    token, but the signature that CVAT makes of the body with the webhook's secret."""
    deployment, data = deployment_of(request), await request.body()
    require_signed(data, request.headers.get("x-signature-256"), deployment.settings.cvat_webhook_secret)
    body: EventBody = parse(EventBody, data, "body")
    if body.event != JOB_CHANGED or (body.job or {}).get("state") != COMPLETED:
        return {"status": "ignored"}
    await run_sync(deployment.loop.store.inbox.receive, TOOL, None, body.model_dump(), utc_now())
    deployment.cvat.wake()
    return {"status": "stored"}


@routes.get(
    "/cvat_function.py",
    summary="The function file for CVAT's command line",
    response_class=Response,
    responses=documented(401, 403),
)
async def function_file() -> Response:
    """To be saved where ``cvat-cli task auto-annotate`` runs."""
    return Response(await run_sync(FUNCTION_FILE.read_bytes), media_type="text/x-python")


@routes.get("/{task}", summary="A detector's description", responses=documented(401, 403, 404, 422))
async def describe(task: str, request: Request) -> dict[str, Any]:
    """Its labels, and how nuclio deploys it."""
    return await run_sync(_description, task, request)


@routes.get(
    "/{task}/function.yaml",
    summary="A detector's description for nuclio",
    response_class=Response,
    responses=documented(401, 403, 404, 422),
)
async def function_yaml(task: str, request: Request) -> Response:
    """The same as a file, for ``nuctl deploy``."""
    return _yaml(await run_sync(_description, task, request))


@routes.post(
    "/{task}",
    summary="Find shapes on a frame",
    openapi_extra=one_json(DetectBody),
    responses=documented(401, 403, 404, 413, 422, 429),
)
async def detect(task: str, request: Request) -> Response:
    """Rectangles for detection, polylines for lanes; the frame becomes an item with its pre-annotation."""
    name, deployment = parse_task(task), deployment_of(request)
    kind_of(name)
    with deployment.admission.enter():
        body: DetectBody = parse(DetectBody, await request.body(), "body")
        asked = body.frame(), body.threshold or 0.0, body.labels, actor_of(request), body.group
        return JSONResponse(await deployment.work(request, deployment.detector.shapes, name, *asked))


def require_signed(data: bytes, signature: str | None, secret: str | None) -> None:
    """Lets a body pass that carries its HMAC-SHA256.

    Raises:
        Unauthenticated: it does not, or no secret is set.
    """
    if not secret:
        raise Unauthenticated("webhook: expected PRELABEL_CVAT_WEBHOOK_SECRET to be set, got none")
    expected = "sha256=" + hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), (signature or "").encode()):
        raise Unauthenticated("webhook: expected the header X-Signature-256 with the body's HMAC, got another or none")


def _description(task: str, request: Request) -> dict[str, Any]:
    name = parse_task(task)
    kind = kind_of(name)
    labels = [(label, kind) for label in deployment_of(request).detector.names(name).to_category]
    return description(f"prelabel-{name}", "detector", labels, f"{request.base_url}cvat/{name}")


def _yaml(described: dict[str, Any]) -> Response:
    return Response(yaml.safe_dump(described, sort_keys=False, width=10_000), media_type="application/yaml")
