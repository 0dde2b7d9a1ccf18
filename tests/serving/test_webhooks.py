"""Other programs are told what happens here: signed, at least once, in order, and none is told what did not happen."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.errors import InvalidInput, NotFound
from models.records import Item
from serving.loop import utc_now
from serving.media_files import content_id
from serving.store import Store
from serving.store.outbox import Outbox, Webhook, tell
from serving.store.records import Comparison, Withdrawal
from serving.webhooks.sender import ROUND, Sender
from serving.webhooks.signing import new_secret, signature
from serving.webhooks.subscribing import subscribe
from tests.serving.processes import killed
from tests.serving.served import Served, picture
from tests.serving.test_store_killed import Send, open_loop
from tests.serving.work import START, Clock, add_version, after, answer, item, prediction, version_folder


class Receiver:
    """An HTTP server that keeps what it is told, and answers what the test says: 200 unless told otherwise."""

    def __init__(self) -> None:
        self.heard: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        self.endless = False
        self.hang = threading.Event()
        self.hang.set()
        receiver, pause = self, threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.hang.wait(10)
                receiver.heard.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(receiver.status)
                self.send_header("location", "/elsewhere")
                self.end_headers()
                while receiver.endless:
                    self.wfile.write(b": still here\n")
                    pause.wait(0.05)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.heard]

    def close(self) -> None:
        self.endless = False
        self.hang.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def second() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def wanting(outbox: Outbox, url: str, *kinds: str, task: Any = None) -> Webhook:
    return subscribe(outbox, url, kinds or ("item.routed",), task, "admin", START)


def route(store: Store, name: object, decision: str = "review") -> None:
    store.items.save(item(name), answer(name, decision=decision), 0.5, None, "tester", START)


@pytest.fixture
def send(store: Store) -> Iterator[Callable[[], bool]]:
    """Delivers what is due, by a clock that stands 10 s later every time."""
    clock = Clock()
    sender = Sender(store.outbox, clock, timeout_s=0.3, delays_s=(1, 2))

    def deliver() -> bool:
        clock.forward(10)
        return sender._work()

    yield deliver
    sender.close()


def test_a_message_is_signed_as_standard_webhooks_are(
    store: Store, receiver: Receiver, send: Callable[[], bool]
) -> None:
    add_version(store)
    secret = wanting(store.outbox, receiver.url).secret
    route(store, 1, "audit")
    assert send()
    ((headers, body),) = receiver.heard
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert int(headers["webhook-timestamp"]) == after(10).timestamp()
    (message,) = receiver.messages
    assert (message["type"], message["timestamp"]) == ("item.routed", START.isoformat())
    assert message["data"] == {
        "item_id": item(1).id, "task": "detection", "model_version": "v1", "p_error": 0.5, "seconds": 3.0,
        "decision": "audit", "reason": "because",
    }  # fmt: skip
    assert not send()


def test_the_specification_has_an_example() -> None:
    """From the specification's own text, https://github.com/standard-webhooks/standard-webhooks."""
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    told = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert told == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    with pytest.raises(InvalidInput, match="expected whsec_ and base64"):
        signature("whsec_!", "msg", 0, b"")
    assert len({new_secret() for _ in range(10)}) == 10


def test_each_hears_what_it_asked_for(
    store: Store, receiver: Receiver, second: Receiver, send: Callable[[], bool]
) -> None:
    add_version(store)
    wanting(store.outbox, receiver.url, "model.promoted", "item.routed", task="detection")
    wanting(store.outbox, second.url, "item.routed", task="asr")
    route(store, 1)
    add_version(store, "v2", serves=False)
    store.versions.promote("v2", "v1", Comparison(), "tester", START)
    store.versions.rollback("detection", "t", START)
    send()
    assert [message["type"] for message in receiver.messages] == ["item.routed", "model.promoted", "model.promoted"]
    assert [message["data"].get("by") for message in receiver.messages] == [None, "promote", "rollback"]
    assert receiver.messages[1]["data"] == {
        "task": "detection", "model_version": "v2", "previous": "v1", "by": "promote"
    }  # fmt: skip
    assert second.heard == []


