"""``prelabel webhook``: who is told what happens here."""

from typing import Annotated

import typer

from models.tasks import parse_task
from serving.loop import Loop, utc_now
from serving.store.outbox import Outbox
from serving.verbs.console import ACTOR, Database, out, settings_of, table

app = typer.Typer(help="Say who is told of what happens here, and look at what nobody heard.", no_args_is_help=True)


@app.command("add")
def add(
    url: str,
    event: Annotated[
        list[str], typer.Option(help="item.routed, model.promoted, promise.withdrawn; as often as needed")
    ],
    task: Annotated[str | None, typer.Option(help="asr, detection or lane; without it, every task")] = None,
    db: Database = None,
) -> None:
    """Tell an address of events, and print its id and the secret that signs them, which is shown this once."""
    from serving.webhooks.subscribing import subscribe

    webhook = subscribe(_outbox(db), url, event, parse_task(task) if task else None, ACTOR, utc_now())
    out.print(f"{webhook.id} {webhook.secret}")


@app.command("list")
def webhooks(db: Database = None) -> None:
    """List who is told of what."""
    rows = [(one.id, one.url, ", ".join(one.kinds), one.task or "every", f"{one.made_at:%Y-%m-%d %H:%M}")
            for one in _outbox(db).webhooks()]  # fmt: skip
    out.print(table(("id", "address", "events", "task", "made"), rows))


@app.command("remove")
def remove(webhook_id: str, db: Database = None) -> None:
    """Tell an address no more; what it was still to be told is forgotten."""
    _outbox(db).remove(webhook_id, ACTOR, utc_now())
    out.print(f"{webhook_id} is removed")


@app.command("dead")
def dead(db: Database = None) -> None:
    """List the messages that nobody heard, and why."""
    rows = [(str(one.id), one.url, one.kind, f"{one.told_at:%Y-%m-%d %H:%M}", one.failure or "")
            for one in _outbox(db).dead()]  # fmt: skip
    out.print(table(("id", "address", "event", "told", "failure"), rows))


@app.command("retry")
def retry(delivery_id: int, db: Database = None) -> None:
    """Tell a message again that nobody heard."""
    again = _outbox(db).retry(delivery_id, ACTOR, utc_now())
    out.print(f"{delivery_id} {'is told again' if again else 'waits to be told already'}")


def _outbox(db: str | None) -> Outbox:
    return Loop.open(settings_of(database_url=db)).store.outbox
