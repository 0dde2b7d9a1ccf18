"""Bodies that are too large end in 413, whether their size is announced or not, and those that hardly come in 408."""

from time import monotonic

from anyio import fail_after
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.errors import TooLarge
from models.records import Seconds
from serving.auth import PUBLIC
from serving.errors import TooSlow
from serving.http_errors import explained

OF_STRANGERS = 1_000_000  # bytes, where no token is asked for
GRACE_S: Seconds = 30.0  # for a body to begin in, and to pause
LEAST_RATE = 10_000  # bytes a second, in the long run: who is slower holds a place that others wait for


class BodyLimit:
    """ASGI middleware that reads no more than ``limit`` bytes of a request's body, and does not wait for ever."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = min(self._limit, OF_STRANGERS) if PUBLIC.fullmatch(scope["path"]) else self._limit
        announced = _content_length(scope)
        if announced > limit:
            await explained(_too_large(limit, f"{announced}"))(scope, receive, send)
            return
        read, waited, whole = 0, 0.0, False

        async def counting() -> Message:
            nonlocal read, waited, whole
            if whole:  # what comes now is that the client leaves
                return await receive()
            begun = monotonic()
            try:
                with fail_after(GRACE_S + read / LEAST_RATE - waited):
                    message = await receive()
            except TimeoutError as error:
                slow = f"got {read} in {waited + monotonic() - begun:.0f} s"
                raise TooSlow(f"body: expected {LEAST_RATE} bytes a second after {GRACE_S:g} s, {slow}") from error
            read, waited = read + len(message.get("body", b"")), waited + monotonic() - begun
            whole = not message.get("more_body", False)
            if read > limit:
                raise _too_large(limit, "more")
            return message

        await self._app(scope, counting, send)


def _too_large(limit: int, got: str) -> TooLarge:
    return TooLarge(f"body: expected at most {limit} bytes, got {got}")


def _content_length(scope: Scope) -> int:
    """The announced size, 0 where none is; the server has refused sizes that are no number."""
    sizes = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(sizes[0]) if sizes and sizes[0].isdigit() else 0
