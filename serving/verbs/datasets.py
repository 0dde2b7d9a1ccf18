"""``prelabel datasets``: the formats there are, and public data sets."""

from pathlib import Path
from typing import Annotated

import typer

from serving.verbs.console import out, table

app = typer.Typer(invoke_without_command=True)


@app.callback()
def list_formats(context: typer.Context) -> None:
    """List the formats of data sets, or fetch a public data set."""
    from models.datasets import FORMATS
    from serving.download import names

    if context.invoked_subcommand is None:
        rows = [
            (
                name,
                found.task,
                "yes" if found.read else "",
                "yes" if found.write else "",
                found.group,
                found.language,
                found.layout,
            )
            for name, found in FORMATS.items()
        ]
        out.print(table(("format", "task", "read", "written", "group", "language", "files below ROOT"), rows))
        out.print(f"To fetch with `prelabel datasets download NAME`: {', '.join(names())}")


@app.command("download")
def download_dataset(
    name: Annotated[str, typer.Argument(help="a public data set; an unknown name lists those there are")],
    to: Annotated[Path | None, typer.Option("--out", help="new folder for it; default: its name, here")] = None,
) -> None:
    """Fetch a public data set, check and unpack it; goes on where it stopped."""
    from serving.download import download, source

    out.print(f"read it as {download(source(name), to or Path(name))}")
