"""A whole deployment in the test's own process, on tiny versions: the app behind a client, with its threads running."""

import io
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import soundfile
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from models.records import TASKS, Task
from models.tasks import load_runtime
from models.versions import Version
from serving.app import create_app
from serving.deployment import Deployment
from serving.label_studio.client import Client
from serving.live import LoadRuntime
from serving.loop import Loop, utc_now
from serving.media_files import MediaFiles
from serving.settings import Settings
from serving.store import Store
from tests.tiny_versions import make_version

ORIGIN = "http://127.0.0.1:3000"


@dataclass(frozen=True)
class Served:
    """A running deployment, a client of it, and the folder with everything it keeps."""

    client: TestClient
    app: FastAPI
    deployment: Deployment
    folder: Path

    @property
    def loop(self) -> Loop:
        return self.deployment.loop

    @property
    def version(self) -> str:
        """The detector that answers."""
        return self.deployment.live.version("detection")

    def async_client(self) -> httpx.AsyncClient:
        """A client for many requests at once."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url=ORIGIN, timeout=30)

    def add(self, task: Task, **how: Any) -> Version:
        """Another version of a task, not yet promoted."""
        version = make_version(self.folder / "more", task, **how)
        self.loop.versions.add(version.folder, "tester")
        return version


def loop_of(settings: Settings) -> Loop:
    """The loop of some settings, without the starter versions."""
    return Loop(Store.open(settings.database_url), MediaFiles(settings.data_dir / "media"), settings, utc_now)


@contextmanager
def serving(
    folder: Path,
    *,
    tasks: Sequence[Task] = TASKS,
    load: LoadRuntime = load_runtime,
    studio: Client | None = None,
    **settings: Any,
) -> Iterator[Served]:
    """A deployment with a tiny version of each task."""
    values = {"database_url": f"sqlite:///{folder}/store.db", "data_dir": folder / "data", **settings}
    chosen = Settings.model_validate(values)
    loop = loop_of(chosen)
    for task in tasks:
        version = make_version(folder / "versions", task)
        loop.versions.add(version.folder, "tester")
        loop.versions.promote(version.name, "tester", force=True)
    deployment = Deployment(chosen, loop, load=load, studio=studio)
    deployment.start()
    app = create_app(chosen)
    app.state.deployment = deployment
    try:
        with TestClient(app, base_url=ORIGIN, raise_server_exceptions=False) as client:
            yield Served(client, app, deployment, folder)
    finally:
        deployment.close()


@contextmanager
def listening(served: Served) -> Iterator[str]:
    """The address of a real server in front of a deployment, for clients that bring their own sockets."""
    server = uvicorn.Server(uvicorn.Config(served.app, port=0, lifespan="off", log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        eventually(lambda: server.started)
        host, port = server.servers[0].sockets[0].getsockname()[:2]
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join()


def picture(shade: int = 0, width: int = 120, height: int = 90) -> bytes:
    """A plain PNG; each shade has other bytes."""
    file = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), shade, np.uint8)).save(file, "PNG")
    return file.getvalue()


def sound(seconds: float = 1.0) -> bytes:
    """A rising tone as WAV at 16 kHz."""
    time_s = np.arange(int(16000 * seconds)) / 16000
    file = io.BytesIO()
    soundfile.write(file, np.sin(2000 * time_s) * time_s / seconds, 16000, format="WAV")
    return file.getvalue()


def eventually(holds: Callable[[], bool], within_s: float = 20) -> None:
    """Waits until it holds, and fails if it never does."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def refusing_first(told: list[str | None], status: int) -> Callable[..., Any]:
    """``urlopen``, which answers with a status and the next ``Retry-After`` of those told while there are any."""
    answered = urllib.request.urlopen

    def opened(asked: Any, **how: Any) -> Any:
        if not told:
            return answered(asked, **how)
        headers = Message()
        if (wait := told.pop(0)) is not None:
            headers["Retry-After"] = wait
        raise urllib.error.HTTPError(asked.full_url, status, "later", headers, io.BytesIO(b"later"))

    return opened
