"""Gold items: which are chosen, and choosing them."""

from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import Field

from models.records import LABEL_TYPES, Task, from_json
from models.tasks import parse_task
from serving import answers
from serving.bodies import Body, parse
from serving.deployment import actor_of, deployment_of
from serving.description import documented, one_json
from serving.gold import Choice
from serving.loop import Loop
from serving.telling import as_json

MOST_CHOSEN = 1000

routes = APIRouter()


class GoldBody(Body):
    """An item that shall be gold, and its label where that is known to be right."""

    task: Task
    label: dict[str, Any] | None = Field(None, description="as in a correction; without it people label the item")


@routes.get(
    "/v1/gold",
    summary="The items chosen as gold",
    response_model=answers.ChosenItems,
    responses=documented(401, 403, 404, 422),
)
async def gold(
    task: str, request: Request, limit: Annotated[int, Query(ge=1, le=MOST_CHOSEN)] = 50, after: str = ""
) -> Response:
    """For those who promote. Beside these, a share of what people correct is gold by chance."""
    return as_json(await run_sync(_page, deployment_of(request).loop, parse_task(task), limit, after))


@routes.put(
    "/v1/items/{item_id}/gold",
    summary="Choose an item as gold",
    response_model=answers.Choice,
    openapi_extra=one_json(GoldBody),
    responses=documented(401, 403, 404, 413, 422),
)
async def choose(item_id: str, request: Request) -> Response:
    """No training sees it from now on, it decides promotions, and may be planted, once it has a label: one that comes
    along, which is known to be right and counts, or a person's, whom it goes to however sure the model is."""
    body: GoldBody = parse(GoldBody, await request.body(), "body")
    choice = await run_sync(_choose, deployment_of(request).loop, item_id, body, actor_of(request))
    became = (bool(choice.new), not choice.unlabelled, bool(choice.trained_on), bool(choice.replaced))
    return as_json(answers.Choice(item_id, body.task, *became))


@routes.delete(
    "/v1/items/{item_id}/gold",
    summary="Choose an item as gold no longer",
    status_code=204,
    responses=documented(401, 403, 404, 409, 422),
)
async def take_back(item_id: str, task: str, request: Request) -> Response:
    """With a label it trains from now on. Nothing happens where it is not gold; one that is so by chance is refused."""
    await run_sync(deployment_of(request).loop.gold.take_back, parse_task(task), [item_id], actor_of(request))
    return Response(status_code=204)


def _page(loop: Loop, task: Task, limit: int, after: str) -> answers.ChosenItems:
    found = loop.store.gold.page(task, limit + 1, after)
    told = tuple(answers.Chosen(one.item.id, one.item.uri, one.state, one.at) for one in found[:limit])
    following = told[-1].item_id if len(found) > limit else None
    return answers.ChosenItems(task=task, **vars(loop.store.gold.counts(task)), items=told, next=following)


def _choose(loop: Loop, item_id: str, body: GoldBody, actor: str) -> Choice:
    if body.label is None:
        return loop.gold.choose(body.task, [item_id], actor)
    return loop.gold.know(body.task, item_id, from_json(LABEL_TYPES[body.task], body.label), actor)
