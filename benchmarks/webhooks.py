"""How fast the real service answers webhooks: a burst of 1,000 from each tool, against a plain FastAPI app that stores
the same bodies in SQLite, in one run.

``python -m benchmarks.webhooks [--events 1000] [--senders 8] [--rounds 3]``. Each webhook comes on a connection of its
own, as Label Studio and CVAT send them. Contestants take turns; a figure is the median over rounds, and all that was
answered is counted in the store.
"""

import argparse
import hashlib
import hmac
import http.client
import itertools
import json
import os
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeAlias

from rich.console import Console
from rich.table import Table

from benchmarks.serving import free_port, peer, service
from serving.loop import utc_now
from serving.settings import Settings
from serving.store import Store

SECRET = "between the two"
GOAL_MS = 50
Message: TypeAlias = tuple[str, bytes, dict[str, str]]  # path, body, headers
REGIONS = [{"id": f"r{i}", "from_name": "label", "to_name": "image", "type": "rectanglelabels",
            "value": {"x": i, "y": 20, "width": 30, "height": 40, "rotation": 0, "rectanglelabels": ["car"]}}
           for i in range(20)]  # fmt: skip


def main() -> None:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1000, help="of one burst")
    parser.add_argument("--senders", type=int, default=8, help="at the same time")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        plain = stack.enter_context(peer("benchmarks.webhooks", folder, "/docs"))
        port, store = stack.enter_context(prelabel(folder))
        contestants: dict[str, tuple[int, Callable[[int], Message], Callable[[], int]]] = {
            "FastAPI and SQLite": (plain, of_label_studio, lambda: stored_by_peer(folder)),
            "Label Studio": (port, of_label_studio, lambda: sum(store.inbox.counts("label-studio"))),
            "CVAT": (port, of_cvat, lambda: sum(store.inbox.counts("cvat"))),
        }
        taken: dict[str, list[tuple[float, ...]]] = {name: [] for name in contestants}
        numbers, kept = itertools.count(1), dict[str, int]()
        for _ in range(given.rounds):
            for name, (where, make, count) in contestants.items():
                messages = [make(next(numbers)) for _ in range(given.events)]
                taken[name].append(burst(where, messages, given.senders))
                kept[name] = count()
        report(taken, kept, given.events * given.rounds, given.senders)


def burst(port: int, messages: list[Message], senders: int) -> tuple[float, ...]:
    """The milliseconds of each answer, sorted; every one of them must be 200."""
    lock, rest, taken = threading.Lock(), iter(messages), list[float]()

    def send() -> None:
        while True:
            with lock:
                message = next(rest, None)
            if message is None:
                return
            path, body, headers = message
            begun = time.perf_counter()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("POST", path, body, {"Content-Type": "application/json", **headers})
            answer = connection.getresponse()
            answer.read()
            connection.close()
            assert answer.status == 200, answer.status
            taken.append(1000 * (time.perf_counter() - begun))

    threads = [threading.Thread(target=send) for _ in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(messages)
    return tuple(sorted(taken))


def of_label_studio(number: int) -> Message:
    """An annotation of twenty boxes, with the prediction that it began from; its medium is not to be had."""
    given = {"id": number, "task": number, "result": REGIONS, "lead_time": 12.5, "completed_by": 1,
             "was_cancelled": False, "updated_at": "2026-01-01T10:00:00Z",
             "prediction": {"id": 1, "result": REGIONS}}  # fmt: skip
    task = {"id": number, "data": {"image": f"http://127.0.0.1:9/{number}.png"}}
    event = {"action": "ANNOTATION_CREATED", "annotation": given, "task": task, "project": {"id": 1}}
    return "/label-studio/detection/webhook", json.dumps(event).encode(), {}


def of_cvat(number: int) -> Message:
    """A completed job, signed."""
    job = {"id": number, "state": "completed", "assignee": {"username": "ada"}, "task_id": 7}
    body = json.dumps({"event": "update:job", "job": job, "before_update": {"state": "in progress"}}).encode()
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return "/cvat/webhook", body, {"X-Signature-256": f"sha256={signature}"}


@contextmanager
def prelabel(folder: Path) -> Iterator[tuple[int, Store]]:
    """The port of the service on a fresh store, and the store."""
    port = free_port()
    values = {"port": port, "database_url": f"sqlite:///{folder}/store.db", "data_dir": folder / "data",
              "cvat_url": "http://127.0.0.1:9", "cvat_token": "a" * 40, "cvat_webhook_secret": SECRET,
              "label_studio_url": "http://127.0.0.1:9", "label_studio_token": "a" * 40}  # fmt: skip
    settings = Settings.model_validate(values)
    with service(settings):
        yield port, Store.open(settings.database_url)


def serve_peer(port: int, folder: Path) -> None:
    """A plain FastAPI app with one route, which stores what comes in SQLite as durably as prelabel."""
    import uvicorn
    from fastapi import FastAPI, Request

    app, here = FastAPI(), threading.local()

    def keep(body: str) -> None:
        if not hasattr(here, "connection"):
            here.connection = sqlite3.connect(folder / "peer.db", timeout=60)
            here.connection.execute("PRAGMA journal_mode=WAL")
            here.connection.execute("CREATE TABLE IF NOT EXISTS told (id INTEGER PRIMARY KEY, body TEXT, at TEXT)")
        with here.connection as connection:
            connection.execute("INSERT INTO told (body, at) VALUES (?, ?)", (body, utc_now().isoformat()))

    @app.post("/{path:path}")
    async def told(request: Request) -> dict[str, str]:
        from anyio.to_thread import run_sync

        await run_sync(keep, json.dumps(json.loads(await request.body())))
        return {"status": "stored"}

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


def stored_by_peer(folder: Path) -> int:
    """How many bodies the peer has."""
    with sqlite3.connect(folder / "peer.db") as connection:
        return int(connection.execute("SELECT count(*) FROM told").fetchone()[0])


def report(taken: dict[str, list[tuple[float, ...]]], kept: dict[str, int], sent: int, senders: int) -> None:
    """The medians over rounds, and how many of all that was sent are in the store."""
    cores = len(os.sched_getaffinity(0))
    table = Table(title=f"{senders} senders, {cores} cores, load {os.getloadavg()[0]:.1f}; goal {GOAL_MS} ms")
    for column in ("webhooks of", "p50 ms", "p95 ms", "p99 ms", f"over {GOAL_MS} ms", "p50 / FastAPI", "kept"):
        table.add_column(column, justify="right")
    peer = taken["FastAPI and SQLite"]
    for name, rounds in taken.items():
        at = [statistics.median(one[int(share * len(one))] for one in rounds) for share in (0.5, 0.95, 0.99)]
        late = sum(value > GOAL_MS for one in rounds for value in one) / sum(map(len, rounds))
        ratio = statistics.median(a[len(a) // 2] / b[len(b) // 2] for a, b in zip(rounds, peer, strict=True))
        table.add_row(
            name, *(f"{value:.1f}" for value in at), f"{100 * late:.1f} %", f"{ratio:.2f}", f"{kept[name]} of {sent}"
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
