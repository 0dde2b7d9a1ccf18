"""The routes. Each reads its request, makes one call, and gives the answer its shape."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from anyio import create_task_group
from anyio.to_thread import run_sync
from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.datastructures import UploadFile

from models.errors import InvalidInput, PrelabelError
from models.media import media_type
from models.records import TASKS, Task
from models.tasks import parse_task
from serving import dashboard, description, http_errors
from serving.admission import Visit
from serving.auth import TokenAuth
from serving.bodies import (
    AnnotatorsBody,
    AnswerBody,
    ConsensusBody,
    CorrectionBody,
    FailedBody,
    ModelsBody,
    PoliciesBody,
    PolicyBody,
    PromoteBody,
    PromotionBody,
    QueueBody,
    ReceiptBody,
    RegisteredBody,
    ReportBody,
    StatusBody,
    SuspectsBody,
    UnfitBody,
    UnfitReceiptBody,
    UriBody,
    parse,
)
from serving.body_limit import BodyLimit
from serving.cvat import backend as cvat
from serving.deployment import deployment_of
from serving.description import PUBLIC, a_medium, documented, many_items, media_or_uri, one_json
from serving.http_errors import Unavailable, error_detail
from serving.label_studio import backend as label_studio
from serving.loop import Actor, Answer, utc_now
from serving.metrics import Measured
from serving.registration import parse_lines, register
from serving.settings import QueueStrategy, Settings
from serving.telling import (
    answer_body,
    consensus_body,
    leased_body,
    policies_body,
    promotion_body,
    suspects_body,
    version_body,
)
from serving.webhooks import routes as webhooks

MOST_FILES = 100  # of one request
MOST_LEASED = 100
MOST_SUSPECTS = 1000

routes = APIRouter()


def create_app(settings: Settings) -> FastAPI:
    """The app; ``app.state.deployment`` must be there before the first request."""
    app = FastAPI(**description.OF_APP, redirect_slashes=False)
    app.include_router(routes)
    app.include_router(description.routes)
    app.include_router(dashboard.routes)
    app.include_router(label_studio.routes)
    app.include_router(cvat.routes)
    app.include_router(webhooks.routes)
    http_errors.install(app)
    app.add_middleware(BodyLimit, limit=int(settings.max_body_mb * 1_000_000))
    app.add_middleware(TokenAuth, store=lambda: app.state.deployment.loop.store)
    app.add_middleware(Measured, metrics=lambda: app.state.deployment.metrics)  # the last one added is the outermost
    return app


def actor_of(request: Request) -> Actor:
    """Who makes the request: what ``TokenAuth`` found out."""
    return str(request.state.actor)


@routes.post(
    "/v1/{task}/annotate",
    summary="Pre-annotate media",
    response_model=AnswerBody | list[AnswerBody | FailedBody],
    openapi_extra=media_or_uri(),
    responses=documented(401, 403, 404, 413, 422, 429, 503),
)
async def annotate(task: str, request: Request) -> Response:
    """One answer for a raw body or a uri, a list for multipart files: there, a file that cannot be read has its error
    in its place, unless none can."""
    name, deployment = parse_task(task), deployment_of(request)
    with deployment.admission.enter() as visit:
        if request.headers.get("content-type", "").startswith("multipart/form-data"):
            return await _annotate_files(name, request, visit)
        body = await request.body()
        if _is_json(request, body):
            medium = await deployment.fetcher.fetch(parse(UriBody, body, "body").uri)
            answer = await deployment.work(request, deployment.annotator.fetched, name, medium, actor_of(request))
        else:
            answer = await deployment.work(request, deployment.annotator.posted, name, body, "body", actor_of(request))
    return _json(answer_body(answer))


async def _annotate_files(task: Task, request: Request, visit: Visit) -> Response:
    deployment = deployment_of(request)
    async with request.form(max_files=MOST_FILES) as form:
        files = [file for _, file in form.multi_items() if isinstance(file, UploadFile)]
        if not files or len(files) < len(form.multi_items()):
            raise InvalidInput(f"body: expected files alone, got the fields {list(form)}")
        outcomes: dict[int, Answer | PrelabelError] = {}

        async def one(index: int, file: UploadFile) -> None:
            try:
                data, name = await file.read(), file.filename or f"file {index + 1}"
                outcomes[index] = await deployment.work(
                    request, deployment.annotator.posted, task, data, name, actor_of(request)
                )
            except PrelabelError as error:
                outcomes[index] = error

        visit.bring(len(files))
        async with create_task_group() as group:
            for index, file in enumerate(files):
                group.start_soon(one, index, file)
    return _json_list(files, [outcomes[index] for index in range(len(files))])


def _json_list(files: Sequence[UploadFile], outcomes: Sequence[Answer | PrelabelError]) -> Response:
    failures = [outcome for outcome in outcomes if isinstance(outcome, PrelabelError)]
    if len(failures) == len(outcomes):
        raise failures[0]
    told: list[BaseModel] = [
        FailedBody(name=file.filename or "", error=error_detail(outcome))
        if isinstance(outcome, PrelabelError)
        else answer_body(outcome)
        for file, outcome in zip(files, outcomes, strict=True)
    ]
    return Response(f"[{','.join(one.model_dump_json() for one in told)}]", media_type="application/json")


@routes.post(
    "/v1/items",
    summary="Register media by uri",
    response_model=RegisteredBody,
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
    return _json(registered)


@routes.get("/v1/items/{item_id}", summary="An item with its whole history", responses=documented(401, 403, 404, 422))
async def item(item_id: str, request: Request) -> dict[str, Any]:
    """The item, its state for each task, pre-annotations, corrections and leases, oldest first."""
    return await run_sync(deployment_of(request).loop.history, item_id)


@routes.get(
    "/v1/items/{item_id}/consensus",
    summary="What people agree on about an item",
    response_model=ConsensusBody,
    responses=documented(401, 403, 404, 422),
)
async def consensus(item_id: str, request: Request) -> Response:
    """By task: the newest label of each person and the one that they give together, as an export writes it. Whoever is
    right more often on other items counts for more."""
    found = await run_sync(deployment_of(request).loop.labelled.consensus, item_id)
    return _json(consensus_body(item_id, found))


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


@routes.get(
    "/v1/queue/{task}",
    summary="Lease the next items",
    response_model=QueueBody,
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
    strategy: Annotated[QueueStrategy | None, Query(description="what is useful; without it, the policy's mix")] = None,
) -> Response:
    """Most useful first. Nobody else gets these items before their lease ends. An empty list says why: nothing is open,
    nothing that this person can do, or the day's budget is used up; then ``Retry-After`` tells the seconds to wait."""
    name, deployment, actor = parse_task(task), deployment_of(request), actor_of(request)
    with deployment.admission.enter():
        places = limit or (MOST_LEASED if seconds else 1)
        person = annotator or actor
        leased = await deployment.work(request, deployment.lease, name, places, person, actor, strategy, seconds)
    if not leased:
        nothing = await run_sync(deployment.loop.why_nothing, name, person, seconds)
        wait = {} if nothing.retry_after_s is None else {"Retry-After": str(math.ceil(nothing.retry_after_s))}
        return _json(QueueBody(items=[], reason=nothing.reason), wait)
    return _json(QueueBody.model_construct(items=[leased_body(one, answer) for one, answer in leased]))


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
    response_model=ReceiptBody,
    openapi_extra=one_json(CorrectionBody),
    responses=documented(401, 403, 404, 409, 413, 422),
)
async def correct(item_id: str, request: Request) -> Response:
    """Append-only; the same one sent twice counts once. A lease that is over answers 409."""
    body: CorrectionBody = parse(CorrectionBody, await request.body(), "body")
    receipt = await run_sync(deployment_of(request).correct, item_id, body, actor_of(request))
    return _json(ReceiptBody(item_id=receipt.item_id, correction_id=receipt.correction_id, repeated=receipt.repeated))


