"""The routes by which admins say who is told of what, and look at what nobody heard."""

from datetime import datetime
from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from models.tasks import parse_task
from serving.bodies import Body, parse
from serving.description import documented, one_json
from serving.loop import utc_now
from serving.store.outbox import Delivery, Outbox, Webhook
from serving.webhooks.subscribing import subscribe

routes = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])


class SubscriptionBody(Body):
    """Who shall be told of what."""

    url: str = Field(description="an http or https address")
    events: list[str] = Field(description="item.routed, model.promoted, promise.withdrawn")
    task: str | None = Field(None, description="asr, detection or lane; without it, events of every task")


class WebhookBody(BaseModel):
    """Who is told of what."""

    id: str
    url: str
    events: list[str]
    task: str | None
    made_at: datetime


class NewWebhookBody(WebhookBody):
    """A new webhook, with the secret that signs its messages; it is shown this once."""

    secret: str


class WebhooksBody(BaseModel):
    """Every webhook."""

    webhooks: list[WebhookBody]


class DeadBody(BaseModel):
    """A message that nobody heard, and why at the last attempt."""

    id: int
    webhook: str
    url: str
    event: str
    told_at: datetime
    attempts: int
    failure: str
    body: str


class DeadLettersBody(BaseModel):
    """Messages that nobody heard, oldest first."""

    dead: list[DeadBody]


@routes.get("", summary="Who is told", response_model=WebhooksBody, responses=documented(401, 403))
async def webhooks(request: Request) -> Response:
    """Every webhook, without its secret."""
    known = await run_sync(_outbox(request).webhooks)
    return _json(WebhooksBody(webhooks=[WebhookBody(**_told(webhook)) for webhook in known]))


@routes.post(
    "",
    summary="Tell somebody",
    response_model=NewWebhookBody,
    openapi_extra=one_json(SubscriptionBody),
    responses=documented(401, 403, 404, 422),
)
async def add(request: Request) -> Response:
    """From now on events go there, signed as Standard Webhooks are; the secret is in the answer, and nowhere else."""
    body: SubscriptionBody = parse(SubscriptionBody, await request.body(), "body")
    task = parse_task(body.task) if body.task else None
    asked = _outbox(request), body.url, body.events, task, str(request.state.actor), utc_now()
    webhook = await run_sync(subscribe, *asked)
    return _json(NewWebhookBody(**_told(webhook), secret=webhook.secret))


@routes.get(
    "/dead", summary="Messages that nobody heard", response_model=DeadLettersBody, responses=documented(401, 403)
)
async def dead(request: Request) -> Response:
    """What was tried to the end; the last failure says why."""
    letters = await run_sync(_outbox(request).dead)
    return _json(DeadLettersBody(dead=[_letter(one) for one in letters]))


@routes.post(
    "/dead/{delivery_id}/retry", summary="Tell it again", status_code=204, responses=documented(401, 403, 404, 422)
)
async def retry(delivery_id: int, request: Request) -> Response:
    """The message is due at once, with all attempts before it."""
    await run_sync(_outbox(request).retry, delivery_id, str(request.state.actor), utc_now())
    return Response(status_code=204)


@routes.delete(
    "/{webhook_id}", summary="Tell somebody no more", status_code=204, responses=documented(401, 403, 404, 422)
)
async def remove(webhook_id: str, request: Request) -> Response:
    """What was still to be told there is forgotten."""
    await run_sync(_outbox(request).remove, webhook_id, str(request.state.actor), utc_now())
    return Response(status_code=204)


def _outbox(request: Request) -> Outbox:
    outbox: Outbox = request.app.state.deployment.loop.store.outbox
    return outbox


def _told(webhook: Webhook) -> dict[str, Any]:
    return {"id": webhook.id, "url": webhook.url, "events": list(webhook.kinds), "task": webhook.task,
            "made_at": webhook.made_at}  # fmt: skip


def _letter(one: Delivery) -> DeadBody:
    return DeadBody(id=one.id, webhook=one.webhook, url=one.url, event=one.kind, told_at=one.told_at,
                    attempts=one.attempts, failure=one.failure or "", body=one.body)  # fmt: skip


def _json(body: BaseModel) -> Response:
    return Response(body.model_dump_json(), media_type="application/json")
