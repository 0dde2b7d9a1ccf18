"""What tasks of Label Studio are about: their media, and the group that they belong to."""

import asyncio
from collections.abc import Mapping
from typing import Any

from models.errors import InvalidInput, NotAllowed
from serving.fetch import Fetched, Fetcher, new_client
from serving.label_studio.client import Client
from serving.label_studio.config import View
from serving.settings import Settings


class Media:
    """Reads what tasks name: what Label Studio holds with its token, everything else as the settings allow."""

    def __init__(self, settings: Settings, client: Client | None) -> None:
        self._settings = settings
        self._client = client
        self._limit = settings.largest_body

    def fetch(self, uri: str) -> Fetched:
        """The medium of that name; blocks.

        Raises:
            InvalidInput, NotAllowed, NotFound, TooLarge, Unavailable: as ``Fetcher.fetch``.
        """
        path = self._path_there(uri)
        if path is None:
            return asyncio.run(self._fetch(uri))
        if self._client is None:
            raise NotAllowed(f"{uri}: expected PRELABEL_LABEL_STUDIO_URL and _TOKEN to fetch it with, got none")
        return Fetched(f"{self._client.url}{path}", self._client.download(path, self._limit))

    def _path_there(self, uri: str) -> str | None:
        """The path below Label Studio's address, if it is there."""
        if uri.startswith("/data/"):
            return uri
        base = f"{self._client.url}/" if self._client else None
        return uri[len(base) - 1 :] if base and uri.startswith(base) else None

    async def _fetch(self, uri: str) -> Fetched:
        async with new_client() as client:
            given = self._settings
            fetcher = Fetcher(given.uri_roots, given.uri_hosts, limit=self._limit, timeout_s=given.uri_timeout_s,
                              client=client)  # fmt: skip
            return await fetcher.fetch(uri)


def uri_of(studio_task: Mapping[str, Any], shown: View) -> str:
    """How a task names its medium.

    Raises:
        InvalidInput: it names none.
    """
    uri = (studio_task.get("data") or {}).get(shown.control.key)
    if not isinstance(uri, str) or not uri:
        raise InvalidInput(
            f"task {studio_task.get('id')}: expected a medium in data[{shown.control.key!r}], got {uri!r}"
        )
    return uri


def group_of(studio_task: Mapping[str, Any], key: str) -> str | None:
    """The speaker, clip or sequence that a task's data or, where they do not, its meta name."""
    for told in (studio_task.get("data"), studio_task.get("meta")):
        value = told.get(key) if isinstance(told, Mapping) else None
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
            return str(value).strip()
    return None
