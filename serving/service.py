"""The BentoML service: it starts and ends a deployment in each worker, and hands every request to the app.

One worker holds all models; its threads do the work. BentoML packs the service, and starts and ends its worker. Its
own routes know no token and no error shape, its timeout answers while the work goes on, its file fields download
what a string names, its tracing costs more than the rest of a request: so none of them is reached.
"""

import ctypes
import os
import signal
import socket
import time
from pathlib import Path
from tempfile import TemporaryFile
from typing import NoReturn

import bentoml
from starlette.types import ASGIApp, Receive, Scope, Send

from models.errors import InvalidInput, NotAllowed, PrelabelError
from serving.app import create_app
from serving.auth import is_loopback
from serving.deployment import Deployment
from serving.server_log import log
from serving.settings import Settings, environment
from serving.store import Store
from serving.store.database import parse_url, shown

os.environ["BENTOML_DO_NOT_TRACK"] = "True"  # it would tell its makers about every start

AGAIN_S = 3.0  # before another worker tries what this one could not
_SUPERVISOR = "PRELABEL_SUPERVISOR"  # the process that ``serve`` runs in
_PR_SET_PDEATHSIG = 1  # linux/prctl.h

settings = Settings()  # type: ignore[call-arg]  # from the environment
app = create_app(settings)


class InFront:
    """An ASGI app that answers every request with ours; only start and end go through to BentoML's."""

    def __init__(self, behind: ASGIApp, answering: ASGIApp) -> None:
        self._behind = behind
        self._answering = answering

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        chosen = self._behind if scope["type"] == "lifespan" else self._answering
        await chosen(scope, receive, send)


class OwnAnswers(bentoml.Service):  # type: ignore[misc]
    """A BentoML service without BentoML's middlewares and routes."""

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        """What a worker serves."""
        return InFront(super().to_asgi(is_main), app)


class Worker:
    """One process of the service."""

    def __init__(self) -> None:
        _end_with_supervisor()
        store = shown(parse_url(settings.database_url))
        log.info("store %s, media and versions in %s", store, settings.data_dir.absolute())
        try:
            self._deployment = Deployment.open(settings)
            self._deployment.start()
        except (PrelabelError, OSError) as error:
            _end_for_now(error)
        app.state.deployment = self._deployment

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def close(self) -> None:
        """Ends the threads and closes the store, after the last request."""
        self._deployment.close()


Prelabel = bentoml.service(name="prelabel", workers=1, metrics={"enabled": False}, service_class=OwnAnswers)(Worker)


def serve(settings: Settings) -> None:
    """Starts the service and stays until it is stopped by Ctrl-C or SIGTERM, after the requests at hand.

    Raises:
        NotAllowed: the address is not loopback, and there is no token.
        InvalidInput: nothing can listen on the address and port, or nothing be written to the data folder.
        NotFound: the database does not answer.
    """
    address, port = _free_address(settings)
    _try_writing(settings.data_dir)
    opened = Store.open(settings.database_url)
    made, valid = bool(opened.tokens.all()), opened.tokens.any_valid()
    opened.close()
    if not valid and not is_loopback(address):
        raise NotAllowed(f"host {settings.host}: expected a token before listening beyond this machine, got none; "
                         "make one: prelabel token make NAME --scope annotate")  # fmt: skip
    os.environ.update(environment(settings) | {_SUPERVISOR: str(os.getpid())})  # the worker is another process
    told = "guarded by tokens" if made else "open to this machine, because no token was ever made"
    shown = f"[{address}]" if ":" in address else address
    print(f"prelabel at http://{shown}:{port} ({told}); Ctrl-C ends it", flush=True)
    Prelabel.serve_http(host=address, port=port)


def _end_with_supervisor() -> None:
    """A worker whose supervisor was killed would keep the port, so that nothing could start again."""
    if os.environ.get(_SUPERVISOR) == str(os.getppid()):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _end_for_now(error: Exception) -> NoReturn:
    """Ends the worker in one line of the log: another one is started, and by then the store may be there again."""
    log.error("the service cannot start: %s", error)
    time.sleep(AGAIN_S)
    os._exit(1)


def _try_writing(folder: Path) -> None:
    """A worker that could write nothing there would be started again without end."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()
    except OSError as error:
        raise InvalidInput(f"{folder}: expected a data folder to write to, got {error.strerror}") from error


def _free_address(settings: Settings) -> tuple[str, int]:
    """The host as an address, and the port, or a free one in place of 0."""
    try:
        family, kind, _, _, place = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(place)
            return str(place[0]), trial.getsockname()[1]
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        raise InvalidInput(f"{where}: expected an address and a free port, got {error.strerror}") from error
