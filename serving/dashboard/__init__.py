"""The pages for people, rendered here, with everything they need from this package."""

from fastapi import APIRouter

from serving.dashboard import assets, log, overview, review, sign_in

routes = APIRouter(include_in_schema=False)
for page in (overview, log, review, sign_in, assets):
    routes.include_router(page.routes)
