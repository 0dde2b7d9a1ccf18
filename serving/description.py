"""How the API describes itself: ``/openapi.json``, and ``/docs`` on assets that lie in this environment."""

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.routing import APIRoute
from fastapi.utils import generate_unique_id

from models.records import LABEL_TYPES
from serving.bodies import Body, ItemLine, UriBody
from serving.http_errors import ErrorBody

TEXT = """Models pre-annotate media and say how unsure they are; people see only what needs them.

Every failure is `{"error": {"code": .., "message": ..}}`. Where tokens exist, send `Authorization: Bearer TOKEN`."""


def operation_id(route: APIRoute) -> str:
    """What generated clients call a route: by its function, where that is one of the protocol's own."""
    return route.name if route.path_format.startswith("/v1/") else generate_unique_id(route)


OF_APP: dict[str, Any] = {
    "title": "prelabel",
    "version": "1",
    "description": TEXT,
    "docs_url": None,  # FastAPI's own page loads its scripts from outside
    "redoc_url": None,
    # BentoML sets up OpenTelemetry, and FastAPI would then make spans for every request and each part of it.
    "telemetry": {"tracing": False, "metrics": False, "logs": False},
    "openapi_url": None,
    "generate_unique_id_function": operation_id,
}

_BYTES = {"schema": {"type": "string", "format": "binary"}}
_FILES = {"type": "object", "properties": {"file": {"type": "array", "items": _BYTES["schema"]}}, "required": ["file"]}

PUBLIC: dict[str, Any] = {"security": []}  # of a route that asks for no token

FOR_SCREEN_READERS = {  # what FastAPI's page leaves out
    "<html>": '<html lang="en">',
    '<div id="swagger-ui">\n    </div>': '<main id="swagger-ui"></main>',
}

_TOKEN = {"type": "http", "scheme": "bearer", "description": "made with `prelabel token make`"}

routes = APIRouter()


@routes.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> JSONResponse:
    """The description to be read by programs."""
    schema: dict[str, Any] = request.app.openapi()
    schema["components"]["securitySchemes"] = {"token": _TOKEN}
    schema["security"] = [{"token": []}, {}]
    for kind in LABEL_TYPES.values():  # answers hold every field; so a reader of several kinds tells lanes from boxes
        label = schema["components"]["schemas"][kind.__name__]
        label["required"] = list(label["properties"])
    return JSONResponse(schema)


@routes.get("/docs", include_in_schema=False)
async def docs() -> HTMLResponse:
    """The description to read and try, on a page that loads nothing from outside, and that no other page frames."""
    page = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="prelabel API",
        swagger_js_url="/static/swagger-ui-bundle.js",
        swagger_css_url="/static/swagger-ui.css",
        swagger_favicon_url="/static/icon.svg",
        swagger_ui_parameters={"validatorUrl": None},
    )
    told = bytes(page.body).decode()
    for tag, ours in FOR_SCREEN_READERS.items():
        told = told.replace(tag, ours)
    return HTMLResponse(told, headers={"Content-Security-Policy": "frame-ancestors 'none'"})


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The failures that a route may answer, besides that the store cannot go on."""
    return {status: {"model": ErrorBody, "description": HTTPStatus(status).phrase} for status in (*statuses, 503)}


def a_medium() -> dict[int | str, dict[str, Any]]:
    """The answer that is a medium."""
    return {200: {"description": "The bytes", "content": {"application/octet-stream": _BYTES}}}


def media_or_uri() -> dict[str, Any]:
    """The body of an annotation: bytes, files, or a uri.

    It is not called required, although one without is refused: openapi-python-client 0.29 forgets an import where one
    of several kinds of body is.
    """
    content = {
        "application/octet-stream": _BYTES,
        "multipart/form-data": {"schema": _FILES},
        "application/json": {"schema": UriBody.model_json_schema()},
    }
    return {"requestBody": {"content": content}}


def many_items() -> dict[str, Any]:
    """The body of a registration. JSON lines, which are read as well, stand in the route's text: generators of clients
    know no such type."""
    schema = {"type": "array", "items": ItemLine.model_json_schema(), "minItems": 1}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def one_json(kind: type[Body], required: bool = True) -> dict[str, Any]:
    """A body that is one JSON object; parts with a name of their own are those of some answer."""
    schema = kind.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    content = {"application/json": {"schema": schema}}
    return {"requestBody": {"required": required, "content": content}}
