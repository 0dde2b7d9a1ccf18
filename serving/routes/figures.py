"""What labels cost, which are doubtful and who gave them."""

from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from models.records import TASKS
from models.tasks import parse_task
from serving import answers
from serving.deployment import actor_of, deployment_of
from serving.description import documented
from serving.telling import annotators_told, as_json, suspects_told

MOST_SUSPECTS = 1000

routes = APIRouter()


@routes.get("/v1/report", summary="The figures", response_model=answers.Report, responses=documented(401, 403))
async def report(request: Request) -> Response:
    """Items by state, human seconds, seconds a label, by task and model version, and what is promised."""
    return JSONResponse(await run_sync(deployment_of(request).loop.report))


@routes.get(
    "/v1/suspects",
    summary="Labels that are probably wrong",
    response_model=answers.Suspects,
    responses=documented(401, 403, 404, 422),
)
async def suspects(
    task: str,
    request: Request,
    limit: Annotated[int, Query(ge=1, le=MOST_SUSPECTS)] = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """People's labels of a task, worst first, with reasons. They are ranked anew when they or the serving version have
    changed, which may take a while: until it is done, the ranking before is told, without the labels that others have
    replaced since, or else, the first time, 503."""
    name = parse_task(task)
    deployment = deployment_of(request)
    ranking = await run_sync(deployment.suspecting.ranking, name)
    owed = await run_sync(deployment.loop.store.planting.owed, name, actor_of(request))
    listed = ranking.suspects[offset : offset + limit]
    changed = await run_sync(deployment.suspecting.changed, name, listed, ranking)
    return as_json(suspects_told(name, ranking, offset, limit, owed | changed))


@routes.get("/v1/annotators", summary="Who labels how well", response_model=answers.Annotators,
            responses=documented(401, 403, 404, 422))  # fmt: skip
async def annotators(request: Request, task: str | None = None) -> Response:
    """Of each person the seconds a label, and the shares that are right on gold items, whose answer somebody else gave,
    and by the consensus of three people or more; with exact 95 % intervals. A policy's ``planted_share`` hands gold
    items to people who are not told."""
    loop, names = deployment_of(request).loop, [parse_task(task)] if task else TASKS
    return as_json(annotators_told({name: await run_sync(loop.labelled.annotators, name) for name in names}))