def test_a_change_of_mind_and_a_broken_promise_are_told(store: Store) -> None:
    version = add_version(store)
    route(store, 1)
    wanting(store.outbox, "http://127.0.0.1:9/", "item.routed", "promise.withdrawn")
    (waiting,) = next(store.items.open_answers("detection", "v1", 9))
    store.items.reroute([(waiting.preannotation_id, answer(1, decision="accept"), 0.5)], "tester", after(1))
    newest = None
    for withdrawal in (None, Withdrawal(START, "wrong", "cars")):
        terms = 0.1, 0.1, 9, "tester", after(2), None
        newest = store.versions.calibrate(version, {}, {"made": False}, *terms, withdrawal, newest)
    routed, broken = (json.loads(told.body) for told in store.outbox.claim(after(3), after(4), 10))
    assert (routed["type"], routed["data"]["decision"]) == ("item.routed", "accept")
    assert (broken["type"], broken["timestamp"]) == ("promise.withdrawn", after(2).isoformat())
    assert broken["data"] == {
        "task": "detection", "model_version": "v1", "kind": "cars", "reason": "wrong", "promise": {"made": False}
    }  # fmt: skip


def test_what_did_not_happen_is_not_told(store: Store) -> None:
    add_version(store)
    wanting(store.outbox, "http://127.0.0.1:9/")
    with pytest.raises(NotFound):
        store.items.save(item(1), answer(1, "unknown"), 0.5, None, "tester", START)
    route(store, 2)
    route(store, 2)  # the first answer of a version stays
    assert len(store.outbox.claim(START, after(1), 10)) == 1


def test_nothing_is_kept_where_nobody_listens(store: Store) -> None:
    add_version(store)
    route(store, 1)
    wanting(store.outbox, "http://127.0.0.1:9/")
    assert store.outbox.claim(after(9), after(10), 10) == []


def test_what_is_not_heard_is_told_again_in_order_and_at_last_dead(
    store: Store, receiver: Receiver, send: Callable[[], bool]
) -> None:
    add_version(store)
    wanting(store.outbox, receiver.url)
    for name in (1, 2, 3):
        route(store, name)
    receiver.status = 500
    send()
    assert len(receiver.heard) == 1  # the others wait
    receiver.status = 302  # a redirect is no answer either
    send()
    assert len(receiver.heard) == 2
    send()  # the third attempt was the last, and the second message is tried for the first time
    (dead,) = store.outbox.dead()
    assert (dead.attempts, dead.failure) == (3, "expected a status of 200 to 299, got 302")
    receiver.status, receiver.heard = 200, []
    send()
    told = [message["data"]["item_id"] for message in receiver.messages]
    assert told == [item(2).id, item(3).id]
    assert store.outbox.retry(dead.id, "admin", after(40))
    assert not store.outbox.retry(dead.id, "admin", after(40))  # it waits already
    send()
    assert receiver.messages[-1]["data"]["item_id"] == item(1).id
    assert receiver.heard[-1][0]["webhook-id"] == dead.message
    assert store.outbox.dead() == []
    with pytest.raises(NotFound, match="expected the id of one in the outbox"):
        store.outbox.retry(dead.id, "admin", after(40))


def test_a_new_message_does_not_overtake_one_that_waits(store: Store, receiver: Receiver) -> None:
    add_version(store)
    wanting(store.outbox, receiver.url)
    clock = Clock()
    sender = Sender(store.outbox, clock, delays_s=(100,))
    route(store, 1)
    receiver.status = 500
    sender._work()
    receiver.status, receiver.heard = 200, []
    route(store, 2)
    assert not sender._work()
    clock.forward(200)
    sender._work()
    sender.close()
    assert [message["data"]["item_id"] for message in receiver.messages] == [item(1).id, item(2).id]


