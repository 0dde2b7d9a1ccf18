"""The page instead of one that is not there, or that cannot be shown."""

from http import HTTPStatus

from fastapi import Request
from fastapi.responses import Response

from serving.auth import is_page
from serving.dashboard.frame import page


def failed(request: Request, status: int, message: str) -> Response | None:
    """What went wrong, and a way back; None for programs, and below ``/v1``, where a browser is told as they are."""
    if not is_page(request.scope, request.headers) or request.url.path.startswith("/v1/"):
        return None
    why = "" if message == HTTPStatus(status).phrase else message
    return page(request, "failed.html", status, is_unknown=status == HTTPStatus.NOT_FOUND, why=why)
