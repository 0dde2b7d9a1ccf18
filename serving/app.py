"""The app: all routes, and what every request passes on its way to one."""

from fastapi import Depends, FastAPI

from serving import dashboard, description, http_errors
from serving.auth import TokenAuth
from serving.bodies import only_known
from serving.body_limit import BodyLimit
from serving.cvat import backend as cvat
from serving.dashboard.failed import failed
from serving.label_studio import backend as label_studio
from serving.metrics import Measured
from serving.routes import annotating, figures, gold, items, models, probes, queue
from serving.settings import Settings
from serving.webhooks import routes as webhooks


def create_app(settings: Settings) -> FastAPI:
    """The app; ``app.state.deployment`` must be there before the first request."""
    app = FastAPI(**description.OF_APP, redirect_slashes=False)
    for part in (annotating, items, gold, queue, models, figures, webhooks):
        app.include_router(part.routes, dependencies=[Depends(only_known)], responses=description.documented(422))
    for room in (probes, description, dashboard, label_studio, cvat):
        app.include_router(room.routes)
    http_errors.install(app, failed)
    app.add_middleware(BodyLimit, limit=settings.largest_body)
    app.add_middleware(TokenAuth, store=lambda: app.state.deployment.loop.store, page=failed)
    # the last one added is the outermost
    app.add_middleware(Measured, metrics=lambda: app.state.deployment.metrics, page=failed)
    return app
