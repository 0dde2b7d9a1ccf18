"""The page at ``/annotators``: how fast each person is and how often right; programs read ``/v1/annotators``."""

from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import Response

from models.records import TASKS
from serving.dashboard.frame import page
from serving.deployment import Deployment, deployment_of

routes = APIRouter()


@routes.get("/annotators")
async def annotators(request: Request) -> Response:
    """Who labelled, task by task, by name."""
    what = await run_sync(_what, deployment_of(request))
    return page(request, "annotators.html", **what)


def _what(deployment: Deployment) -> dict[str, Any]:
    labelled = deployment.loop.labelled
    return {
        "tasks": {task: people for task in TASKS if (people := labelled.annotators(task))},
        "planted": {task: labelled.planted(task) for task in TASKS},
    }
