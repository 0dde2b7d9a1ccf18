"""A folder that one process at a time works in."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.errors import InvalidInput


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """The folder, made if it is not there, and held by this process until the block ends.

    Raises:
        InvalidInput: it cannot be made, opened or held, or another process holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise InvalidInput(f"{folder}: expected a folder to write to, got {error.strerror}") from error
    try:
        _lock(held, folder)
        yield
    finally:
        os.close(held)


def _lock(held: int, folder: Path) -> None:
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InvalidInput(f"{folder}: expected to be the only run there, got another one going on") from error
    except OSError as error:
        raise InvalidInput(f"{folder}: expected a folder that a run can hold, got {error.strerror}") from error
