"""The server's log, in which what goes wrong again and again is told once a minute."""

import logging
import time
from collections.abc import Callable

from models.records import Seconds

EVERY_S: Seconds = 60.0

log = logging.getLogger("bentoml.prelabel")  # the server shows what is below "bentoml"


class Sparing(logging.Filter):
    """Lets a warning pass that was not told within the last ``EVERY_S``, and everything else."""

    def __init__(self, clock: Callable[[], Seconds] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._told_at: dict[str, Seconds] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line is told."""
        if record.levelno != logging.WARNING:
            return True
        message, now = record.getMessage(), self._clock()
        self._told_at = {told: at for told, at in self._told_at.items() if now - at < EVERY_S}
        if message in self._told_at:
            return False
        self._told_at[message] = now
        return True


log.addFilter(Sparing())
