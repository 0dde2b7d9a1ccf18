"""People take work, and send what they make of it."""

import math
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.requests import ClientDisconnect

from models.tasks import parse_task
from selection.queueing import StrategyName
from serving import answers
from serving.bodies import CorrectionBody, parse
from serving.deployment import actor_of, deployment_of
from serving.description import documented, one_json
from serving.telling import as_json, leased_told, told_as

MOST_LEASED = 100

routes = APIRouter()


@routes.get(
    "/v1/queue/{task}",
    summary="Lease the next items",
    response_model=answers.Queue,
    responses=documented(401, 403, 404, 422, 429),
)
async def queue(
    task: str,
    request: Request,
    limit: Annotated[
        int | None, Query(ge=1, le=MOST_LEASED, description="without it one, or what fits into the seconds")
    ] = None,
    seconds: Annotated[
        float | None, Query(gt=0, le=86400, description="that the person has; only what fits into them is handed out")
    ] = None,
    annotator: Annotated[str | None, Query(min_length=1, description="who works; without it, the token's name")] = None,
    strategy: Annotated[StrategyName | None, Query(description="what is useful; without it, the policy's mix")] = None,
) -> Response:
    """Most useful first. Nobody else gets these items before their lease ends. An empty list says why: nothing is open,
    nothing that this person can do, or the day's budget is used up; then ``Retry-After`` tells the seconds to wait."""
    name, deployment, actor = parse_task(task), deployment_of(request), actor_of(request)
    loop = deployment.loop
    with deployment.admission.enter():
        places = limit or (MOST_LEASED if seconds else 1)
        person = annotator or actor
        leased = await deployment.work(
            request, lambda: deployment.renewed(loop.lease(name, places, person, actor, strategy, seconds), actor)
        )
    if await request.is_disconnected():
        await run_sync(loop.take_back, [one.lease_id for one, _ in leased])
        raise ClientDisconnect
    if not leased:
        nothing = await run_sync(loop.why_nothing, name, person, seconds)
        wait = {} if nothing.retry_after_s is None else {"Retry-After": str(math.ceil(nothing.retry_after_s))}
        return as_json(answers.Queue((), nothing.reason, nothing.retry_after_s), wait)
    return as_json(answers.Queue(tuple(leased_told(one, answer) for one, answer in leased), None, None))


@routes.delete(
    "/v1/leases/{lease_id}", summary="Give an item back", status_code=204, responses=documented(401, 403, 404, 422)
)
async def release(lease_id: str, request: Request) -> Response:
    """Others get it at once; who had it is not handed it again before the lease would have ended. Nothing happens where
    the lease is over already."""
    await run_sync(deployment_of(request).loop.release, lease_id, actor_of(request))
    return Response(status_code=204)


@routes.post(
    "/v1/items/{item_id}/correction",
    summary="Send a correction",
    response_model=answers.Receipt,
    openapi_extra=one_json(CorrectionBody),
    responses=documented(401, 403, 404, 409, 413, 422),
)
async def correct(item_id: str, request: Request) -> Response:
    """Append-only; the same one sent twice counts once. A lease that is over answers 409, a label of another size than
    its picture 422."""
    body: CorrectionBody = parse(CorrectionBody, await request.body(), "body")
    receipt = await run_sync(deployment_of(request).correct, item_id, body, actor_of(request))
    return as_json(told_as(answers.Receipt, receipt))
