"""``prelabel token``: who may do what."""

from datetime import datetime
from typing import Annotated

import typer

from serving import tokens
from serving.loop import Loop, utc_now
from serving.verbs.console import ACTOR, Database, out, settings_of, table

app = typer.Typer(help="Make, list and revoke API tokens.", no_args_is_help=True)


@app.command("make")
def make_token(
    name: str,
    scope: Annotated[list[str], typer.Option(help="annotate, correct, promote or admin; as often as needed")],
    db: Database = None,
) -> None:
    """Make a token and print its secret, which is shown this once."""
    out.print(tokens.make_token(Loop.open(settings_of(database_url=db)).store, name, scope, ACTOR, utc_now()))


@app.command("list")
def list_tokens(db: Database = None) -> None:
    """List every token and what it may do."""
    known = Loop.open(settings_of(database_url=db)).store.tokens.all()
    rows = [(t.name, ", ".join(t.scopes), f"{t.created_at:%Y-%m-%d %H:%M}", _when(t.revoked_at)) for t in known]
    out.print(table(("name", "scopes", "made", "revoked"), rows))


@app.command("revoke")
def revoke_token(name: str, db: Database = None) -> None:
    """End a token at once."""
    Loop.open(settings_of(database_url=db)).store.tokens.revoke(name, ACTOR, utc_now())
    out.print(f"{name} is revoked")


def _when(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""
