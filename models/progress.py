"""How long work is shown: what is done, at which rate, and how long it will still take."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


class _Rate(ProgressColumn):
    """Items a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f}/s" if task.speed else "")


class _Bars(Progress):
    """Bars of which none stays in the way of an error where nothing was done yet."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.transient = kind is not None and not any(task.completed for task in self.tasks)
        super().__exit__(kind, error, trace)


def progress_bar(console: Console, *more: ProgressColumn) -> Progress:
    """Bars for long work on ``console``, with columns of the work's own before the rate and the time left."""
    description = TextColumn("{task.description}", markup=False)
    return _Bars(description, BarColumn(), MofNCompleteColumn(), *more, _Rate(), TimeRemainingColumn(), console=console)