@routes.post(
    "/v1/items/{item_id}/unfit",
    summary="Say that an item cannot be labelled",
    response_model=UnfitReceiptBody,
    openapi_extra=one_json(UnfitBody),
    responses=documented(401, 403, 404, 409, 413, 422),
)
async def find_unfit(item_id: str, request: Request) -> Response:
    """It leaves the queue, trains nothing and checks nothing, until it is taken back or corrected all the same. Said
    twice it counts once. A lease that is over answers 409."""
    body: UnfitBody = parse(UnfitBody, await request.body(), "body")
    said = body.unfit(item_id, utc_now())
    repeated = await run_sync(deployment_of(request).loop.find_unfit, said, body.lease_id, actor_of(request))
    return _json(UnfitReceiptBody(item_id=item_id, task=said.task, reason=said.reason, repeated=repeated))


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


@routes.get("/v1/models", summary="Every version", response_model=ModelsBody, responses=documented(401, 403))
async def models(request: Request) -> Response:
    """By task and age, with state and metrics."""
    versions = await run_sync(deployment_of(request).loop.versions)
    return _json(ModelsBody(models=[version_body(version) for version in versions]))


@routes.post(
    "/v1/models/{version}/promote",
    summary="Let a version serve",
    response_model=PromotionBody,
    openapi_extra=one_json(PromoteBody, required=False),
    responses=documented(401, 403, 404, 409, 422),
)
async def promote(version: str, request: Request) -> Response:
    """Refused with the figures where it is worse on the gold items than the version that serves, unless forced."""
    body = await request.body()
    force = bool(body) and parse(PromoteBody, body, "body").force
    promotion = await run_sync(deployment_of(request).promote, version, force, actor_of(request))
    return _json(promotion_body(promotion))


