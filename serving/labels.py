"""Labels out: what the store knows for certain, or another data set, as files of a public format."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Console

from models import datasets
from models.progress import progress_bar
from models.records import Item, Label, Task
from serving.loop import Loop


def export(
    loop: Loop,
    task: Task,
    name: str,
    out: Path,
    *,
    accepted: bool = False,
    consensus: bool = False,
    console: Console | None = None,
) -> int:
    """Writes the labels that people gave and, where asked, those accepted unseen; returns how many there were.

    Of an item that several people labelled, the newest label or, where asked, their consensus. ``out`` is made whole or
    not at all.

    Raises:
        InvalidInput: not a format for that task, or ``out`` is not empty; a medium was changed since it came.
        NotFound: a medium is gone.
    """
    return _written(name, task, loop.labelled.labels(task, accepted, consensus), out, console)


def convert(spec: str, name: str, out: Path, *, console: Console | None = None) -> int:
    """Writes the data set ``FORMAT:ROOT[:SPLIT]`` anew in another format of its task; returns how many items it has.

    Raises:
        InvalidDataset, NotFound: as ``datasets.read``.
        InvalidInput: not a format for its task, or ``out`` is not empty.
    """
    return _written(name, datasets.task_of(spec), datasets.read(spec), out, console)


def _written(name: str, task: Task, pairs: Iterable[tuple[Item, Label]], out: Path, console: Console | None) -> int:
    write = datasets.writer(name, task)
    with progress_bar(console or Console(stderr=True)) as progress:
        bar = progress.add_task(f"write {name}", total=None)

        def shown() -> Iterator[tuple[Item, Label]]:
            for pair in pairs:
                yield pair
                progress.advance(bar)

        write(out, shown())
    return int(progress.tasks[bar].completed)
