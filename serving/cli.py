"""The ``prelabel`` command: each verb is a parse, one call and a print."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from models.errors import PrelabelError
from models.tasks import parse_task

app = typer.Typer(
    help="Models pre-annotate and say how unsure they are; people see only what needs them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console()

Data = Annotated[list[str] | None, typer.Option(help="FORMAT:ROOT[:SPLIT], as often as needed")]


@app.callback()
def prelabel() -> None:
    """Keeps ``prelabel VERB`` even while there is one verb."""


@app.command()
def train(
    task: str,
    data: Data = None,
    held_out: Annotated[list[str] | None, typer.Option(help="data to measure the result on")] = None,
    init: Annotated[str | None, typer.Option(help="the version to start from")] = None,
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    batch_size: Annotated[int | None, typer.Option(min=1)] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0)] = None,
    seed: int = 0,
    notes: Annotated[str, typer.Option(help="words for the model card: the data and its licences")] = "",
    runs: Annotated[Path, typer.Option(help="folder of checkpoints")] = Path("runs"),
    versions: Annotated[Path | None, typer.Option("--out", help="folder of versions")] = None,
) -> None:
    """Train a candidate version on data sets or, without --data, on the store's corrections."""
    from serving.training import Request, train_version

    request = Request(
        task=parse_task(task),
        data=tuple(data or ()),
        held_out=tuple(held_out or ()),
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        notes=notes,
    )
    version = train_version(
        request, start=None, corrections=list, runs_dir=runs, versions_dir=versions or Path("prelabel-data/models")
    )
    out.print(f"{version.name}: {dict(version.metrics)}")
    out.print(str(version.folder))


def main() -> None:
    """Runs the command; a mistake of the user is one line on stderr and exit 2."""
    try:
        app()
    except PrelabelError as error:
        sys.stderr.write(f"prelabel: {error}\n")
        sys.exit(2)
