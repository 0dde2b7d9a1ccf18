"""A new webhook from what an admin asks for."""

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit
from uuid import uuid4

from models.errors import InvalidInput
from models.records import Task
from serving.store.outbox import Outbox, Webhook
from serving.store.records import Actor, storable
from serving.webhooks.signing import new_secret


def subscribe(
    outbox: Outbox, url: str, kinds: Sequence[str], task: Task | None, actor: Actor, now: datetime
) -> Webhook:
    """Adds a webhook, whose secret is made here.

    An admin says who is told, so any host will do, this machine and private networks included.

    Raises:
        InvalidInput: no http or https address, one that cannot be stored, or a kind of event that there is not.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    storable(url, "webhook")
    if not usable:
        raise InvalidInput(f"webhook: expected an http or https address, got {url!r}")
    webhook = Webhook(uuid4().hex, url, tuple(dict.fromkeys(kinds)), task, new_secret(), now, actor)  # type: ignore[arg-type]
    outbox.add(webhook)
    return webhook
