"""``prelabel cvat``: jobs that no webhook told of are taken over, and what went wrong is told."""

from typing import Annotated

import typer

from models.counting import counted
from models.errors import InvalidInput, NotFound
from serving.loop import Loop
from serving.verbs.console import Database, out, settings_of

app = typer.Typer(help="Take over jobs of CVAT.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Take over jobs of CVAT."""


@app.command("sync")
def sync_jobs(
    job: Annotated[list[int] | None, typer.Option(min=1, help="a job's number in CVAT, as often as needed")] = None,
    db: Database = None,
) -> None:
    """Take over completed jobs, and tell what could not be. Exit code 1 when something could not."""
    from serving.cvat.client import connect, require
    from serving.cvat.corrections import TOOL, Corrections

    settings = settings_of(database_url=db)
    loop, client = Loop.open(settings), require(connect(settings))
    corrections, failed = Corrections(loop, client, settings), loop.store.inbox.failures(TOOL)
    for number in job or ():
        try:
            out.print(f"job {number}: {counted(corrections.take(number), 'new correction')}")
        except (InvalidInput, NotFound) as error:
            failed.append(str(error))
    for why in failed:
        out.print(f"failed: {why}")
    waiting, dead = loop.store.inbox.counts(TOOL)
    out.print(f"events: {waiting} wait, {dead} could not be worked on")
    raise typer.Exit(1 if failed else 0)
