"""A disk that takes no more, told in one line: where, what there was no room for, and what is kept all the same."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EDQUOT, EFBIG, EIO, ENOSPC
from pathlib import Path

from models.errors import InvalidInput

FULL = (ENOSPC, EDQUOT, EFBIG, EIO)  # the disk, what its user may have of it, what one file may; it is broken


@contextmanager
def room(where: Path, what: str, kept: str) -> Iterator[None]:
    """Work that writes ``what`` to a folder or file, and leaves ``kept`` where the disk refuses it.

    Raises:
        InvalidInput: it does. Whatever else the system says is left as it is.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        told = os.strerror(error.errno)
        raise InvalidInput(f"{where}: expected room for {what}, got {told}; {kept}") from error
