"""``prelabel gold``: which items decide promotions and measure people, and train nothing."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from models import datasets
from models.counting import counted
from models.errors import InvalidInput, NotFound
from models.records import TASKS, Task
from models.tasks import parse_task
from serving.loop import Loop
from serving.verbs.console import ACTOR, Database, TaskName, out, settings_of, table

app = typer.Typer(
    help="Choose items that decide promotions and measure people, and train nothing.", invoke_without_command=True
)

Ids = Annotated[list[str] | None, typer.Argument(help="ids of items")]
FromFile = Annotated[Path | None, typer.Option("--from", help="file with an id a line; - for standard input")]


@app.callback()
def gold(context: typer.Context, db: Database = None) -> None:
    """List how many items are gold, or choose some."""
    if context.invoked_subcommand is not None:
        return
    loop = Loop.open(settings_of(database_url=db))
    rows = []
    for task in TASKS:
        counts = loop.store.gold.counts(task)
        every = sum(1 for _ in loop.gold.labelled(task))
        rows.append((task, str(every), str(every - counts.labelled), *map(str, (counts.chosen, counts.labelled))))
    out.print(table(("task", "gold", "by chance alone", "chosen", "of these with a label"), rows))


@app.command("mark")
def mark(task: TaskName, ids: Ids = None, file: FromFile = None, db: Database = None) -> None:
    """Choose items: people label those that have no label yet, whatever their doubt."""
    loop, name = Loop.open(settings_of(database_url=db)), parse_task(task)
    out.print(loop.gold.choose(name, _named(name, ids, file), ACTOR).words)


@app.command("unmark")
def unmark(task: TaskName, ids: Ids = None, file: FromFile = None, db: Database = None) -> None:
    """Take that back: with a label they train from now on."""
    loop, name = Loop.open(settings_of(database_url=db)), parse_task(task)
    gone = loop.gold.take_back(name, _named(name, ids, file), ACTOR)
    out.print(f"{gone} chosen as gold no longer")


@app.command("import")
def bring(
    task: TaskName,
    data: Annotated[str, typer.Argument(metavar="FORMAT:ROOT[:SPLIT]", help="label data known to be right")],
    db: Database = None,
) -> None:
    """Register media with labels that are known to be right, all of them as gold. Exit code 1 when one was left out."""
    from serving.training import short_name

    loop, name = Loop.open(settings_of(database_url=db)), parse_task(task)
    datasets.require_task("gold", name, [data])
    brought = loop.gold.bring(name, datasets.read(data), short_name(data), ACTOR)
    out.print(f"{counted(brought.labels, 'new label')}; {brought.choice.words}")
    for _, why in brought.failed:
        out.print(f"left out: {why}")
    raise typer.Exit(1 if brought.failed else 0)


def _named(task: Task, ids: list[str] | None, file: Path | None) -> list[str]:
    """The ids that the command line names, and those in the file."""
    named = [*(ids or ()), *(_text(file).split() if file else ())]
    if not named:
        raise InvalidInput(f"gold {task}: expected ids of items, got none")
    return named


def _text(file: Path) -> str:
    """What stands in a file, or comes on standard input."""
    try:
        told = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return told.decode("utf-8-sig")
    except OSError as error:
        raise NotFound(f"{file}: expected a file with an id a line, got {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file}: expected ids in UTF-8, got {error}") from error