def test_a_long_queue_waits_as_a_whole(store: Store, receiver: Receiver, second: Receiver) -> None:
    """Also what is beyond one round; the others are told meanwhile."""
    add_version(store)
    wanting(store.outbox, receiver.url)
    wanting(store.outbox, second.url)
    sender = Sender(store.outbox, Clock(), delays_s=(100,))
    receiver.status = 500
    for name in range(ROUND + 1):
        route(store, name)
    while sender._work():
        pass
    sender.close()
    assert (len(receiver.heard), len(second.heard)) == (1, ROUND + 1)


def test_one_that_is_slow_gets_a_share_of_a_round(store: Store, receiver: Receiver) -> None:
    """What it did not hear in time is due at once, in its order."""
    add_version(store)
    wanting(store.outbox, receiver.url)
    sender = Sender(store.outbox, Clock(), turn_s=0.0)
    for name in (1, 2, 3):
        route(store, name)
    for heard in (1, 2, 3):
        assert sender._work()
        assert len(receiver.heard) == heard
    sender.close()
    assert [message["data"]["item_id"] for message in receiver.messages] == [item(name).id for name in (1, 2, 3)]


def test_one_that_hangs_does_not_hold_up_others(
    store: Store, receiver: Receiver, second: Receiver, send: Callable[[], bool]
) -> None:
    add_version(store)
    wanting(store.outbox, receiver.url)
    wanting(store.outbox, second.url)
    receiver.hang.clear()
    for name in (1, 2, 3):
        route(store, name)
    send()
    assert len(second.heard) == 3
    receiver.hang.set()
    send()
    told = [message["data"]["item_id"] for message in receiver.messages]  # what hung was heard too, perhaps
    assert list(dict.fromkeys(told)) == [item(name).id for name in (1, 2, 3)]


def test_one_whose_answer_never_ends_has_heard(store: Store, receiver: Receiver, second: Receiver) -> None:
    add_version(store)
    for one in (receiver, second):
        wanting(store.outbox, one.url)
    receiver.endless = True
    for name in range(3):
        route(store, name)
    sender = Sender(store.outbox, Clock(), timeout_s=1)
    working = threading.Thread(target=sender._work, daemon=True)
    working.start()
    working.join(10)
    assert not working.is_alive()
    assert [len(one.heard) for one in (receiver, second)] == [3, 3]
    assert not sender._work()
    sender.close()


def test_a_webhook_that_is_removed_hears_no_more(store: Store, receiver: Receiver, send: Callable[[], bool]) -> None:
    add_version(store)
    webhook = wanting(store.outbox, receiver.url)
    route(store, 1)
    store.outbox.remove(webhook.id, "admin", START)
    assert not send()
    assert store.outbox.webhooks() == []
    with pytest.raises(NotFound, match="webhook: expected the id of one"):
        store.outbox.remove(webhook.id, "admin", START)


@pytest.mark.parametrize("url", ["ftp://example.org", "example.org", "http://", "http://[::1", "file:///etc/passwd"])
def test_only_http_is_told(store: Store, url: str) -> None:
    with pytest.raises(InvalidInput, match="expected an http or https address"):
        wanting(store.outbox, url)


def test_an_event_that_there_is_not_is_refused(store: Store) -> None:
    for kinds in (("item.eaten",), ()):
        with pytest.raises(InvalidInput, match=r"expected events out of item\.routed"):
            subscribe(store.outbox, "http://localhost/", kinds, None, "admin", START)


def record(tell: Send, url: str, root: Path, name: str) -> None:
    loop = open_loop(url, root)
    for i in count():
        data = f"{name}-{i}".encode() * 100
        loop.record("detection", Item(content_id(data), f"{i}"), data, prediction(), "v1", None, "child")
        tell(content_id(data))


def deliver(tell: Send, url: str, root: Path) -> None:
    sender = Sender(Store.open(url).outbox, lambda: utc_now() + timedelta(hours=next(_HOURS)))
    while True:
        sender._work()
        tell(None)


