"""Bodies that are too large end in 413, whether their size is announced or not."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.errors import TooLarge
from serving.http_errors import explained


class BodyLimit:
    """ASGI middleware that reads no more than ``limit`` bytes of a request's body."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = _content_length(scope)
        if announced > self._limit:
            await explained(self._error(f"{announced}"))(scope, receive, send)
            return
        read = 0

        async def counting() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._limit:
                raise self._error("more")
            return message

        await self._app(scope, counting, send)

    def _error(self, got: str) -> TooLarge:
        return TooLarge(f"body: expected at most {self._limit} bytes, got {got}")


def _content_length(scope: Scope) -> int:
    """The announced size, 0 where none is; the server has refused sizes that are no number."""
    sizes = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(sizes[0]) if sizes and sizes[0].isdigit() else 0
