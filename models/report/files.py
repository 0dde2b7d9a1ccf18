"""The files of a report, each of which appears whole or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.errors import InvalidInput
from models.room import room

_HIDDEN = ".writing"


@contextmanager
def appearing(out: Path) -> Iterator[Path]:
    """A hidden folder below ``out`` to write into; when the block ends its files move up, in the order of their names.

    A failure leaves nothing, and what a killed run left there is cleared away.

    Raises:
        InvalidInput: the folder does not take them, as where the disk is full.
    """
    work = out / _HIDDEN
    shutil.rmtree(work, ignore_errors=True)
    try:
        with room(out, "a report", "what was found until then is kept there, and the same command goes on from it"):
            work.mkdir()
            yield work
            for file in sorted(work.iterdir()):
                file.replace(out / file.name)
    except OSError as error:
        raise InvalidInput(f"{out}: expected a folder to write to, got {error.strerror or error}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
