"""Label Studio's own API, as far as it is needed. Blocking; safe to share between threads."""

import base64
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from time import monotonic
from typing import Any, TypeAlias

import httpx

from models.errors import InvalidInput, NotAllowed
from serving.settings import Settings
from serving.tool_api import ToolApi

StudioTask: TypeAlias = dict[str, Any]

TIME = "%Y-%m-%dT%H:%M:%S.%fZ"  # of UTC; its table understands no other
PAGE = 100  # tasks a request
RESERVED = "reserved network address"  # in its refusal of a backend that is in no public network
FRESH_S = 240.0  # an access token lives for five minutes


class Client(ToolApi):
    """One Label Studio under one user's token: a legacy one, or a personal one, which buys short-lived ones."""

    def __init__(self, url: str, token: str, transport: httpx.BaseTransport | None = None) -> None:
        super().__init__("Label Studio", url, "PRELABEL_LABEL_STUDIO_TOKEN", transport)
        self._token = token
        self._access: tuple[str, float] | None = None
        self._renewing = threading.Lock()

    def project(self, project: int) -> dict[str, Any]:
        """A project with its ``label_config``, ``model_version`` and counts."""
        return dict(self._json("GET", f"/api/projects/{project}"))

    def tasks(self, project: int, since: datetime | None = None) -> Iterator[list[StudioTask]]:
        """Tasks with their annotations and predictions, in pages by number: every one or, with ``since`` of UTC, those
        that changed afterwards and those without a prediction, for nothing else tells that predictions were deleted.

        A page begins behind the last task of the one before, so that what changes meanwhile moves none.
        """
        if since is None:
            yield from self._pages(project)
        else:
            yield from self._pages(project, _filter("updated_at", "greater", "Datetime", f"{since:{TIME}}"))
            yield from self._pages(project, _filter("total_predictions", "equal", "Number", 0))

    def _pages(self, project: int, *wanted: Mapping[str, Any]) -> Iterator[list[StudioTask]]:
        after, is_last = 0, False
        while not is_last:
            items = [_filter("id", "greater", "Number", after), *wanted]
            page = self._page(project, {"filters": {"conjunction": "and", "items": items}})
            is_last = len(page) < PAGE
            if page:
                after = int(page[-1]["id"])
                yield page

    def tasks_of(self, project: int, numbers: Sequence[int]) -> list[StudioTask]:
        """Some tasks, at most a page of them, as they are now."""
        return self._page(project, {"selectedItems": {"all": False, "included": list(numbers)}})

    def _page(self, project: int, query: Mapping[str, Any]) -> list[StudioTask]:
        """The first tasks that the query of Label Studio's table has."""
        asked = {"project": project, "page": 1, "page_size": PAGE, "fields": "all"}
        asked["query"] = json.dumps({**query, "ordering": ["tasks:id"]})
        return list(self._json("GET", "/api/tasks", params=asked)["tasks"])

    def task(self, task: int) -> dict[str, Any]:
        """A task with its data."""
        return dict(self._json("GET", f"/api/tasks/{task}"))

    def prediction(self, prediction: int) -> dict[str, Any]:
        """A prediction as it was stored."""
        return dict(self._json("GET", f"/api/predictions/{prediction}"))

    def add_predictions(self, project: int, predictions: Sequence[Mapping[str, Any]]) -> None:
        """Stores predictions, each ``{"task", "model_version", "score", "result"}``."""
        self._json("POST", f"/api/projects/{project}/import/predictions", json=list(predictions))

    def upload(self, project: int, name: str, data: bytes) -> int:
        """Adds a task about a medium of that name, and returns its number."""
        path, how = f"/api/projects/{project}/import", {"params": {"return_task_ids": "true"}}
        (number,) = self._json("POST", path, files={"file": (name, data)}, **how)["task_ids"]
        return int(number)

    def change_prediction(self, prediction: int, **values: Any) -> None:
        """Gives a prediction another ``score``, its place in the queue, or another ``result``."""
        self._json("PATCH", f"/api/predictions/{prediction}/", json=values)

    def show_version(self, project: int, version: str) -> None:
        """Makes the predictions of a version those that the project shows and orders its queue by."""
        self._json("PATCH", f"/api/projects/{project}", json={"model_version": version})

    def backends(self, project: int) -> list[dict[str, Any]]:
        """The machine-learning backends of a project."""
        return list(self._json("GET", "/api/ml", params={"project": project}))

    def keep_backend(self, project: int, url: str, title: str, secret: str | None) -> None:
        """Connects a backend, for interactive calls as well, or changes the one of that address; ``secret`` is the
        password that it asks for.

        Raises:
            InvalidInput: Label Studio does not reach it, may not, or got an error from it.
        """
        values: dict[str, Any] = {"url": url, "project": project, "title": title}
        if secret is not None:
            values |= {"auth_method": "BASIC_AUTH", "basic_auth_user": "prelabel", "basic_auth_pass": secret}
        known = next((one["id"] for one in self.backends(project) if one["url"].rstrip("/") == url.rstrip("/")), None)
        method, path = ("POST", "/api/ml") if known is None else ("PATCH", f"/api/ml/{known}")
        if known is None:  # whether it goes on so is up to the people there
            values["is_interactive"] = True
        try:
            kept = self._json(method, path, json=values)
        except NotAllowed as error:
            if RESERVED not in str(error):
                raise
            raise InvalidInput(
                f"{self.url}: expected that it may connect to {url}, which is in no public network; "
                "start Label Studio with USE_DEFAULT_BANNED_SUBNETS=false"
            ) from error
        if kept.get("state") == "ER" or kept.get("error_message"):
            raise InvalidInput(f"{self.url}: expected to reach {url}, got {kept.get('error_message')}")

    def sign_webhooks(self, project: int, url: str, secret: str | None) -> int:
        """Gives the webhooks that lead to a backend the password it asks for, and returns how many there are."""
        headers = {"Authorization": basic(secret)} if secret is not None else {}
        ours = [one for one in self._json("GET", "/api/webhooks/", params={"project": project})
                if one["url"].rstrip("/") == f"{url.rstrip('/')}/webhook"]  # fmt: skip
        for one in ours:
            self._json("PATCH", f"/api/webhooks/{one['id']}/", json={"url": one["url"], "headers": headers})
        return len(ours)

    def add_webhook(self, project: int, url: str, secret: str | None) -> None:
        """Sends all events of a project to a backend."""
        headers = {"Authorization": basic(secret)} if secret is not None else {}
        values = {"project": project, "url": f"{url.rstrip('/')}/webhook", "send_payload": True,
                  "send_for_all_actions": True, "headers": headers}  # fmt: skip
        self._json("POST", "/api/webhooks/", json=values)

    def remove_webhook(self, project: int, path: str) -> None:
        """Takes away the webhook of a project that leads to that path, at whatever address.

        Raises:
            InvalidInput: there are several, of other services too.
        """
        hooks = self._json("GET", "/api/webhooks/", params={"project": project})
        found = [one for one in hooks if one["url"].rstrip("/").endswith(path)]
        if len(found) > 1:
            raise InvalidInput(f"project {project}: expected one webhook that leads to {path}, got "
                               f"{', '.join(sorted(one['url'] for one in found))}")  # fmt: skip
        for one in found:
            self._json("DELETE", f"/api/webhooks/{one['id']}/")

    def _authorization(self) -> dict[str, str]:
        if self._token.count(".") != 2:
            return {"Authorization": f"Token {self._token}"}
        with self._renewing:
            if self._access is None or monotonic() - self._access[1] > FRESH_S:
                path = "/api/token/refresh/"
                response = self._http.post(path, json={"refresh": self._token})
                self._check(response, path)
                self._access = str(response.json()["access"]), monotonic()
            return {"Authorization": f"Bearer {self._access[0]}"}


def _filter(column: str, operator: str, kind: str, value: Any) -> dict[str, Any]:
    """What tasks must have in a column of Label Studio's table."""
    return {"filter": f"filter:tasks:{column}", "operator": operator, "type": kind, "value": value}


def require(client: Client | None) -> Client:
    """The client.

    Raises:
        InvalidInput: the settings name no Label Studio.
    """
    if client is None:
        raise InvalidInput("Label Studio: expected PRELABEL_LABEL_STUDIO_URL and PRELABEL_LABEL_STUDIO_TOKEN, got none")
    return client


def connect(settings: Settings) -> Client | None:
    """A client of the Label Studio that the settings name, if they name one."""
    if not settings.label_studio_url or not settings.label_studio_token:
        return None
    return Client(settings.label_studio_url, settings.label_studio_token)


def basic(secret: str) -> str:
    """The header's value that carries a token of ours, as Label Studio can send it."""
    return "Basic " + base64.b64encode(f"prelabel:{secret}".encode()).decode()
