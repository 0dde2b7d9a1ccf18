"""What the API answers about webhooks, beside the records of ``serving.answers``."""

from dataclasses import dataclass
from datetime import datetime

from models.records import Task


@dataclass(frozen=True)
class Webhook:
    """Who is told of what."""

    id: str
    url: str
    events: tuple[str, ...]
    task: Task | None
    made_at: datetime


@dataclass(frozen=True)
class NewWebhook(Webhook):
    """A new webhook, with the secret that signs its messages; it is shown this once."""

    secret: str


@dataclass(frozen=True)
class Webhooks:
    """Every webhook."""

    webhooks: tuple[Webhook, ...]


@dataclass(frozen=True)
class DeadLetter:
    """A message that nobody heard, and why at the last attempt; ``body`` is its JSON."""

    id: int
    webhook: str
    url: str
    event: str
    told_at: datetime
    attempts: int
    failure: str
    body: str


@dataclass(frozen=True)
class DeadLetters:
    """Messages that nobody heard, oldest first."""

    dead: tuple[DeadLetter, ...]
