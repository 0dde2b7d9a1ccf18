"""The routes by which admins say who is told of what, and look at what nobody heard."""

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import Field

from models.tasks import parse_task
from serving.bodies import Body, parse
from serving.deployment import actor_of, deployment_of
from serving.description import documented, one_json
from serving.loop import utc_now
from serving.store.outbox import Delivery, Outbox, Webhook
from serving.telling import as_json
from serving.webhooks import answers
from serving.webhooks.subscribing import subscribe

routes = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])


class SubscriptionBody(Body):
    """Who shall be told of what."""

    url: str = Field(description="an http or https address")
    events: list[str] = Field(description="item.routed, model.promoted, promise.withdrawn")
    task: str | None = Field(None, description="asr, detection or lane; without it, events of every task")


@routes.get("", summary="Who is told", response_model=answers.Webhooks, responses=documented(401, 403))
async def webhooks(request: Request) -> Response:
    """Every webhook, without its secret."""
    known = await run_sync(_outbox(request).webhooks)
    return as_json(answers.Webhooks(tuple(map(_told, known))))


@routes.post(
    "",
    summary="Tell somebody",
    response_model=answers.NewWebhook,
    openapi_extra=one_json(SubscriptionBody),
    responses=documented(401, 403, 404, 422),
)
async def add(request: Request) -> Response:
    """From now on events go there, signed as Standard Webhooks are; the secret is in the answer, and nowhere else."""
    body: SubscriptionBody = parse(SubscriptionBody, await request.body(), "body")
    task = parse_task(body.task) if body.task else None
    asked = _outbox(request), body.url, body.events, task, actor_of(request), utc_now()
    webhook = await run_sync(subscribe, *asked)
    return as_json(answers.NewWebhook(**vars(_told(webhook)), secret=webhook.secret))


@routes.get(
    "/dead", summary="Messages that nobody heard", response_model=answers.DeadLetters, responses=documented(401, 403)
)
async def dead(request: Request) -> Response:
    """What was tried to the end; the last failure says why."""
    letters = await run_sync(_outbox(request).dead)
    return as_json(answers.DeadLetters(tuple(map(_letter, letters))))


@routes.post(
    "/dead/{delivery_id}/retry", summary="Tell it again", status_code=204, responses=documented(401, 403, 404, 422)
)
async def retry(delivery_id: int, request: Request) -> Response:
    """The message is due at once, with all attempts before it."""
    await run_sync(_outbox(request).retry, delivery_id, actor_of(request), utc_now())
    return Response(status_code=204)


@routes.delete(
    "/{webhook_id}", summary="Tell somebody no more", status_code=204, responses=documented(401, 403, 404, 422)
)
async def remove(webhook_id: str, request: Request) -> Response:
    """What was still to be told there is forgotten."""
    await run_sync(_outbox(request).remove, webhook_id, actor_of(request), utc_now())
    return Response(status_code=204)


def _outbox(request: Request) -> Outbox:
    return deployment_of(request).loop.store.outbox


def _told(webhook: Webhook) -> answers.Webhook:
    return answers.Webhook(webhook.id, webhook.url, tuple(webhook.kinds), webhook.task, webhook.made_at)


def _letter(one: Delivery) -> answers.DeadLetter:
    return answers.DeadLetter(
        one.id, one.webhook, one.url, one.kind, one.told_at, one.attempts, one.failure or "", one.body
    )
