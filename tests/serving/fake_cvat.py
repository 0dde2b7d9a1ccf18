"""CVAT as far as prelabel and CVAT's own command line talk to it, on loopback: one task of pictures with one job.

Every answer is made of the SDK's own models, so its shape is what CVAT 2.80 gives.
"""

import csv
import io
import json
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from cvat_sdk import models
from cvat_sdk.api_client.model_utils import to_json

TOKEN = "a" * 40
START = datetime(2026, 1, 1, 10, tzinfo=UTC)


def told(kind: Any, **values: Any) -> dict[str, Any]:
    """What a model of the SDK is on the wire; refused where it is none."""
    return dict(to_json(kind._from_openapi_data(**values)))


class FakeCvat:
    """Task 7 and its job 9."""

    def __init__(
        self, frames: Mapping[str, bytes], labels: Sequence[tuple[str, str]] = (("car", "rectangle"),)
    ) -> None:
        self.frames = dict(frames)
        self.labels = list(labels)
        self.shapes: list[dict[str, Any]] = []
        self.tracks: list[dict[str, Any]] = []
        self.deleted_frames: list[int] = []
        self.state = "in progress"
        self.assignee: str | None = "ada"
        self.mode = "annotation"  # interpolation, where the frames are those of a video
        self.organization: int | None = None
        self.minutes = 0  # since the start, at the last change
        self.working_ms: dict[str, list[int]] | None = None  # of each person; None where there are no analytics
        self.asked: list[str] = []
        self.answers = True
        self.url = ""

    def draw(self, frame: int, label: str, points: Sequence[float], kind: str = "rectangle", **more: Any) -> None:
        """A shape that a person draws."""
        values = {"source": "manual", "rotation": 0.0, "id": len(self.shapes) + 1, **more}
        shape = told(models.LabeledShape, type=models.ShapeType(kind), frame=frame, label_id=self.number(label),
                     points=[float(value) for value in points], **values)  # fmt: skip
        self.shapes.append(shape)

    def track(self, frame: int, label: str, boxes: Mapping[int, Sequence[float] | None]) -> None:
        """A track with these keyframes; None is where it leaves the picture."""
        last: Sequence[float] = ()
        shapes = []
        for at, box in boxes.items():
            last = last if box is None else box
            shapes.append(
                models.TrackedShape._from_openapi_data(type=models.ShapeType("rectangle"), frame=at, points=list(last),
                                                       outside=box is None, rotation=0.0)
            )  # fmt: skip
        self.tracks.append(told(models.LabeledTrack, frame=frame, label_id=self.number(label), shapes=shapes,
                                source="manual"))  # fmt: skip

    def number(self, label: str) -> int:
        return 100 + [name for name, _ in self.labels].index(label)

    def complete(self, minutes: int = 30) -> dict[str, Any]:
        """The job is done; what the webhook says."""
        before, self.state, self.minutes = self.state, "completed", minutes
        return {"event": "update:job", "job": self.job(), "before_update": {"state": before}, "webhook_id": 1}

    def job(self) -> dict[str, Any]:
        known = {"username": self.assignee, "id": 3, "_spec_property_naming": True}
        who = models.JobReadAssignee._from_openapi_data(**known) if self.assignee else None
        return told(
            models.JobRead, id=9, task_id=7, assignee=who, state=self.state, stage="annotation", type="annotation",
            start_frame=0, stop_frame=len(self.frames) - 1, frame_count=len(self.frames), dimension="2d",
            created_date=START, updated_date=START + timedelta(minutes=self.minutes),
            issues=models.IssuesSummary._from_openapi_data(url="", count=0),
            labels=models.LabelsSummary._from_openapi_data(url=f"{self.url}/api/labels?job_id=9"),
            project_id=None, media_type="2d_images", organization=self.organization,
            mode=self.mode,
        )  # fmt: skip

    def answer(self, method: str, path: str, asked: Mapping[str, str], body: Any) -> tuple[int, Any]:
        """Status and JSON or bytes."""
        about = {"task": models.TaskRead, "job": models.JobRead}
        match method, path.strip("/").removeprefix("api/").split("/"):
            case "GET", ["server", "about"]:
                return 200, told(models.About, name="CVAT", description="", version="2.80.0", logo_url="", subtitle="")
            case "GET", ["users", "self"]:
                return 200, told(models.BasicUser, username="ada", id=3)
            case "GET", ["tasks", "7"]:
                return 200, told(about["task"], **self._task())
            case "GET", ["jobs", "9"]:
                return 200, self.job()
            case "GET", ["labels"] if self._is_inside(asked):
                return 200, {"count": len(self.labels), "next": None, "previous": None, "results": self._labels()}
            case "GET", ["tasks" | "jobs", _, "data", "meta"]:
                return 200, self._meta()
            case "GET", ["tasks" | "jobs", _, "data"]:
                return 200, self._data(asked)
            case "GET", ["tasks" | "jobs", _, "annotations"]:
                return 200, {"version": 0, "tags": [], "shapes": self.shapes, "tracks": self.tracks}
            case "PATCH", ["tasks", "7", "annotations"]:
                for one in body["shapes"]:
                    self.shapes.append({**one, "id": len(self.shapes) + 1})
                return 200, {"version": 0, "tags": [], "shapes": self.shapes, "tracks": []}
            case "POST", ["events", "export"] if self.working_ms is not None and self._is_inside(asked):
                return 202, told(models.RqId, rq_id="action=export&target=events&id=1")
            case "GET", ["requests", _]:
                return 200, {"status": "finished", "result_url": f"{self.url}/api/events/download?rq_id=1"}
            case "GET", ["events", "download"]:
                return 200, self._events()
            case _:
                return 404, {"detail": "Not found."}

    def _is_inside(self, asked: Mapping[str, str]) -> bool:
        """Whether lists are asked for where the job is: in its organization, if it has one."""
        return asked.get("org_id") in ((None, "") if self.organization is None else (str(self.organization),))

    def _task(self) -> dict[str, Any]:
        return {
            "id": 7, "name": "street", "size": len(self.frames), "data_chunk_size": 72, "mode": "annotation",
            "data_original_chunk_type": "imageset", "data_compressed_chunk_type": "imageset", "dimension": "2d",
            "created_date": START, "updated_date": START, "organization": None, "project_id": None,
            "jobs": models.JobsSummary._from_openapi_data(url="", count=1, completed=0, validation=0),
            "labels": models.LabelsSummary._from_openapi_data(url=""),
        }  # fmt: skip

    def _labels(self) -> list[dict[str, Any]]:
        return [told(models.Label, id=self.number(name), name=name, type=kind, attributes=[], sublabels=[],
                     has_parent=False) for name, kind in self.labels]  # fmt: skip

    def _meta(self) -> dict[str, Any]:
        frames = [models.FrameMeta._from_openapi_data(name=name, related_files=0, width=120, height=90)
                  for name in self.frames]  # fmt: skip
        return told(
            models.DataMetaRead, chunks_updated_date=START, frames=frames, deleted_frames=self.deleted_frames,
            size=len(frames), start_frame=0, stop_frame=len(frames) - 1, included_frames=None, chunk_size=72,
        )  # fmt: skip

    def _data(self, asked: Mapping[str, str]) -> bytes:
        assert asked["quality"] == "original"
        if asked["type"] == "frame":
            return list(self.frames.values())[int(asked["number"])]
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as chunk:
            for name, data in self.frames.items():
                chunk.writestr(name, data)
        return file.getvalue()

    def _events(self) -> bytes:
        """The columns of CVAT's table of events, a line each; durations in milliseconds."""
        file = io.StringIO()
        columns = ("scope", "timestamp", "duration", "job_id", "user_id", "user_name", "payload")
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerow(("change:frame", START, 99_000, 9, 3, "ada", "{}"))
        for who, times in (self.working_ms or {}).items():
            for ms in times:
                writer.writerow(("send:working_time", START, ms, 9, 3, who, json.dumps({"working_time": ms})))
        return file.getvalue().encode()


@contextmanager
def running(cvat: FakeCvat) -> Iterator[str]:
    """Its address, while it runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer("GET")

        def do_POST(self) -> None:
            self._answer("POST")

        def do_PATCH(self) -> None:
            self._answer("PATCH")

        def _answer(self, method: str) -> None:
            where = urlsplit(self.path)
            cvat.asked.append(where.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if not cvat.answers:
                status, told = 503, {"detail": "away"}
            elif self.headers.get("Authorization") not in (f"Token {TOKEN}", "Bearer personal.token"):
                status, told = 401, {"detail": "Invalid token."}
            else:
                parsed = json.loads(body) if body else None
                status, told = cvat.answer(method, where.path, dict(parse_qsl(where.query)), parsed)
            sent = told if isinstance(told, bytes) else json.dumps(told).encode()
            self.send_response(status)
            kind = "application/octet-stream" if isinstance(told, bytes) else "application/json"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        cvat.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield cvat.url
        finally:
            server.shutdown()
