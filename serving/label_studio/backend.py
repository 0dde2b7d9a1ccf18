"""The routes of the machine-learning backend: what Label Studio asks for, in its own words."""

from asyncio import gather, get_running_loop
from collections.abc import Mapping
from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from pydantic import Field

from models.errors import PrelabelError
from models.records import Task
from models.tasks import parse_task
from serving.bodies import Body, parse
from serving.deployment import Deployment, actor_of, deployment_of
from serving.description import documented
from serving.label_studio.config import View
from serving.label_studio.corrections import TOOL
from serving.loop import utc_now

ANNOTATIONS = {"ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_CREATED", "ANNOTATIONS_DELETED"}
OTHER_PROJECT = {"TASKS_CREATED", "PROJECT_UPDATED"}
TRAIN = "START_TRAINING"

routes = APIRouter(prefix="/label-studio/{task}", tags=["Label Studio"], responses=documented(401, 403, 404, 422))


class SetupBody(Body, extra="ignore"):
    """What comes before every prediction. The token that comes along is neither kept nor looked at."""

    schema_: str = Field("", alias="schema")


class PredictBody(Body, extra="ignore"):
    """Tasks to predict; ``params.context.result`` are regions that a person draws at the moment."""

    tasks: list[dict[str, Any]]
    label_config: str = ""
    params: dict[str, Any] | None = None

    def drawn(self) -> list[Mapping[str, Any]]:
        """Those regions."""
        context = (self.params or {}).get("context") or {}
        result = context.get("result") if isinstance(context, Mapping) else None
        return result if isinstance(result, list) else []


class EventBody(Body, extra="allow"):
    """What happened there."""

    action: str


@routes.get("", summary="Does the backend answer?")
@routes.get("/health", summary="Does the backend answer?")
async def health(task: str) -> dict[str, str]:
    """It does."""
    return {"status": "UP", "model_class": f"prelabel-{parse_task(task)}"}


@routes.post("/setup", summary="Check a labelling configuration")
async def setup(task: str, request: Request) -> dict[str, str]:
    """The version that answers; a configuration that is none for it is refused with what was expected."""
    name, predictor = parse_task(task), deployment_of(request).predictor
    body: SetupBody = parse(SetupBody, await request.body(), "body")
    if body.schema_:
        await run_sync(predictor.view, name, body.schema_)
    return {"model_version": predictor.version(name)}


@routes.post("/predict", summary="Pre-annotate tasks")
async def predict(task: str, request: Request) -> dict[str, Any]:
    """Exactly one answer a task, in their order: an empty prediction where a medium cannot be read, and none where it
    is for another reason that there is no prediction."""
    name, deployment, actor = parse_task(task), deployment_of(request), actor_of(request)
    body: PredictBody = parse(PredictBody, await request.body(), "body")
    shown = await run_sync(_seen, deployment, name, body.label_config)
    drawn, result = body.drawn(), deployment.predictor.result
    working = [
        get_running_loop().run_in_executor(deployment.threads, result, name, one, shown, actor, drawn)
        for one in body.tasks
    ]
    return {"results": await gather(*working)}


@routes.post("/webhook", summary="Tell what happened")
async def webhook(task: str, request: Request) -> dict[str, str]:
    """Stored at once and worked on afterwards; what is of no use here is acknowledged too."""
    name, deployment = parse_task(task), deployment_of(request)
    body: EventBody = parse(EventBody, await request.body(), "body")
    if body.action == TRAIN:
        return {"status": deployment.training.begin(name)}
    if body.action in OTHER_PROJECT:
        deployment.label_studio.look()
        return {"status": "noted"}
    if body.action not in ANNOTATIONS:
        return {"status": "ignored"}
    await run_sync(deployment.loop.store.inbox.receive, TOOL, name, body.model_dump(), utc_now())
    deployment.label_studio.wake()
    return {"status": "stored"}


@routes.post("/train", summary="Train a candidate")
async def train(task: str, request: Request) -> dict[str, str]:
    """Begins to train one on the corrections, unless that is under way."""
    return {"status": deployment_of(request).training.begin(parse_task(task))}


@routes.get("/job_status", summary="How is the training?")
async def job_status(task: str, request: Request) -> dict[str, str]:
    """idle, running, done or failed, of the last training that was asked for here."""
    return {"job_status": deployment_of(request).training.status(parse_task(task))}


@routes.get("/versions", summary="Every version of the task")
async def versions(task: str, request: Request) -> dict[str, list[str]]:
    """The one that answers first, then the others from the newest."""
    name, deployment = parse_task(task), deployment_of(request)
    known = [one for one in await run_sync(deployment.loop.versions.all) if one.task == name and one.state != "failed"]
    known.sort(key=lambda one: (one.state == "serving", one.created_at), reverse=True)
    return {"versions": [one.name for one in known]}


def _seen(deployment: Deployment, task: Task, label_config: str) -> View | PrelabelError:
    """The project as the version sees it, or why it cannot."""
    try:
        return deployment.predictor.view(task, label_config)
    except PrelabelError as error:
        return error
