"""How many requests may work and wait at once: beyond that, 429 with the time after which to come again."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from serving.http_errors import Overloaded

_MEMORY = 0.1  # weight of the newest request in the running mean of seconds a medium
_LONGEST_S = 60


class Admission:
    """Counts the media of the requests that are inside; used from the event loop alone."""

    def __init__(self, slots: int, max_waiting: int) -> None:
        self._slots = slots
        self._room = slots + max_waiting
        self._seconds = 0.1
        self.inside = 0

    @property
    def waiting(self) -> int:
        """Media that wait until others are done."""
        return max(0, self.inside - self._slots)

    @contextmanager
    def enter(self, media: int = 1) -> Iterator[None]:
        """Holds the places of one request while its media are worked on.

        A request of more media than there are places is let in when nobody else is inside.

        Raises:
            Overloaded: there is no room.
        """
        self.make_room(media)
        self.inside += media
        begun, before = monotonic(), self.inside
        try:
            yield
        finally:
            self.inside -= media
            each = (monotonic() - begun) * min(self._slots, before) / before
            self._seconds += _MEMORY * (each - self._seconds)

    def make_room(self, media: int = 1) -> None:
        """Does nothing, if so many media may come in now.

        Raises:
            Overloaded: they may not.
        """
        if self.inside and self.inside + media > self._room:
            seconds = min(_LONGEST_S, max(1, math.ceil(self._seconds * self.inside / self._slots)))
            message = f"expected at most {self._room} media at work and waiting, got {self.inside} and {media} more"
            raise Overloaded(f"{message}; try again in {seconds} s", seconds)
