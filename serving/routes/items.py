"""Items: registered, looked at, and found unfit."""

from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import Response

from models.media import media_type
from models.tasks import parse_task
from serving import answers
from serving.bodies import UnfitBody, parse
from serving.deployment import actor_of, deployment_of
from serving.description import a_medium, documented, many_items, one_json
from serving.loop import utc_now
from serving.registration import parse_lines, register
from serving.telling import as_json, consensus_told

routes = APIRouter()


@routes.post(
    "/v1/items",
    summary="Register media by uri",
    response_model=answers.Registered,
    openapi_extra=many_items(),
    responses=documented(401, 403, 413, 422),
)
async def register_items(request: Request) -> Response:
    """A JSON list, or JSON lines: the same objects, one a line. Idempotent: the same bytes are the same item. A line or
    entry whose medium cannot be had is told among the failures."""
    deployment = deployment_of(request)
    lines = parse_lines(await request.body())
    registered = await register(deployment.loop, deployment.fetcher, lines, actor_of(request))
    deployment.background.wake()
    return as_json(registered)


@routes.get("/v1/items/{item_id}", summary="An item with its whole history", responses=documented(401, 403, 404, 422))
async def item(item_id: str, request: Request) -> dict[str, Any]:
    """The item, its state for each task, pre-annotations, corrections and leases, oldest first. Whoever was handed it
    planted sees it as if it were open until they have answered."""
    return await run_sync(deployment_of(request).loop.history, item_id, actor_of(request))


@routes.get(
    "/v1/items/{item_id}/consensus",
    summary="What people agree on about an item",
    response_model=answers.Consensus,
    responses=documented(401, 403, 404, 422),
)
async def consensus(item_id: str, request: Request) -> Response:
    """By task: the newest label of each person and the one that they give together, as an export writes it. Whoever is
    right more often on other items counts for more."""
    found = await run_sync(deployment_of(request).loop.labelled.consensus, item_id, actor_of(request))
    return as_json(consensus_told(item_id, found))


@routes.get(
    "/v1/items/{item_id}/media",
    summary="The bytes of an item",
    response_class=Response,
    responses=a_medium() | documented(401, 403, 404, 422),
)
async def media(item_id: str, request: Request) -> Response:
    """As they came; the type is the one of their first bytes."""
    deployment = deployment_of(request)
    data = await run_sync(lambda: deployment.annotator.bytes_of(deployment.loop.item(item_id)))
    headers = {
        "Cache-Control": "private, max-age=86400, immutable",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(data, headers=headers, media_type=media_type(data) or "application/octet-stream")


@routes.post(
    "/v1/items/{item_id}/unfit",
    summary="Say that an item cannot be labelled",
    response_model=answers.UnfitReceipt,
    openapi_extra=one_json(UnfitBody),
    responses=documented(401, 403, 404, 409, 413, 422),
)
async def find_unfit(item_id: str, request: Request) -> Response:
    """It leaves the queue, trains nothing and checks nothing, until it is taken back or corrected all the same. Said
    twice it counts once. A lease that is over answers 409."""
    body: UnfitBody = parse(UnfitBody, await request.body(), "body")
    said = body.unfit(item_id, utc_now())
    repeated = await run_sync(deployment_of(request).loop.find_unfit, said, body.lease_id, actor_of(request))
    return as_json(answers.UnfitReceipt(item_id, said.task, said.reason, repeated))


@routes.delete(
    "/v1/items/{item_id}/unfit",
    summary="Take back that an item cannot be labelled",
    status_code=204,
    responses=documented(401, 403, 404, 422),
)
async def find_fit(item_id: str, task: str, request: Request) -> Response:
    """It is again what it was: corrected, or open. Nothing happens where it is not unfit."""
    await run_sync(deployment_of(request).loop.find_fit, item_id, parse_task(task), actor_of(request))
    return Response(status_code=204)