_HOURS = count(1)


def test_killed_processes_lose_no_message(database_url: str, tmp_path: Path, receiver: Receiver) -> None:
    loop, rng = open_loop(database_url, tmp_path), np.random.default_rng(0)
    loop.versions.add(version_folder(tmp_path / "versions", "v1"), "tester")
    loop.versions.promote("v1", "tester")
    wanting(loop.store.outbox, receiver.url)
    acknowledged = [
        item_id for run in range(2) for item_id in killed(record, database_url, tmp_path, f"{run}", rng=rng)
    ]
    for _ in range(2):
        killed(deliver, database_url, tmp_path, rng=rng)
    sender = Sender(loop.store.outbox, lambda: utc_now() + timedelta(days=9))
    while sender._work():
        pass
    sender.close()
    assert {message["data"]["item_id"] for message in receiver.messages} >= set(acknowledged)


def test_what_nobody_heard_is_on_the_page_and_told_again_from_there(served: Served) -> None:
    store = served.loop.store
    wanting(store.outbox, "http://name:word@127.0.0.1:9/secret", "item.routed")
    with store._database.writing() as connection:
        tell(connection, "item.routed", "asr", {}, START)
    (message,) = store.outbox.claim(START, after(10**9), 1)
    store.outbox.failed(message, "nobody was there", None)
    shown = served.client.get("/errors").text
    assert "<td>127.0.0.1:9 <code>" in shown
    assert "nobody was there" in shown
    assert "secret" not in shown
    form = {"delivery": str(message.id)}
    assert served.client.post("/errors/retry", data=form, follow_redirects=False).status_code == 303
    assert store.outbox.dead() == []


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"delivery": "7"}, 404),
        ({"event": "7"}, 404),
        ({"event": str(2**63)}, 404),
        ({"event": "1" * 5000}, 422),
        ({"delivery": "1" * 5000}, 422),
        ({"delivery": "-1"}, 422),
        ({"item": "7"}, 422),
    ],
)
def test_what_is_not_there_is_not_tried_again(served: Served, form: dict[str, str], status: int) -> None:
    assert served.client.post("/errors/retry", data=form, follow_redirects=False).status_code == status


@pytest.mark.parametrize("before", ["x", "2026-01-01", "0001-01-01T00:00:00+14:00~a", "9999-12-31T23:59:59-14:00~a"])
def test_a_page_of_errors_begins_at_a_time_that_there_is(served: Served, before: str) -> None:
    answer = served.client.get("/errors", params={"before": before})
    assert answer.status_code == 422
    assert "before: expected" in answer.text
    assert served.client.get("/errors", params={"before": "2026-01-01T00:00:00~a"}).status_code == 200


def test_the_service_tells_what_happens(served: Served, receiver: Receiver) -> None:
    asked = {"url": receiver.url, "events": ["item.routed"], "task": "detection"}
    made = served.client.post("/v1/webhooks", json=asked).json()
    assert made["secret"].startswith("whsec_")
    (listed,) = served.client.get("/v1/webhooks").json()["webhooks"]
    assert listed == {name: value for name, value in made.items() if name != "secret"}
    said = served.client.post("/v1/detection/annotate", content=picture()).json()
    for _ in range(100):
        if receiver.heard:
            break
        threading.Event().wait(0.1)
    assert receiver.messages[0]["data"]["item_id"] == said["item_id"]
    assert served.client.get("/v1/webhooks/dead").json() == {"dead": []}
    for unknown in (7, 10**30):
        assert served.client.post(f"/v1/webhooks/dead/{unknown}/retry").status_code == 404
    assert served.client.delete(f"/v1/webhooks/{made['id']}").status_code == 204
    assert served.client.delete(f"/v1/webhooks/{made['id']}").status_code == 404
    assert served.client.post("/v1/webhooks", json={"url": "x", "events": ["item.routed"]}).status_code == 422
    assert served.client.post("/v1/webhooks", json=asked | {"url": "http://a\0/"}).status_code == 422
