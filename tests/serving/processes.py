"""Beside the process of the tests: a port for a server, and children forked from one that has the imports done."""

import multiprocessing
import socket
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

children = multiprocessing.get_context("forkserver")
children.set_forkserver_preload(["serving.loop", "alembic.command", "psycopg", "pytest"])


def free_port() -> int:
    """A port of this machine on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
