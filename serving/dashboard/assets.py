"""The few files that pages need: style sheets, scripts, the icon, and the page of the API's description."""

from importlib.resources import files

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response

from models.errors import NotFound

_ASSETS = {
    **{file.name: file for file in (files("serving.dashboard") / "static").iterdir()},
    "look.css": files("models.drawing") / "look.css",
    "charts.css": files("models.report") / "charts.css",
    # The package that carries the service brings Swagger UI along.
    **{
        name: files("bentoml._internal.server") / "static_content" / name
        for name in ("swagger-ui-bundle.js", "swagger-ui.css")
    },
}

routes = APIRouter()


@routes.get("/static/{name}")
async def asset(name: str) -> Response:
    """One file, by its name."""
    if name not in _ASSETS:
        raise NotFound(f"asset: expected one of {', '.join(sorted(_ASSETS))}, got {name!r}")
    return FileResponse(str(_ASSETS[name]), headers={"Cache-Control": "max-age=3600"})
