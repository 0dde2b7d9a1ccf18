"""CVAT's own API, as far as it is needed."""

import csv
import io
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from models.errors import PrelabelError
from models.records import Seconds
from serving.errors import Unavailable
from serving.server_log import log
from serving.settings import Settings
from serving.tool_api import ToolApi

WORKING_TIME = "send:working_time"  # the events with the time that people worked; CVAT leaves out pauses over 100 s
EXPORT_S = 60.0  # how long an export of events may take
LARGEST_EXPORT = 100_000_000  # bytes


class Client(ToolApi):
    """One CVAT under one user's token: a legacy key, or a personal access token."""

    def __init__(self, url: str, token: str, transport: httpx.BaseTransport | None = None) -> None:
        super().__init__("CVAT", url, "PRELABEL_CVAT_TOKEN", transport)
        self._token = token

    def job(self, job: int) -> dict[str, Any]:
        """A job with its state, its frames and its assignee."""
        return dict(self._json("GET", f"/api/jobs/{job}"))

    def labels(self, job: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The labels that a job can give."""
        found: list[dict[str, Any]] = []
        page = 1
        while True:
            told = self._json("GET", "/api/labels", params={**_of(job), "page": page, "page_size": 100})
            found += told["results"]
            if not told["next"]:
                return found
            page += 1

    def annotations(self, job: int) -> dict[str, Any]:
        """The shapes and tracks of a job."""
        return dict(self._json("GET", f"/api/jobs/{job}/annotations/"))

    def meta(self, job: int) -> dict[str, Any]:
        """What is known of a job's frames, such as which were deleted."""
        return dict(self._json("GET", f"/api/jobs/{job}/data/meta"))

    def frame(self, job: int, number: int, limit: int) -> bytes:
        """The original bytes of a frame.

        Raises:
            TooLarge: more than ``limit``.
            NotFound, NotAllowed, Unavailable: they are not to be had.
        """
        return self.download(f"/api/jobs/{job}/data?type=frame&quality=original&number={number}", limit)

    def working_time(self, job: Mapping[str, Any]) -> dict[str, Seconds] | None:
        """How long each person worked on a job, by name; None where CVAT keeps no events, or shows them to others."""
        try:
            asked = self._json("POST", "/api/events/export", params={**_of(job), "from": job["created_date"]})
            path = self._exported(str(asked["rq_id"]))
            return None if path is None else working_seconds(self.download(path, LARGEST_EXPORT).decode())
        except (PrelabelError, KeyError, ValueError) as error:  # it has no one way to say that it has none
            log.info("CVAT tells no working time of job %d: %s", job["id"], error)
            return None

    def _exported(self, request: str) -> str | None:
        """Where the result of a request is, once it is done; None where it failed or takes too long."""
        deadline = time.monotonic() + EXPORT_S
        while time.monotonic() < deadline:
            told = self._json("GET", f"/api/requests/{quote(request, safe='')}")
            if told["status"] == "finished":
                where = urlsplit(str(told["result_url"]))
                return f"{where.path}?{where.query}"
            if told["status"] == "failed":
                return None
            time.sleep(0.5)
        return None

    def _authorization(self) -> dict[str, str]:
        kind = "Token" if re.fullmatch(r"[0-9a-f]{40}", self._token) else "Bearer"
        return {"Authorization": f"{kind} {self._token}"}


def working_seconds(events: str) -> dict[str, Seconds]:
    """The seconds that each person worked, from exported events, whose durations are milliseconds."""
    seconds: dict[str, Seconds] = {}
    for event in csv.DictReader(io.StringIO(events)):
        if event["scope"] == WORKING_TIME:
            seconds[event["user_name"]] = seconds.get(event["user_name"], 0.0) + int(event["duration"] or 0) / 1000
    return seconds


def require(client: Client | None) -> Client:
    """The client.

    Raises:
        Unavailable: the settings name no CVAT.
    """
    if client is None:
        raise Unavailable("CVAT: expected PRELABEL_CVAT_URL and PRELABEL_CVAT_TOKEN, got none")
    return client


def connect(settings: Settings) -> Client | None:
    """A client of the CVAT that the settings name, if they name one."""
    if not settings.cvat_url or not settings.cvat_token:
        return None
    return Client(settings.cvat_url, settings.cvat_token)


def _of(job: Mapping[str, Any]) -> dict[str, Any]:
    """What a list of something of a job is asked by, within the job's organization."""
    return {"job_id": job["id"]} | ({"org_id": job["organization"]} if job.get("organization") else {})


def assignee(job: Mapping[str, Any]) -> str | None:
    """The name of the person that a job is given to."""
    who = job.get("assignee")
    return str(who["username"]) if who else None
