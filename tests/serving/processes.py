"""Child processes of the tests: forked from a clean process that has the imports behind it."""

import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

children = multiprocessing.get_context("forkserver")
children.set_forkserver_preload(["serving.loop", "alembic.command", "psycopg", "pytest"])


def killed(work: Callable[..., None], *arguments: Any, rng: np.random.Generator) -> list[Any]:
    """What ``work(send, *arguments)`` acknowledged before ``kill -9`` hit it: after a few words, at a random moment."""
    receiver, sender = children.Pipe(duplex=False)
    process = children.Process(target=_work, args=(work, sender, arguments))
    process.start()
    sender.close()
    acknowledged = [receiver.recv() for _ in range(rng.integers(1, 12))]
    time.sleep(rng.uniform(0, 0.02))
    process.kill()
    process.join()
    try:
        while True:
            acknowledged.append(receiver.recv())
    except EOFError:
        return acknowledged


def _work(work: Callable[..., None], sender: Connection, arguments: tuple[Any, ...]) -> None:
    work(sender.send, *arguments)
