"""By which versions the service answers, and by what terms it decides."""

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import Response

from serving import answers
from serving.bodies import PolicyBody, PromoteBody, parse
from serving.deployment import actor_of, deployment_of
from serving.description import documented, one_json
from serving.telling import as_json, policies_told, promotion_told, version_told

routes = APIRouter()


@routes.get("/v1/models", summary="Every version", response_model=answers.Models, responses=documented(401, 403))
async def models(request: Request) -> Response:
    """By task and age, with state and metrics."""
    versions = await run_sync(deployment_of(request).loop.versions.all)
    return as_json(answers.Models(tuple(map(version_told, versions))))


@routes.post(
    "/v1/models/{version}/promote",
    summary="Let a version serve",
    response_model=answers.Promotion,
    openapi_extra=one_json(PromoteBody, required=False),
    responses=documented(401, 403, 404, 409, 422),
)
async def promote(version: str, request: Request) -> Response:
    """Refused with the figures where it is worse on the gold items than the version that serves, unless forced."""
    body = await request.body()
    force = bool(body) and parse(PromoteBody, body, "body").force
    promotion = await run_sync(deployment_of(request).promote, version, force, actor_of(request))
    return as_json(promotion_told(promotion))


@routes.get(
    "/v1/policy", summary="The policy in force", response_model=answers.Policies, responses=documented(401, 403)
)
async def policy(request: Request) -> Response:
    """Of each task: by what terms is decided who must look at what, and who adopted them when."""
    return as_json(await run_sync(policies_told, deployment_of(request).loop.policies))


@routes.put(
    "/v1/policy",
    summary="Adopt a policy",
    response_model=answers.Policies,
    openapi_extra=one_json(PolicyBody),
    responses=documented(401, 403, 413, 422),
)
async def adopt(request: Request) -> Response:
    """For admins. The next decision goes by it; what waits is decided anew within moments, in every process."""
    body: PolicyBody = parse(PolicyBody, await request.body(), "body")
    deployment = deployment_of(request)
    await run_sync(deployment.adopt, body.policy, body.task, actor_of(request))
    return as_json(await run_sync(policies_told, deployment.loop.policies))
