"""The API for other programs in Python: records in and out, and the server's failures as the same exceptions here.

A tool's whole work, with ``ask`` standing for what it shows to a person::

    with Client("http://127.0.0.1:3000", token) as prelabel:
        while held := prelabel.lease("asr", annotator="ada").items:
            for work in held:
                began = datetime.now(UTC)
                label = ask(prelabel.media(work.item_id), work.label)
                seconds = (datetime.now(UTC) - began).total_seconds()
                prelabel.correct(work.correction(label, "ada", seconds, "my tool", began), work.lease_id)

Blocking; safe to share between threads. Needs httpx and pydantic, and nothing of the server.
"""

import hmac
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError

from models.errors import InvalidInput, NotAllowed, PrelabelError
from models.records import Correction, Label, Seconds, Task, explain, to_json
from serving.answers import (
    Annotators,
    Answer,
    Choice,
    ChosenItems,
    Consensus,
    Entry,
    EntryFailure,
    History,
    InForce,
    Models,
    Policies,
    Promotion,
    Queue,
    Receipt,
    Registered,
    Report,
    Standing,
    Suspects,
    Version,
)
from serving.errors import KINDS, Overloaded, Unavailable
from serving.webhooks.answers import DeadLetter, DeadLetters, NewWebhook, Webhook, Webhooks
from serving.webhooks.signing import signature

FIRST_PAUSE_S = 0.5  # doubled with each try, where the server does not say how long to wait
LINES = 1000  # of one request that registers media
TOLERANCE_S = 300  # by which a webhook's clock may be off

T = TypeVar("T")

_adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)  # one a record


