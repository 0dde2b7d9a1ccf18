"""Every failure as one JSON shape: ``{"error": {"code": .., "message": ..}}``; to who looks at a page, as a page. No
traceback leaves the server."""

from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import TypeAlias
from uuid import uuid4

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from models.errors import PrelabelError
from serving.answers import ErrorDetail
from serving.errors import Overloaded, StoreAway, Unauthenticated, status_of
from serving.server_log import log

Failure: TypeAlias = tuple[int, str, str, Mapping[str, str] | None]  # status, code, message, headers
Page: TypeAlias = Callable[[Request, int, str], Response | None]  # by status and message; None where nobody looks


class ErrorBody(BaseModel):
    """The one shape of every failure."""

    error: ErrorDetail


def error_detail(error: PrelabelError) -> ErrorDetail:
    """Code and message of a failure, for answers that tell of many media."""
    return ErrorDetail(code=status_of(error)[1], message=_one_line(for_callers(error)))


def for_callers(error: PrelabelError) -> str:
    """What callers hear of a failure. What keeps the store names its host, its user and its files: that is for the log
    alone, as anybody may ask."""
    if not isinstance(error, StoreAway):
        return str(error)
    log.warning("%s", error)
    return "the store cannot go on; the server's log tells why"


def error_response(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """A failure in the one shape."""
    body = ErrorBody(error=ErrorDetail(code=code, message=_one_line(message)))
    return JSONResponse(body.model_dump(), status, dict(headers or {}))


def explained(error: PrelabelError) -> Response:
    """The answer to a failure that prelabel explains."""
    return error_response(*_explained(error))


def _explained(error: Exception) -> Failure:
    assert isinstance(error, PrelabelError)
    status, code = status_of(error)
    headers = {}
    if isinstance(error, Overloaded | StoreAway):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    return status, code, for_callers(error), headers


def explained_to(request: Request, error: PrelabelError, page: Page) -> Response:
    """The same to whoever asked: a page to who looks at one."""
    return _told(_explained(error), page, request)


def unexplained(request: Request, error: BaseException, where: str, page: Page) -> Response:
    """The answer to a bug of ours: the log has the traceback, the client only the number to find it by."""
    number = uuid4().hex[:8]
    log.error("%s failed, number %s", where, number, exc_info=error)
    message = f"internal error; the server's log tells more under number {number}"
    return _told((500, "internal", message, None), page, request)


def install(app: FastAPI, page: Page) -> None:
    """Lets an app answer every failure in the one shape, or as a page."""
    kinds = (PrelabelError, _explained), (HTTPException, _plain), (RequestValidationError, _invalid)
    for kind, explain in kinds:
        app.add_exception_handler(kind, partial(_answer, explain, page))


async def _answer(explain: Callable[[Exception], Failure], page: Page, request: Request, error: Exception) -> Response:
    return _told(explain(error), page, request)


def _told(failure: Failure, page: Page, request: Request) -> Response:
    status, code, message, headers = failure
    shown = page(request, status, message)
    if shown is None:
        return error_response(status, code, _at_length(request, status, message), headers)
    shown.headers.update(headers or {})
    return shown


def _at_length(request: Request, status: int, message: str) -> str:
    """What was expected where there is no such route, of which Starlette says the name of the status alone."""
    if message != HTTPStatus(status).phrase:
        return message
    expected = {
        HTTPStatus.NOT_FOUND: "a route that /docs describes, got none",
        HTTPStatus.METHOD_NOT_ALLOWED: f"a method that /docs describes there, got {request.method}",
    }.get(HTTPStatus(status))
    return f"{request.url.path}: expected {expected}" if expected else message


def _plain(error: Exception) -> Failure:
    assert isinstance(error, HTTPException)
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    return error.status_code, code, str(error.detail), error.headers


def _invalid(error: Exception) -> Failure:
    assert isinstance(error, RequestValidationError)
    told = []
    for failure in error.errors():
        where = ".".join(map(str, failure["loc"]))
        told.append(f"{where}: {failure['msg']}, got {failure.get('input')!r:.200}")
    return 422, "invalid_input", "; ".join(told), None


def _one_line(message: str) -> str:
    return " ".join(message.encode("utf-8", "backslashreplace").decode().split())
