"""Label Studio as far as prelabel talks to it, in memory: its answers have the fields that 1.23.2 gives."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from serving.label_studio.client import TIME, Client
from serving.label_studio.corrections import Corrections, Reconciled

URL = "http://studio.test"
RECTANGLES = """<View><Image name="image" value="$image"/><RectangleLabels name="label" toName="image">
<Label value="car"/></RectangleLabels></View>"""


class FakeStudio:
    """One project, its tasks, predictions and annotations."""

    def __init__(self, label_config: str = RECTANGLES) -> None:
        self.project: dict[str, Any] = {"id": 1, "label_config": label_config, "model_version": "", "task_number": 0}
        self.media: dict[str, bytes] = {}
        self.tasks: list[dict[str, Any]] = []
        self.backends: list[dict[str, Any]] = []
        self.webhooks: list[dict[str, Any]] = []
        self.posts: list[int] = []  # predictions in each
        self.pages = 0  # of tasks, asked for
        self.read = 0  # tasks on these
        self.predicted = 0
        self.changed = 0  # predictions one by one
        self.shown = 0  # and looked at
        self.stores = True
        self.answers = True
        self.may_connect = True  # to backends in private networks

    def client(self, token: str = "a" * 40) -> Client:
        return Client(URL, token, httpx.MockTransport(self._answer))

    def reconciled(self, corrections: Corrections) -> Reconciled:
        """What comes of a look at every annotation there."""
        client = self.client()
        look = corrections.look("detection", client.project(1))
        for page in client.tasks(1):
            look.see(page)
        return look.end()

    def add_task(self, name: str, data: bytes, key: str = "image") -> dict[str, Any]:
        self.media[f"/data/upload/1/{name}"] = data
        task = {"id": len(self.tasks) + 1, "project": 1, "data": {key: f"/data/upload/1/{name}"},
                "annotations": [], "predictions": [], "is_labeled": False, "updated_at": now()}  # fmt: skip
        self.tasks.append(task)
        return task

    def annotate(self, task: dict[str, Any], result: list[Any], at: int = 0, **more: Any) -> dict[str, Any]:
        """A new annotation of a task, or a changed one where ``more`` has its id."""
        number = 100 + sum(len(one["annotations"]) for one in self.tasks)
        given = {"id": number, "task": task["id"], "result": result, "lead_time": 12.5, "completed_by": 7,
                 "was_cancelled": False, "parent_prediction": None, "updated_at": f"2026-01-01T10:00:{at:02d}.5Z",
                 **more}  # fmt: skip
        task["is_labeled"], task["updated_at"] = True, now()
        task["annotations"] = [one for one in task["annotations"] if one["id"] != given["id"]] + [given]
        return given

    def queue(self) -> list[int]:
        """The tasks in the order in which uncertainty sampling serves them, those left out that somebody annotated."""
        scores = {task["id"]: one["score"] for task in self.tasks for one in task["predictions"]
                  if one["model_version"] == self.project["model_version"] and not task["annotations"]}  # fmt: skip
        return sorted(scores, key=lambda number: scores[number])

    def event(self, action: str, given: dict[str, Any]) -> dict[str, Any]:
        """What the webhook says of an annotation."""
        task = self.tasks[given["task"] - 1]
        about = {key: task[key] for key in ("id", "data", "project")}
        return {"action": action, "annotation": given, "task": about, "project": self.project}

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path, body = request.url.path, self._body(request)
        is_upload = request.headers.get("content-type", "").startswith("multipart")
        if not self.answers:
            raise httpx.ConnectError("refused")
        if path == "/api/token/refresh/":
            return httpx.Response(200, json={"access": "short-lived"})
        if request.headers.get("authorization") not in (f"Token {'a' * 40}", "Bearer short-lived"):
            return httpx.Response(401, json={"detail": "Invalid token."})
        if path in self.media:
            return httpx.Response(200, content=self.media[path])
        if request.method == "GET":
            return self._told(path, request.url.params)
        if path == "/api/projects/1":
            self.project |= body
        elif path == "/api/projects/1/import" and is_upload:
            name, data = _uploaded(request)
            added = self.add_task(f"{len(self.tasks):08x}-{name}", data)
            return httpx.Response(201, json={"task_ids": [added["id"]]})
        elif path == "/api/projects/1/import/predictions":
            self.posts.append(len(body))
            for one in body if self.stores else ():
                self.predicted += 1
                self.tasks[one["task"] - 1]["predictions"].append({"id": self.predicted, **one})
        elif path == "/api/ml" and not self.may_connect:
            return httpx.Response(
                403, json={"detail": "URL resolves to a reserved network address (block: 10.0.0.0/8)"}
            )
        elif path == "/api/ml":
            self.backends.append({"id": 1, "state": "CO", **body})
            self.webhooks.append({"id": 5, "url": f"{body['url']}/webhook", "headers": {}})
            self.project["model_version"] = body["title"]
        elif found := re.fullmatch(r"/api/predictions/(\d+)/", path):
            if not any(one["id"] == int(found[1]) for task in self.tasks for one in task["predictions"]):
                return httpx.Response(404, json={"detail": "No Prediction matches the given query."})
            self.changed += 1
            next(one for task in self.tasks for one in task["predictions"] if one["id"] == int(found[1])).update(body)
        elif (found := re.fullmatch(r"/api/webhooks/(\d+)/", path)) and request.method == "DELETE":
            self.webhooks = [one for one in self.webhooks if one["id"] != int(found[1])]
        elif found := re.fullmatch(r"/api/(ml|webhooks)/\d/?", path):
            (self.backends if found[1] == "ml" else self.webhooks)[0] |= body
        else:
            return httpx.Response(404, json={"detail": path})
        return httpx.Response(200, json={"state": "CO"})

    @staticmethod
    def _body(request: httpx.Request) -> Any:
        is_json = request.headers.get("content-type", "").startswith("application/json")
        return json.loads(request.content) if request.content and is_json else None

    def _told(self, path: str, params: httpx.QueryParams) -> httpx.Response:
        if path == "/api/tasks":
            self.pages += 1
            query, size = json.loads(params["query"]), int(params["page_size"])
            assert (params["page"], query["ordering"]) == ("1", ["tasks:id"])
            some = [task for task in self.tasks if is_wanted(task, query)]
            self.read += len(some[:size])
            return httpx.Response(200, json={"tasks": some[:size], "total": len(some)})
        if found := re.fullmatch(r"/api/predictions/(\d+)", path):
            self.shown += 1
            for one in (one for task in self.tasks for one in task["predictions"]):
                if one["id"] == int(found[1]):
                    return httpx.Response(200, json=one)
        known = {"/api/projects/1": self.project, "/api/ml": self.backends, "/api/webhooks/": self.webhooks}
        known |= {f"/api/tasks/{task['id']}": task for task in self.tasks}
        return httpx.Response(200, json=known[path]) if path in known else httpx.Response(404, json={"detail": path})


def now() -> str:
    return f"{datetime.now(UTC):{TIME}}"


def is_wanted(task: Mapping[str, Any], query: Mapping[str, Any]) -> bool:
    """Whether a task is among those that a query of Label Studio's table asks for, as far as prelabel makes some."""
    columns = {"id": task["id"], "updated_at": task["updated_at"], "total_predictions": len(task["predictions"])}
    for one in query.get("filters", {"items": []})["items"]:
        found = columns[one["filter"].removeprefix("filter:tasks:")]
        assert one["type"] != "Datetime" or re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", one["value"])
        if one["operator"] == "greater" and not found > one["value"]:
            return False
        if one["operator"] == "equal" and found != one["value"]:
            return False
    return task["id"] in query["selectedItems"]["included"] if "selectedItems" in query else True


def _uploaded(request: httpx.Request) -> tuple[str, bytes]:
    """The name and the bytes of the one file of a form."""
    boundary = request.headers["content-type"].partition("boundary=")[2].encode()
    head, _, data = request.content.split(b"--" + boundary)[1].partition(b"\r\n\r\n")
    (name,) = re.findall(rb'filename="([^"]+)"', head)
    return name.decode(), data.removesuffix(b"\r\n")