class Client:
    """One prelabel under one token. Close it, or use it in a ``with`` statement.

    A call that may be repeated without harm waits and tries again where the server is overloaded, unavailable or out of
    reach, as long as the server asks (``Retry-After``) and for ``patience_s`` in all. Every method raises the exception
    that the server met, with its message: ``InvalidInput``, ``NotFound``, ``NotAllowed``, ``Stale``, ``Refused``,
    ``Overloaded``, ``Unavailable``. Proxies that the environment names are not used.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        patience_s: Seconds = 60,
        timeout_s: Seconds = 60,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[Seconds], None] = time.sleep,
    ) -> None:
        self.url = url.rstrip("/")
        self._patience_s, self._sleep = patience_s, sleep
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(
            base_url=self.url, headers=headers, timeout=timeout_s, trust_env=False, transport=transport
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends open connections."""
        self._http.close()

    # -- media

    def annotate(self, task: Task, medium: bytes | Path | str) -> Answer:
        """What the serving version says about a medium: its bytes, a file of this machine, or a uri that the server
        may read."""
        path = f"/v1/{_part(task)}/annotate"
        if isinstance(medium, str):
            return self._read(Answer, self._send("POST", path, json={"uri": medium}))
        data = medium.read_bytes() if isinstance(medium, Path) else medium
        headers = {"Content-Type": "application/octet-stream"}
        return self._read(Answer, self._send("POST", path, content=data, headers=headers))

    def register(self, entries: Iterable[Entry]) -> Registered:
        """Registers media by uri, in as many requests as needed; the same bytes are the same item."""
        new, known, failures, lines = 0, 0, list[EntryFailure](), list(entries)
        for begin in range(0, len(lines), LINES):
            body = "\n".join(_line(line) for line in lines[begin : begin + LINES])
            told = self._read(Registered, self._send("POST", "/v1/items", content=body.encode()))
            new, known = new + told.new, known + told.known
            failures += [EntryFailure(begin + one.line, one.uri, one.error) for one in told.failures]
        return Registered(new, known, len(failures), tuple(failures))

    def item(self, item_id: str) -> History:
        """An item with its whole history."""
        return self._read(History, self._send("GET", f"/v1/items/{_part(item_id)}"))

    def consensus(self, item_id: str) -> Consensus:
        """What people agree on about an item, and what each of them said."""
        return self._read(Consensus, self._send("GET", f"/v1/items/{_part(item_id)}/consensus"))

    def media(self, item_id: str) -> bytes:
        """The bytes of an item, as they came."""
        return self._send("GET", f"/v1/items/{_part(item_id)}/media").content

    # -- people

    def lease(
        self,
        task: Task,
        limit: int | None = None,
        annotator: str | None = None,
        strategy: str | None = None,
        seconds: Seconds | None = None,
    ) -> Queue:
        """The next items for one person, most useful first; nobody else gets them before their lease ends.

        One or, where the person has only so many ``seconds``, what is expected to fit into them. Without ``annotator``
        they are the token's. Not tried again after a failure that may have come too late: what was leased then comes
        back when its lease ends.
        """
        asked = {"limit": limit, "annotator": annotator, "strategy": strategy, "seconds": seconds}
        params = {name: value for name, value in asked.items() if value is not None}
        response = self._send("GET", f"/v1/queue/{_part(task)}", repeatable=False, params=params)
        return self._read(Queue, response)

    def release(self, lease_id: str) -> None:
        """Gives an item back that nobody corrects: others get it at once."""
        self._send("DELETE", f"/v1/leases/{_part(lease_id)}")

    def correct(self, correction: Correction, lease_id: str | None = None) -> Receipt:
        """Sends a person's label; the same one sent twice counts once. Without ``lease_id`` it is always taken."""
        body = to_json(correction) | {"lease_id": lease_id}
        item_id = body.pop("item_id")
        del body["version"]
        return self._read(Receipt, self._send("POST", f"/v1/items/{_part(item_id)}/correction", json=body))

    def find_unfit(
        self,
        item_id: str,
        task: Task,
        reason: str,
        annotator: str,
        seconds: Seconds,
        tool: str,
        at: datetime,
        lease_id: str | None = None,
    ) -> None:
        """Says that an item cannot be labelled, and why: ``damaged``, ``other`` and what else the task has; it leaves
        the queue. ``at`` carries its time zone and tells repeats apart. Without ``lease_id`` it is always taken."""
        body = {"task": task, "reason": reason, "annotator": annotator, "seconds": seconds, "tool": tool,
                "created_at": at.isoformat(), "lease_id": lease_id}  # fmt: skip
        self._send("POST", f"/v1/items/{_part(item_id)}/unfit", json=body)

    def find_fit(self, item_id: str, task: Task) -> None:
        """Takes back that an item cannot be labelled."""
        self._send("DELETE", f"/v1/items/{_part(item_id)}/unfit", params={"task": task})

    def choose_gold(self, item_id: str, task: Task, label: Label | None = None) -> Choice:
        """Chooses an item as gold, together with its label where that is known to be right."""
        body = {"task": task, "label": None if label is None else to_json(label)}
        return self._read(Choice, self._send("PUT", f"/v1/items/{_part(item_id)}/gold", json=body))

    def take_back_gold(self, item_id: str, task: Task) -> None:
        """Chooses an item as gold no longer."""
        self._send("DELETE", f"/v1/items/{_part(item_id)}/gold", params={"task": task})

    def gold(self, task: Task, limit: int = 50, after: str = "") -> ChosenItems:
        """A page of the items that are chosen as gold, by id, behind one."""
        params = {"task": task, "limit": limit, "after": after}
        return self._read(ChosenItems, self._send("GET", "/v1/gold", params=params))

    def suspects(self, task: Task, limit: int = 50, offset: int = 0) -> Suspects:
        """A page of the labels that are probably wrong, worst first; waits while they are ranked."""
        params = {"task": task, "limit": limit, "offset": offset}
        return self._read(Suspects, self._send("GET", "/v1/suspects", params=params))

    def annotators(self, task: Task | None = None) -> Mapping[Task, Sequence[Standing]]:
        """How fast people are and how often right, by task and name."""
        params = {"task": task} if task else {}
        return self._read(Annotators, self._send("GET", "/v1/annotators", params=params)).tasks

    # -- versions, policies and figures

    def models(self) -> list[Version]:
        """Every version, by task and age."""
        return list(self._read(Models, self._send("GET", "/v1/models")).models)

    def promote(self, version: str, force: bool = False) -> Promotion:
        """Lets a version serve, unless it is worse on the gold items and not forced."""
        path = f"/v1/models/{_part(version)}/promote"
        return self._read(Promotion, self._send("POST", path, repeatable=False, json={"force": force}))

    def policy(self) -> Mapping[Task, InForce]:
        """By what terms is decided who must look at what, of each task."""
        return self._read(Policies, self._send("GET", "/v1/policy")).tasks

    def adopt(self, policy: Mapping[str, Any], task: Task | None = None) -> Mapping[Task, InForce]:
        """Puts a policy in force for a task or, without one, for all; terms left out are as the settings say."""
        body = {"task": task, "policy": policy}
        return self._read(Policies, self._send("PUT", "/v1/policy", repeatable=False, json=body)).tasks

    def report(self) -> Mapping[Task, Mapping[str, Any]]:
        """The figures of each task."""
        return self._read(Report, self._send("GET", "/v1/report")).tasks

    # -- webhooks, for admins

    def webhooks(self) -> list[Webhook]:
        """Who is told of what."""
        return list(self._read(Webhooks, self._send("GET", "/v1/webhooks")).webhooks)

    def add_webhook(self, url: str, events: Sequence[str], task: Task | None = None) -> NewWebhook:
        """Tells an address of events from now on; the answer holds the secret that signs them, this once."""
        body = {"url": url, "events": list(events), "task": task}
        return self._read(NewWebhook, self._send("POST", "/v1/webhooks", repeatable=False, json=body))

    def remove_webhook(self, webhook_id: str) -> None:
        """Tells an address no more, nor what was still to be told."""
        self._send("DELETE", f"/v1/webhooks/{_part(webhook_id)}", repeatable=False)

    def dead_letters(self) -> list[DeadLetter]:
        """Messages that nobody heard, oldest first."""
        return list(self._read(DeadLetters, self._send("GET", "/v1/webhooks/dead")).dead)

    def retry(self, letter_id: int) -> None:
        """Tells a dead message again, at once."""
        self._send("POST", f"/v1/webhooks/dead/{letter_id}/retry", repeatable=False)

    # -- the wire

    def _send(self, method: str, path: str, repeatable: bool = True, **how: Any) -> httpx.Response:
        """The answer of a request that succeeded, at once or after a while."""
        waited, pause = 0.0, FIRST_PAUSE_S
        while True:
            asked_s = None
            try:
                response = self._http.request(method, path, **how)
                if response.is_success:
                    return response
                asked_s = _retry_after(response)
                error = failure(response, f"{method} {self.url}{path}")
            except httpx.HTTPError as lost:
                error = Unavailable(f"{method} {self.url}{path}: expected an answer, got {lost or type(lost).__name__}")
            wait = pause if asked_s is None else asked_s
            # an overloaded server has done nothing, so that asking again never does harm
            again = isinstance(error, Overloaded) or (repeatable and isinstance(error, Unavailable))
            if not again or waited + wait > self._patience_s:
                raise error
            self._sleep(wait)
            waited, pause = waited + wait, 2 * pause

    def _read(self, kind: type[T], response: httpx.Response) -> T:
        try:
            read: T = _adapter(kind).validate_json(response.content)
        except ValidationError as error:
            where = f"{response.request.method} {response.request.url}"
            raise InvalidInput(f"{where}: expected {kind.__name__}, got another answer: "
                               f"{explain(error)}") from error  # fmt: skip
        return read


