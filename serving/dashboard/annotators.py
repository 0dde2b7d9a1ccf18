"""The page at ``/annotators``: how fast each person is and how often right; programs read ``/v1/annotators``."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import Response

from models.records import TASKS, Task
from selection.annotators import Standing
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
        "tasks": {task: people for task in TASKS if (people := _people(deployment, task, labelled.changes(task)))},
        "planted": {task: labelled.planted(task) for task in TASKS},
    }


@lru_cache(maxsize=16)
def _people(deployment: Deployment, task: Task, _changes: tuple[int, int]) -> Sequence[Standing]:
    """Everybody's standing, looked at again when people said something more."""
    return deployment.loop.labelled.annotators(task)