@routes.get("/v1/policy", summary="The policy in force", response_model=PoliciesBody, responses=documented(401, 403))
async def policy(request: Request) -> Response:
    """Of each task: by what terms is decided who must look at what, and who adopted them when."""
    return _json(await run_sync(policies_body, deployment_of(request).loop.policies))


@routes.put(
    "/v1/policy",
    summary="Adopt a policy",
    response_model=PoliciesBody,
    openapi_extra=one_json(PolicyBody),
    responses=documented(401, 403, 413, 422),
)
async def adopt(request: Request) -> Response:
    """For admins. The next decision goes by it; what waits is decided anew within moments, in every process."""
    body: PolicyBody = parse(PolicyBody, await request.body(), "body")
    deployment = deployment_of(request)
    await run_sync(deployment.adopt, body.policy, body.task, actor_of(request))
    return _json(await run_sync(policies_body, deployment.loop.policies))


@routes.get("/v1/report", summary="The figures", response_model=ReportBody, responses=documented(401, 403))
async def report(request: Request) -> Response:
    """Items by state, human seconds, seconds a label, by task and model version, and what is promised."""
    return JSONResponse(await run_sync(deployment_of(request).loop.report))


@routes.get(
    "/v1/suspects",
    summary="Labels that are probably wrong",
    response_model=SuspectsBody,
    responses=documented(401, 403, 404, 422, 503),
)
async def suspects(
    task: str,
    request: Request,
    limit: Annotated[int, Query(ge=1, le=MOST_SUSPECTS)] = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """People's labels of a task, worst first, with reasons. They are ranked anew when they or the serving version have
    changed; the first time that may take a while, and is answered with 503 until it is done."""
    name = parse_task(task)
    ranking = await run_sync(deployment_of(request).suspecting.ranking, name)
    return _json(suspects_body(name, ranking, offset, limit))


@routes.get("/v1/annotators", summary="Who labels how well", response_model=AnnotatorsBody,
            responses=documented(401, 403, 404, 422))  # fmt: skip
async def annotators(request: Request, task: str | None = None) -> Response:
    """Of each person the seconds a label, and the shares that are right on gold items, whose answer somebody else gave,
    and by the consensus of three people or more; with exact 95 % intervals. A policy's ``planted_share`` hands gold
    items to people who are not told."""
    loop, names = deployment_of(request).loop, [parse_task(task)] if task else TASKS
    return _json(AnnotatorsBody(tasks={name: await run_sync(loop.labelled.annotators, name) for name in names}))


@routes.get("/livez", summary="Does the process answer?", response_model=StatusBody, openapi_extra=PUBLIC)
@routes.get("/healthz", summary="Does the process answer?", response_model=StatusBody, openapi_extra=PUBLIC)
async def live() -> Response:
    """It does."""
    return _json(StatusBody(status="ok"))


@routes.get(
    "/readyz",
    summary="Are the models loaded?",
    response_model=StatusBody,
    openapi_extra=PUBLIC,
    responses=documented(503),
)
async def ready(request: Request) -> Response:
    """Whether every version that should serve is loaded, and the store answers."""
    if not await run_sync(deployment_of(request).live.is_ready):
        raise Unavailable("expected a loaded version of every task that has one, got fewer")
    return _json(StatusBody(status="ok"))


@routes.get("/metrics", summary="Figures for Prometheus", response_class=Response, responses=documented(401, 403))
async def metrics(request: Request) -> Response:
    """In Prometheus' text format, by route template."""
    figures = deployment_of(request).metrics
    return Response(figures.text(), media_type=figures.content_type)


def _is_json(request: Request, body: bytes) -> bool:
    """Whether a uri came instead of a medium; none of those begins with a brace."""
    return request.headers.get("content-type", "").startswith("application/json") or body[:1] == b"{"


def _json(body: BaseModel, headers: Mapping[str, str] | None = None) -> Response:
    return Response(body.model_dump_json(), headers=headers, media_type="application/json")
