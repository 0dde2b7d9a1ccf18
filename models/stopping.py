"""Ctrl-C put off until work can be left: between two steps, when what is done can be kept."""

import signal
import threading
from types import FrameType
from typing import Self


class Stop:
    """While it is entered, in the main thread, the first Ctrl-C is only ``asked`` for; the second ends at once.

    Where Ctrl-C is ignored, as in the background of a script, it stays so.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before = signal.getsignal(signal.SIGINT)

    def __enter__(self) -> Self:
        if self._before != signal.SIG_IGN and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        if signal.getsignal(signal.SIGINT) == self._ask:
            signal.signal(signal.SIGINT, self._before)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        signal.signal(signal.SIGINT, self._before)
