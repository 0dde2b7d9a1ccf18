"""``kill -9`` amid a thousand webhooks of both tools loses none that was answered."""

import hashlib
import hmac
import json
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import httpx

from serving.loop import utc_now
from serving.store import Store
from tests.serving.fake_studio import RECTANGLES
from tests.serving.served import eventually, loop_of, picture
from tests.serving.test_service import Server, settings_in, started
from tests.tiny_versions import make_version

SECRET = "between the two"
EVENTS = 1000
KILLED_AFTER = 300  # answers
SENDERS = 8
Message: TypeAlias = tuple[str, bytes, dict[str, str]]  # path, body, headers
Event: TypeAlias = tuple[tuple[str, int], Message]  # of which tool, and its number


def of_label_studio(number: int, medium: Path) -> Message:
    """An annotation of a task whose medium is a file."""
    given = {"id": number, "task": 1, "result": [], "lead_time": 1.0, "completed_by": number, "was_cancelled": False,
             "updated_at": "2026-01-01T10:00:00.5Z"}  # fmt: skip
    event = {"action": "ANNOTATION_CREATED", "annotation": given, "task": {"id": 1, "data": {"image": str(medium)}},
             "project": {"id": 1, "label_config": RECTANGLES}}  # fmt: skip
    return "/label-studio/detection/webhook", json.dumps(event).encode(), {}


def of_cvat(number: int) -> Message:
    """A job that was completed, of a CVAT that does not answer afterwards."""
    event = {"event": "update:job", "job": {"id": number, "state": "completed"}}
    body = json.dumps(event).encode()
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return "/cvat/webhook", body, {"X-Signature-256": f"sha256={signature}"}


def burst(server: Server, events: Iterator[Event], answered: list[tuple[str, int]], killing: threading.Event) -> None:
    """Sends events until the server is killed, after so many answers."""
    with server.client() as client:
        for which, (path, body, headers) in events:
            try:
                if client.post(path, content=body, headers=headers).json() == {"status": "stored"}:
                    answered.append(which)
                if len(answered) >= KILLED_AFTER and not killing.is_set():
                    killing.set()
                    kill(server.process.pid)
            except httpx.HTTPError:
                return


def kill(pid: int) -> None:
    """Ends the server at once: what watches over the worker first, so that nothing starts another."""
    worker = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for one in (pid, *map(int, worker)):
        os.kill(one, signal.SIGKILL)


def test_none_that_was_answered_is_lost(tmp_path: Path) -> None:
    medium = tmp_path / "a.png"
    medium.write_bytes(picture())
    settings = settings_in(tmp_path, uri_roots=(tmp_path,), cvat_url="http://127.0.0.1:9", cvat_token="a" * 40,
                           cvat_webhook_secret=SECRET)  # fmt: skip
    loop = loop_of(settings)
    version = make_version(tmp_path / "versions", "detection")
    loop.versions.add(version.folder, "tester")
    loop.versions.promote(version.name, "tester", force=True)
    loop.store.close()
    numbers = [(tool, number) for tool in ("label-studio", "cvat") for number in range(1, EVENTS // 2 + 1)]
    random.Random(0).shuffle(numbers)
    make: dict[str, Callable[[int], Message]] = {
        "label-studio": lambda number: of_label_studio(number, medium), "cvat": of_cvat}  # fmt: skip
    events, answered = shared([(one, make[one[0]](one[1])) for one in numbers]), list[tuple[str, int]]()

    server = started(tmp_path, settings)
    eventually(server.is_ready, 120)
    killing = threading.Event()
    senders = [threading.Thread(target=burst, args=(server, events, answered, killing)) for _ in range(SENDERS)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    server.process.wait()
    assert KILLED_AFTER <= len(answered) < EVENTS

    server = started(tmp_path, settings)
    try:
        eventually(server.is_ready, 120)
        store = Store.open(settings.database_url)
        eventually(lambda: store.inbox.counts("label-studio")[0] == 0, 120)
    finally:
        server.process.terminate()
        server.process.wait(60)
    taken = {one.annotation for one in store.studio.annotations("detection", 1)}
    assert taken >= {number for tool, number in answered if tool == "label-studio"}
    assert store.inbox.counts("label-studio") == (0, 0)
    far = utc_now().replace(year=9000)
    waiting = {event.body["job"]["id"] for event in store.inbox.due("cvat", far, EVENTS)}
    assert waiting >= {number for tool, number in answered if tool == "cvat"}


def shared(things: list[Any]) -> Iterator[Any]:
    """Things that several threads take one by one."""
    lock, rest = threading.Lock(), iter(things)

    class Shared:
        def __iter__(self) -> "Shared":
            return self

        def __next__(self) -> Any:
            with lock:
                return next(rest)

    return Shared()