def failure(response: httpx.Response, where: str) -> PrelabelError:
    """The exception that the server met, or one that says what came where it is no answer of prelabel."""
    status = response.status_code
    try:
        told = response.json()["error"]
        code, message = str(told["code"]), str(told["message"])
    except (ValueError, LookupError, TypeError):
        code, message = "", f"{where}: expected an answer of prelabel, got {status} {response.text[:200]!r}"
    by_code = [kind for kind, _, known in KINDS if known == code]
    by_status = [kind for kind, known, _ in reversed(KINDS) if known == status]
    kind = next(iter(by_code or by_status), PrelabelError)
    if issubclass(kind, Overloaded):
        return kind(message, int(_retry_after(response) or 1))
    return kind(message)


def verify_webhook(
    secret: str, headers: Mapping[str, str], body: bytes, now: Callable[[], Seconds] = time.time
) -> dict[str, Any]:
    """The event that a webhook brought, if prelabel sent it and did so just now.

    Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

    Args:
        secret: as the webhook was made with, ``whsec_`` and base64.
        headers: of the request, in any case.
        body: of the request, exactly as it came.

    Raises:
        InvalidInput: the secret is none, or the body is no JSON object.
        NotAllowed: no signature, none by this secret, or one of more than five minutes ago or ahead.
    """
    of_request = {name.lower(): value for name, value in headers.items()}
    try:
        sent, at, given = (of_request[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
    except KeyError as missing:
        raise NotAllowed(f"webhook: expected the header {missing.args[0]}, got none") from missing
    if not at.isdecimal() or abs(now() - int(at)) > TOLERANCE_S:
        raise NotAllowed(f"webhook-timestamp: expected one within {TOLERANCE_S} s of now, {now():.0f}, got {at!r}")
    expected = signature(secret, sent, int(at), body).encode()
    if not any(hmac.compare_digest(expected, one.encode()) for one in given.split()):
        raise NotAllowed(f"webhook-signature: expected one by this secret, got {given!r:.200}")
    try:
        event = json.loads(body)
    except ValueError as error:
        raise InvalidInput(f"webhook: expected a JSON object, got {body[:200]!r}") from error
    if not isinstance(event, dict):
        raise InvalidInput(f"webhook: expected a JSON object, got {body[:200]!r}")
    return event


def _line(entry: Entry) -> str:
    told = {name: value for name, value in vars(entry).items() if value is not None}
    return json.dumps(told | ({"due": entry.due.isoformat()} if entry.due else {}))


def _part(name: str) -> str:
    """One part of a path, whatever it holds."""
    return quote(name, safe="")


def _retry_after(response: httpx.Response) -> Seconds | None:
    """How long the server asks to wait, where it says so in seconds."""
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else None
