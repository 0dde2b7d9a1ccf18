"""For who keeps the service running: whether it answers, is ready, and how it does."""

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import Response

from serving import answers
from serving.deployment import deployment_of
from serving.description import PUBLIC, documented
from serving.errors import Unavailable
from serving.telling import as_json

routes = APIRouter()


@routes.get("/livez", summary="Does the process answer?", response_model=answers.Status, openapi_extra=PUBLIC)
@routes.get("/healthz", summary="Does the process answer?", response_model=answers.Status, openapi_extra=PUBLIC)
async def live() -> Response:
    """It does."""
    return as_json(answers.Status("ok"))


@routes.get(
    "/readyz",
    summary="Are the models loaded?",
    response_model=answers.Status,
    openapi_extra=PUBLIC,
    responses=documented(),
)
async def ready(request: Request) -> Response:
    """Whether every version that should serve is loaded, and the store answers."""
    if not await run_sync(deployment_of(request).live.is_ready):
        raise Unavailable("expected a loaded version of every task that has one, got fewer")
    return as_json(answers.Status("ok"))


@routes.get("/metrics", summary="Figures for Prometheus", response_class=Response, responses=documented(401, 403))
async def metrics(request: Request) -> Response:
    """In Prometheus' text format, by route template."""
    figures = deployment_of(request).metrics
    return Response(figures.text(), media_type=figures.content_type)
