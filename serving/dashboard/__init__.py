"""The pages for people, rendered here, with everything they need from this package."""

from fastapi import APIRouter

from serving.dashboard import (
    annotators,
    assets,
    errors,
    items,
    log,
    models,
    overview,
    queue,
    reasons,
    review,
    sign_in,
    thumbnails,
)

routes = APIRouter(include_in_schema=False)
for page in (
    overview, queue, items, review, models, annotators, errors, log, reasons, thumbnails, sign_in, assets,
):  # fmt: skip
    routes.include_router(page.routes)
