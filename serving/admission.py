"""How many media may be worked on and wait at once: beyond that, 429 with the time after which to come again."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from serving.errors import Overloaded

_MEMORY = 0.1  # weight of the newest request in the running mean of seconds a medium
_LONGEST_S = 60


class Visit:
    """One request inside, and the number of its media."""

    def __init__(self, admission: "Admission") -> None:
        self._admission = admission
        self.media = 0

    def bring(self, media: int) -> None:
        """Makes room for so many media of this request; it may always fill the place alone.

        Raises:
            Overloaded: others are inside, and there is no room.
        """
        self._admission.make_room(media - self.media, alone=self._admission.inside == self.media)
        self._admission.inside += media - self.media
        self.media = media


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
    def enter(self) -> Iterator[Visit]:
        """Lets a request in, with one medium at first.

        Raises:
            Overloaded: there is no room.
        """
        visit, begun = Visit(self), monotonic()
        visit.bring(1)
        crowd = self.inside
        try:
            yield visit
        finally:
            self.inside -= visit.media
            each = (monotonic() - begun) * self._slots / max(crowd, visit.media, self._slots)
            self._seconds += _MEMORY * (each - self._seconds)

    def make_room(self, media: int, alone: bool) -> None:
        """Does nothing, if so many media may come in now.

        Raises:
            Overloaded: they may not.
        """
        if not alone and self.inside + media > self._room:
            seconds = min(_LONGEST_S, max(1, math.ceil(self._seconds * self.inside / self._slots)))
            message = f"expected at most {self._room} media at work and waiting, got {self.inside} and {media} more"
            raise Overloaded(f"{message}; try again in {seconds} s", seconds)
