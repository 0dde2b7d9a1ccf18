"""``prelabel label-studio``: projects are attached, and what they have is taken over."""

from typing import Annotated

import typer
from rich.console import Console

from models.tasks import parse_task
from serving.loop import Loop
from serving.verbs.console import ACTOR, Database, out, settings_of, table

app = typer.Typer(help="Attach projects of Label Studio, or take over what they have.", no_args_is_help=True)


@app.command("attach")
def attach_project(
    project: Annotated[int, typer.Option(min=1, help="the project's number in Label Studio")],
    task: Annotated[str, typer.Option(help="asr, detection or lane")],
    url: Annotated[str | None, typer.Option(help="Label Studio's address, instead of the setting's")] = None,
    service: Annotated[str | None, typer.Option(help="where Label Studio reaches this service")] = None,
    db: Database = None,
) -> None:
    """Connect a project with the running service. Exit code 1 when a task has no prediction, or an empty one because
    its medium could not be read."""
    from models.progress import progress_bar
    from serving.label_studio.client import connect, require
    from serving.label_studio.projects import attach

    name, settings = parse_task(task), settings_of(database_url=db, label_studio_url=url)
    here = service or f"http://{settings.host}:{settings.port}"
    with progress_bar(Console(stderr=True)) as bar:
        shown = bar.add_task("predictions", total=None)
        attached = attach(
            Loop.open(settings),
            require(connect(settings)),
            settings,
            name,
            project,
            here,
            ACTOR,
            lambda done, total: bar.update(shown, completed=done, total=total),
        )
    for why in attached.unread:
        out.print(f"unread: {why}")
    for why in attached.left_out:
        out.print(f"no prediction yet: {why}")
    if attached.planted:
        out.print(f"gold: {attached.planted} planted")
    out.print(f"project {project}: {attached.stored} tasks have a prediction of {attached.version}, which it shows now")
    raise typer.Exit(1 if attached.unread or attached.left_out else 0)


@app.command("detach")
def detach_project(
    project: Annotated[int, typer.Option(min=1, help="the project's number in Label Studio")],
    task: Annotated[str, typer.Option(help="asr, detection or lane")],
    db: Database = None,
) -> None:
    """Look after a project no longer, also one that was deleted there. Its labels stay."""
    from serving.label_studio.client import connect
    from serving.label_studio.projects import detach

    settings = settings_of(database_url=db)
    left = detach(Loop.open(settings), connect(settings), parse_task(task), project, ACTOR)
    out.print(
        f"project {project}: no longer attached; remove its model in Label Studio's settings, if it is there still"
    )
    if left:
        out.print(f"its webhook may be there still, which would go on bringing annotations: {left}")


@app.command("sync")
def sync_projects(db: Database = None) -> None:
    """Take over what no webhook told of every attached project. Exit code 1 when something could not be."""
    from serving.label_studio.projects import sync

    settings = settings_of(database_url=db)
    found = sync(Loop.open(settings), settings)
    rows = [(f"{one.task} {one.project}", *map(str, (got.new, got.known, got.withdrawn, len(got.failed))))
            for one, got in found.projects]  # fmt: skip
    out.print(table(("project", "new", "known", "withdrawn", "failed"), rows))
    failed = [why for _, got in found.projects for why in got.failed]
    for why in failed:
        out.print(f"failed: {why}")
    if found.planted:
        out.print(f"gold: {found.planted} more planted")
    out.print(f"events: {found.waiting} wait, {found.dead} could not be worked on")
    raise typer.Exit(1 if found.dead or failed else 0)
