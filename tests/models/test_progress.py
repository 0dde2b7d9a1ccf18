"""Bars of long work."""

from io import StringIO

import pytest
from rich.console import Console

from models.errors import InvalidInput
from models.progress import progress_bar


@pytest.mark.parametrize(("done", "shown"), [(0, ""), (2, "clips")])
def test_a_bar_stays_beside_an_error_where_something_was_done(done: int, shown: str) -> None:
    console = Console(file=StringIO(), width=80)

    def work() -> None:
        with progress_bar(console) as progress:
            progress.advance(progress.add_task("clips", total=3), done)
            raise InvalidInput("refused")

    with pytest.raises(InvalidInput, match="refused"):
        work()
    assert isinstance(console.file, StringIO)
    assert console.file.getvalue().strip()[:5] == shown


def test_a_bar_of_nothing_stays_where_nothing_failed() -> None:
    console = Console(file=StringIO(), width=80)
    with progress_bar(console) as progress:
        progress.add_task("clips", total=0)
    assert isinstance(console.file, StringIO)
    assert console.file.getvalue().startswith("clips")
