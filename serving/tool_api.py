"""The API of an annotation tool, asked with a token: failures of the tool and of the way to it are ours."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from models.errors import InvalidInput, NotAllowed, NotFound, TooLarge
from serving.errors import Unavailable


class ToolApi(ABC):
    """One tool at one address. Blocking; safe to share between threads."""

    def __init__(self, name: str, url: str, setting: str, transport: httpx.BaseTransport | None = None) -> None:
        """``name`` is what people call the tool, ``setting`` the one that holds its token."""
        self.url = url.rstrip("/")
        self._name = name
        self._setting = setting
        self._http = httpx.Client(
            base_url=self.url, timeout=30, trust_env=False, transport=transport, follow_redirects=False
        )

    @abstractmethod
    def _authorization(self) -> dict[str, str]:
        """The header that says who asks."""

    def download(self, path: str, limit: int) -> bytes:
        """The bytes of a medium that the tool holds.

        Raises:
            TooLarge: more than ``limit``.
            NotFound, NotAllowed, Unavailable: they are not to be had.
        """
        data = bytearray()
        with self._asking(path), self._http.stream("GET", path, headers=self._authorization()) as response:
            if not response.is_success:
                response.read()
            self._check(response, path)
            for chunk in response.iter_bytes():
                data += chunk
                if len(data) > limit:
                    raise TooLarge(f"{path}: expected at most {limit} bytes, got more")
        return bytes(data)

    def _json(self, method: str, path: str, **how: Any) -> Any:
        with self._asking(path):
            response = self._http.request(method, path, headers=self._authorization(), **how)
        self._check(response, path)
        try:
            return response.json() if response.content else None
        except ValueError as error:
            raise InvalidInput(f"{self.url}{path}: expected JSON of {self._name}, got something else") from error

    def _check(self, response: httpx.Response, path: str) -> None:
        where, status = f"{self.url}{path}", response.status_code
        if response.is_success:
            return
        got = f"{status} {' '.join(response.text.split())[:300]}"
        if status in (401, 403):
            raise NotAllowed(f"{where}: expected that {self._setting} may do this, got {got}")
        if status == 404:
            raise NotFound(f"{where}: expected to find it, got {got}")
        if status == 429 or status >= 500:
            raise Unavailable(f"{where}: expected an answer, got {got}")
        raise InvalidInput(f"{where}: expected to be understood, got {got}")

    @contextmanager
    def _asking(self, path: str) -> Iterator[None]:
        """Turns the failures of a connection into ours."""
        try:
            yield
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            got = str(error) or type(error).__name__
            raise Unavailable(f"{self.url}{path}: expected {self._name} to answer, got {got}") from error
