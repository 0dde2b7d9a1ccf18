"""What the service costs: its latency and throughput against a bare FastAPI app and the model alone, in one run.

``python -m benchmarks.serving [--task lane] [--version FOLDER] [--seconds 8] [--rounds 3]`` posts rendered road scenes,
no two of them the same bytes, from 1 and from 8 clients. Contestants take turns; a figure is the median over rounds.
"""

import argparse
import http.client
import io
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.timing import Ask, Figures, drive
from models import scenes
from models.media import read
from models.records import Task
from models.tasks import load_runtime, parse_task
from models.versions import ONNX, STARTERS
from serving.loop import Loop
from serving.settings import Settings, environment

ROOT = Path(__file__).parent.parent
CLIENTS = (1, 8)
GOAL = 1.15  # of FastAPI's p50
SCENES = 24
SIZE = (640, 360)


def main() -> None:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="detection", choices=("detection", "lane"))
    parser.add_argument("--version", type=Path, help="folder of a version; without it, the starter")
    parser.add_argument("--seconds", type=float, default=8, help="of one contestant in one round")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    task = parse_task(given.task)
    version = given.version or STARTERS / task
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        contestants: dict[str, Callable[[], Ask[bytes]]] = {
            "in process": in_process(task, version / ONNX),
            "FastAPI": posting(stack.enter_context(fastapi(task, version / ONNX)), "/"),
            "prelabel": posting(stack.enter_context(prelabel(task, version, folder)), f"/v1/{task}/annotate"),
        }
        report(measure(contestants, given.seconds, given.rounds), version.name)


def measure(
    contestants: dict[str, Callable[[], Ask[bytes]]], seconds: float, rounds: int
) -> dict[tuple[str, int], list[Figures]]:
    """(contestant, clients) -> one entry a round; each begins with a short warm-up that does not count."""
    media = unique(photos())
    figures: dict[tuple[str, int], list[Figures]] = {}
    for _ in range(rounds):
        for clients in CLIENTS:
            for name, connect in contestants.items():
                drive(connect, media, clients, seconds / 4)
                figures.setdefault((name, clients), []).append(drive(connect, media, clients, seconds))
    return figures


def in_process(task: Task, onnx: Path) -> Callable[[], Ask[bytes]]:
    """The model alone, as many at once as there are cores."""
    runtime, turns = load_runtime(task, onnx), threading.BoundedSemaphore(len(os.sched_getaffinity(0)))

    def ask(data: bytes) -> None:
        with turns:
            runtime.predict(read(task, data, "medium"))

    return lambda: ask


def posting(port: int, path: str) -> Callable[[], Ask[bytes]]:
    """Posts raw bodies to a server and reads the answers as JSON."""

    def connect() -> Ask[bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

        def ask(data: bytes) -> None:
            connection.request("POST", path, data, {"Content-Type": "image/jpeg"})
            answer = connection.getresponse()
            body = json.loads(answer.read())
            assert answer.status == 200, body

        return ask

    return connect


@contextmanager
def fastapi(task: Task, onnx: Path) -> Iterator[int]:
    """The port of the bare FastAPI app."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.bare_fastapi", task, str(onnx.absolute()), str(port)]
    with server(command, {}, port, "/docs"):
        yield port


@contextmanager
def prelabel(task: Task, version: Path, folder: Path) -> Iterator[int]:
    """The port of the service on a fresh store, where this version serves."""
    port = free_port()
    values = {"port": port, "database_url": f"sqlite:///{folder}/store.db", "data_dir": folder}
    settings = Settings.model_validate(values)
    loop = Loop.open(settings)
    name = loop.versions.add(version.absolute(), "benchmark").name
    loop.versions.promote(name, "benchmark", force=True)
    loop.store.close()
    with service(settings):
        yield port


@contextmanager
def service(settings: Settings) -> Iterator[None]:
    """The real service, in a process of its own."""
    code = "from serving.service import serve, settings; serve(settings)"
    with server([sys.executable, "-c", code], environment(settings), settings.port, "/readyz"):
        yield


@contextmanager
def peer(module: str, folder: Path, path: str) -> Iterator[int]:
    """The port of what a benchmark's own ``serve_peer(port, folder)`` serves, in a process of its own."""
    port = free_port()
    code = f"from pathlib import Path; from {module} import serve_peer; serve_peer({port}, Path({str(folder)!r}))"
    with server([sys.executable, "-c", code], {}, port, path):
        yield port


@contextmanager
def server(command: Sequence[str], more: dict[str, str], port: int, path: str) -> Iterator[None]:
    """A child process that is left to itself until it answers, and ended afterwards."""
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **more}, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 180
        while not answers(port, path):
            assert process.poll() is None, f"{command} ended with {process.returncode}"
            assert time.monotonic() < deadline, f"{command} does not answer"
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


def answers(port: int, path: str) -> bool:
    """Whether the server is there."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def photos() -> list[bytes]:
    """Rendered road scenes as JPEG."""
    rng, found = np.random.default_rng(0), []
    for _ in range(SCENES):
        file = io.BytesIO()
        Image.fromarray(scenes.render(rng, *SIZE).image).save(file, "JPEG", quality=90)
        found.append(file.getvalue())
    return found


def unique(photos: Sequence[bytes]) -> Iterator[bytes]:
    """The photos in turn, for ever, each with a comment that no other has: the service answers the same bytes once."""
    lock, numbers = threading.Lock(), itertools.count()

    class Endless:
        def __iter__(self) -> "Endless":
            return self

        def __next__(self) -> bytes:
            with lock:
                number = next(numbers)
            comment = number.to_bytes(8, "big")
            return b"\xff\xd8\xff\xfe\x00\x0a" + comment + photos[number % len(photos)][2:]

    return Endless()


def report(figures: dict[tuple[str, int], list[Figures]], version: str) -> None:
    """The medians over rounds, and the ratio to FastAPI that the goal speaks of."""
    cores = len(os.sched_getaffinity(0))
    table = Table(title=f"{version} on {cores} cores, load {os.getloadavg()[0]:.1f}; ratio of p50, goal {GOAL}")
    for column in ("clients", "contestant", "p50 ms", "p95 ms", "p99 ms", "requests/s", "p50 / FastAPI"):
        table.add_column(column, justify="right")
    for (name, clients), rounds in sorted(figures.items(), key=lambda entry: entry[0][1]):
        peer = figures["FastAPI", clients]
        ratio = statistics.median(a.percentile(0.5) / b.percentile(0.5) for a, b in zip(rounds, peer, strict=True))
        milliseconds = [statistics.median(r.percentile(share) for r in rounds) for share in (0.5, 0.95, 0.99)]
        rate = statistics.median(r.rate for r in rounds)
        table.add_row(str(clients), name, *(f"{value:.1f}" for value in milliseconds), f"{rate:.1f}", f"{ratio:.2f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
