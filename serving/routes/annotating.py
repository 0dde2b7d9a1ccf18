"""A medium in, a pre-annotation out."""

from collections.abc import Sequence

from anyio import create_task_group
from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.datastructures import UploadFile

from models.errors import InvalidInput, PrelabelError
from models.records import Task
from models.tasks import parse_task
from serving import answers
from serving.admission import Visit
from serving.bodies import UriBody, parse
from serving.deployment import actor_of, deployment_of
from serving.description import documented, media_or_uri
from serving.http_errors import error_detail
from serving.loop import Answer
from serving.telling import answer_told, as_json, json_of

MOST_FILES = 100  # of one request

routes = APIRouter()


@routes.post(
    "/v1/{task}/annotate",
    summary="Pre-annotate media",
    response_model=answers.Answer | list[answers.Answer | answers.Failed],
    openapi_extra=media_or_uri(),
    responses=documented(401, 403, 404, 413, 422, 429),
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
    return as_json(answer_told(answer))


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
    told = [
        json_of(
            answers.Failed(file.filename or "", error_detail(outcome))
            if isinstance(outcome, PrelabelError)
            else answer_told(outcome)
        )
        for file, outcome in zip(files, outcomes, strict=True)
    ]
    return Response(b"[" + b",".join(told) + b"]", media_type="application/json")


def _is_json(request: Request, body: bytes) -> bool:
    """Whether a uri came instead of a medium; none of those begins with a brace."""
    return request.headers.get("content-type", "").startswith("application/json") or body[:1] == b"{"
