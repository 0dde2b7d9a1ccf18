"""``prelabel models``: the versions there are, and models that others made."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from models.tasks import parse_task
from models.versions import beginning
from serving.loop import Loop
from serving.verbs.console import ACTOR, Database, TaskName, out, settings_of, table

app = typer.Typer(
    help="List the versions of every task and which of them serve, or import a model.", invoke_without_command=True
)


@app.callback()
def models(context: typer.Context, db: Database = None) -> None:
    """List the versions of every task and which of them serve, or import a model."""
    if context.invoked_subcommand is not None:
        return
    versions = Loop.open(settings_of(database_url=db)).versions.all()
    rows = [
        (
            one.task,
            one.name,
            one.state,
            f"{one.created_at:%Y-%m-%d %H:%M}",
            one.parent or beginning(one.folder),
            _quality(one.metrics),
            str(one.metrics.get("held_out", "")),
        )
        for one in versions
    ]
    out.print(table(("task", "version", "state", "made", "from", "quality", "measured on"), rows))


@app.command("import")
def import_model(
    task: TaskName,
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="an ONNX file, a version's folder, a checkpoint, LIBRARY:MODEL[:FILE] or whisper:SIZE"
        ),
    ],
    declare: Annotated[Path | None, typer.Option(help="TOML that says what the file does not")] = None,
    name: Annotated[str, typer.Option(help="words for the model card: whose model it is, its licence")] = "",
    db: Database = None,
) -> None:
    """Make a candidate of a model that others made."""
    from serving.importing import import_candidate

    settings = settings_of(database_url=db)
    version = import_candidate(parse_task(task), source, declare, name, Loop.open(settings), settings, ACTOR)
    out.print(f"{version.name} in {version.folder}")


def _quality(metrics: Mapping[str, Any]) -> str:
    return f"{metrics['quality']:.3f}" if "quality" in metrics else "unmeasured"
