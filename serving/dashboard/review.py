"""The built-in editor: ``/review/{task}`` hands out the queue, one item after the other, to a person without a tool.

The page brings its language and what it must know of the task; its scripts (``static/review*.js``) lease items and send
corrections through the public routes.
"""

from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from models.drawing.shapes import hue
from models.records import TASKS, Task
from models.tasks import parse_task
from serving.dashboard.frame import page
from serving.dashboard.queue import busiest_task
from serving.deployment import actor_of, deployment_of
from serving.label_names import categories_of
from serving.store.records import UNFIT

routes = APIRouter()


@routes.get("/review")
async def busiest(request: Request) -> Response:
    """To the task with the most items that wait for a person."""
    task = await run_sync(busiest_task, deployment_of(request).loop)
    return RedirectResponse(f"/review/{task}", 303, {"Cache-Control": "no-store"})


@routes.get("/review/{task}")
async def from_queue(task: str, request: Request) -> Response:
    """The next item of the queue, and then the others."""
    return await _editor(request, parse_task(task), None)


@routes.get("/review/{task}/{item_id}")
async def one_item(task: str, item_id: str, request: Request) -> Response:
    """That very item, whatever its state, and then the queue."""
    deployment = deployment_of(request)
    item = await run_sync(deployment.loop.item, item_id)
    return await _editor(request, parse_task(task), item.id)


async def _editor(request: Request, task: Task, item_id: str | None) -> Response:
    deployment = deployment_of(request)
    categories = await run_sync(categories_of, deployment.loop, task)
    about = about_task(task, actor_of(request), item_id, categories)
    return page(request, "review.html", tasks=TASKS, task=task, about=about, reasons=UNFIT[task])


def about_task(task: Task, annotator: str, item_id: str | None, categories: tuple[str, ...]) -> dict[str, Any]:
    """What the scripts must know: the task, who works, the first item, and categories with their hues in degrees."""
    hues = [{"name": name, "hue": hue(name)} for name in categories]
    return {"task": task, "annotator": annotator, "item_id": item_id, "categories": hues}
