"""The files of a report, each of which appears whole or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HIDDEN = ".writing"


@contextmanager
def appearing(out: Path) -> Iterator[Path]:
    """A hidden folder below ``out`` to write into; when the block ends its files move up, in the order of their names.

    A failure leaves nothing, and what a killed run left there is cleared away.
    """
    work = out / _HIDDEN
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        yield work
        for file in sorted(work.iterdir()):
            file.replace(out / file.name)
    finally:
        shutil.rmtree(work, ignore_errors=True)
