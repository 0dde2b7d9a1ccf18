"""Processes that should end with another."""

import os
import signal
import time
from collections.abc import Collection
from pathlib import Path


def outlive(pids: Collection[int], seconds: float = 20) -> bool:
    """Whether any of some processes is there for longer than so many seconds; it is ended then."""
    until = time.monotonic() + seconds
    while there := [pid for pid in pids if _is_there(pid)]:
        if time.monotonic() > until:
            for pid in there:
                os.kill(pid, signal.SIGKILL)
            return True
        time.sleep(0.1)
    return False


def _is_there(pid: int) -> bool:
    try:
        about = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return about.rpartition(")")[2].split()[0] != "Z"
