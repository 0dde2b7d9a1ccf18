"""What every verb uses: where it prints, its common options, the settings it works by."""

from collections.abc import Iterable, Sequence
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from models.errors import InvalidInput
from models.records import explain
from serving.settings import Settings

ACTOR = "cli"

# Tables keep whole names, the terminal wraps; a name such as clip[take2] is no markup and :car: no picture.
out = Console(soft_wrap=True, width=400, markup=False, emoji=False)

Database = Annotated[str | None, typer.Option("--db", help="SQLite file or PostgreSQL URL")]
TaskName = Annotated[str, typer.Argument(help="asr, detection or lane")]
Data = Annotated[list[str] | None, typer.Option(help="FORMAT:ROOT[:SPLIT], as often as needed")]


def settings_of(**given: object) -> Settings:
    """The environment's settings, overridden by what the command line gives."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        raise InvalidInput(f"settings: {explain(error)}") from error


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table without lines around it."""
    made = Table(*columns, box=None)
    for row in rows:
        made.add_row(*row)
    return made
