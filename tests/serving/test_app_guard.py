"""Who may do what, and how much of it: tokens, scopes, foreign pages, large bodies, too many requests, our own bugs."""

import threading
from collections.abc import Iterator
from pathlib import Path
from time import sleep
from typing import Any

import anyio
import httpx
import pytest
from numpy.typing import NDArray

from models.records import Prediction, Task
from models.tasks import Runtime, load_runtime
from serving.auth import COOKIE, FRESH_S, scopes_for
from serving.loop import utc_now
from serving.tokens import SCOPES, make_token
from tests.serving.served import ORIGIN, Served, picture, serving


def token(served: Served, *scopes: str, name: str = "") -> dict[str, str]:
    """The header with the secret of a new token."""
    secret = make_token(served.loop.store, name or "+".join(scopes), scopes, "tester", utc_now())
    return {"Authorization": f"Bearer {secret}"}


def code_of(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a failure."""
    return answer.status_code, answer.json()["error"]["code"]


class TestTokens:
    def test_with_a_token_made_nothing_is_open(self, served: Served) -> None:
        assert served.client.get("/v1/report").status_code == 200
        token(served, "annotate")
        sleep(FRESH_S)
        for method, path in (("GET", "/v1/report"), ("POST", "/v1/items"), ("GET", "/metrics"), ("GET", "/nothing")):
            answer = served.client.request(method, path)
            assert code_of(answer) == (401, "unauthenticated")
            assert answer.headers["www-authenticate"] == "Bearer"
        for path in ("/livez", "/readyz", "/healthz", "/docs", "/openapi.json", "/static/page.css"):
            assert served.client.get(path).status_code == 200

    def test_a_token_does_what_its_scopes_say_and_its_name_is_kept(self, served: Served) -> None:
        camera, person = token(served, "annotate", name="camera"), token(served, "correct", name="ada's tool")
        answer = served.client.post("/v1/detection/annotate", content=picture(), headers=camera)
        assert answer.status_code == 200
        item_id = answer.json()["item_id"]
        assert code_of(served.client.get("/v1/queue/detection", headers=camera)) == (403, "not_allowed")
        (leased,) = served.client.get("/v1/queue/detection", headers=person).json()["items"]
        body = {"task": "detection", "label": leased["label"], "annotator": "ada", "seconds": 1}
        path = f"/v1/items/{item_id}/correction"
        assert served.client.post(path, json=body, headers=camera).status_code == 403
        assert served.client.post(path, json=body, headers=person).status_code == 200
        told = served.client.get(f"/v1/items/{item_id}", headers=camera).json()
        assert told["preannotations"][0]["actor"] == "camera"
        assert (told["corrections"][0]["actor"], told["leases"][0]["annotator"]) == ("ada's tool", "ada's tool")
        lease = f"/v1/leases/{leased['lease_id']}"
        assert code_of(served.client.delete(lease, headers=camera)) == (403, "not_allowed")
        assert served.client.delete(lease, headers=person).status_code == 204
        assert code_of(served.client.delete("/v1/leases/none", headers=person)) == (404, "not_found")
        assert served.client.post("/v1/models/none/promote", headers=person).status_code == 403
        assert served.client.post("/v1/models/none/promote", headers=token(served, "promote")).status_code == 404
        assert served.client.post("/v1/models/none/promote", headers=token(served, "admin")).status_code == 404

    def test_a_revoked_or_unknown_token_opens_nothing(self, served: Served) -> None:
        good = token(served, "admin", name="gone")
        assert served.client.get("/v1/report", headers=good).status_code == 200
        served.loop.store.tokens.revoke("gone", "tester", utc_now())
        sleep(FRESH_S)
        for header in (good["Authorization"], "Bearer nonsense", "Bearer", "Basic abc", ""):
            answer = served.client.get("/v1/report", headers={"Authorization": header})
            assert code_of(answer) == (401, "unauthenticated")
        assert served.client.get("/v1/report").status_code == 401  # the last token gone does not open the service

    def test_every_route_asks_for_the_scope_of_its_deed(self, served: Served) -> None:
        deeds = {
            ("POST", "/v1/{task}/annotate"): ("annotate",),
            ("POST", "/v1/items"): ("annotate",),
            ("GET", "/v1/queue/{task}"): ("correct",),
            ("POST", "/v1/items/{item_id}/correction"): ("correct",),
            ("POST", "/v1/items/{item_id}/unfit"): ("correct",),
            ("DELETE", "/v1/items/{item_id}/unfit"): ("correct",),
            ("GET", "/v1/gold"): ("promote",),
            ("PUT", "/v1/items/{item_id}/gold"): ("promote",),
            ("DELETE", "/v1/items/{item_id}/gold"): ("promote",),
            ("DELETE", "/v1/leases/{lease_id}"): ("correct",),
            ("POST", "/v1/models/{version}/promote"): ("promote",),
            ("PUT", "/v1/policy"): ("admin",),
            ("GET", "/v1/webhooks"): ("admin",),
            ("POST", "/v1/webhooks"): ("admin",),
            ("DELETE", "/v1/webhooks/{webhook_id}"): ("admin",),
            ("GET", "/v1/webhooks/dead"): ("admin",),
            ("POST", "/v1/webhooks/dead/{delivery_id}/retry"): ("admin",),
            ("POST", "/label-studio/{task}/setup"): ("annotate",),
            ("POST", "/label-studio/{task}/predict"): ("annotate",),
            ("POST", "/label-studio/{task}/webhook"): ("correct",),
            ("POST", "/label-studio/{task}/train"): ("promote",),
            ("POST", "/cvat/{task}"): ("annotate",),
            ("POST", "/cvat/detection/tracker"): ("annotate",),
            ("POST", "/cvat/webhook"): ("annotate",),  # passes without a token, by its signature
        }
        for path, operations in served.client.get("/openapi.json").json()["paths"].items():
            for method in operations:
                expected = deeds.pop((method.upper(), path), SCOPES)
                assert method == "get" or expected != SCOPES, f"{method} {path} has no rule"
                assert scopes_for(method.upper(), path.replace("{", "").replace("}", "")) == expected
        assert not deeds
        assert scopes_for("DELETE", "/v1/items") == ("admin",)

    def test_the_body_of_a_stranger_is_not_read(self, served: Served) -> None:
        token(served, "annotate")
        read = 0

        async def endless() -> Any:
            nonlocal read
            for _ in range(1000):
                read += 1
                yield bytes(100_000)

        async def post() -> int:
            async with served.async_client() as client:
                return (await client.post("/v1/detection/annotate", content=endless())).status_code

        assert anyio.run(post) == 401
        assert read <= 1

    def test_a_browser_signs_in_to_look_and_changes_things_from_our_own_pages_alone(self, served: Served) -> None:
        secret = token(served, "admin")["Authorization"].removeprefix("Bearer ")
        client = served.client
        browser = {"Accept": "text/html,*/*"}
        lost = client.get("/?lang=en", headers=browser, follow_redirects=False)
        assert lost.headers["location"] == "/sign-in?next=%2F%3Flang%3Den"
        assert client.get("/").status_code == 401
        assert client.get("/sign-in").status_code == 200
        assert client.post("/sign-in", data={"token": "wrong"}).status_code == 401
        answer = client.post("/sign-in", data={"token": secret}, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert client.get("/").status_code == 200
        assert client.get("/v1/report").status_code == 200
        assert client.post("/v1/models/none/promote").status_code == 401
        for origin, status in (
            (ORIGIN, 404),
            ("https://example.org", 401),
            ("http://127.0.0.1:3001", 401),
            ("null", 401),
        ):
            assert client.post("/v1/models/none/promote", headers={"Origin": origin}).status_code == status
        foreign = {"Sec-Fetch-Site": "same-site"}  # another port of this machine counts as the same site
        assert client.get("/v1/queue/detection", headers=foreign).status_code == 401
        assert COOKIE in client.cookies
        assert client.post("/sign-out", follow_redirects=False).headers["location"] == "/sign-in"
        assert COOKIE not in client.cookies

    @pytest.mark.parametrize(
        ("wanted", "goes_to"),
        [
            ("/models?task=asr", "/models?task=asr"),
            ("https://example.org/", "/"),
            ("//example.org", "/"),
            ("/\\\\example.org", "/"),
            ("javascript:alert(1)", "/"),
        ],
    )
    def test_signing_in_leads_back_to_a_page_of_ours_alone(self, served: Served, wanted: str, goes_to: str) -> None:
        secret = token(served, "admin")["Authorization"].removeprefix("Bearer ")
        answer = served.client.post("/sign-in", data={"token": secret, "next": wanted}, follow_redirects=False)
        assert answer.headers["location"] == goes_to


class TestOpen:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Host": "rebound.example.org:3000"},
            {"Origin": "https://example.org"},
            {"Origin": "null"},
            {"Origin": "http://127.0.0.1:8000"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ],
        ids=str,
    )
    def test_another_web_page_may_not_use_the_visitors_browser(self, served: Served, headers: dict[str, str]) -> None:
        for method, path in (("POST", "/v1/detection/annotate"), ("GET", "/v1/queue/detection"), ("GET", "/v1/report")):
            answer = served.client.request(method, path, headers=headers, content=picture())
            assert code_of(answer) == (403, "not_allowed")

    @pytest.mark.parametrize("host", ["127.0.0.1:3000", "localhost:3000", "[::1]:3000", "LOCALHOST"])
    def test_the_page_itself_and_programs_may(self, served: Served, host: str) -> None:
        own = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
        assert served.client.get("/v1/report", headers=own).status_code == 200
        assert served.client.get("/v1/report", headers={"Host": host}).status_code == 200
        followed = {"Host": host, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
        assert served.client.get("/", headers=followed).status_code == 200
        assert served.client.get("/v1/queue/asr", headers=followed).status_code == 403

    def test_beyond_this_machine_nothing_is_open(self, served: Served) -> None:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(served.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://192.0.2.7:3000") as client:
                return await client.get("/v1/report", headers={"Host": "127.0.0.1"})

        answer = anyio.run(ask)
        assert code_of(answer) == (401, "unauthenticated")
        assert "make one" in answer.json()["error"]["message"]


class TestBodyLimit:
    @pytest.fixture
    def small(self, tmp_path: Path) -> Iterator[Served]:
        with serving(tmp_path, tasks=["detection"], max_body_mb=0.01) as running:
            yield running

    def test_a_large_body_is_refused_announced_or_not(self, small: Served) -> None:
        def pieces() -> Iterator[bytes]:
            for _ in range(20):
                yield bytes(1000)

        large = bytes(10_001)
        answers = [
            small.client.post("/v1/detection/annotate", content=large),
            small.client.post("/v1/detection/annotate", content=pieces()),
            small.client.post("/v1/detection/annotate", files={"file": large}),
            small.client.post("/v1/items", content=pieces()),
            small.client.post("/v1/items/none/correction", content=pieces()),
            small.client.post("/sign-in", data={"token": "x" * 10_001}),
        ]
        assert [code_of(answer) for answer in answers] == [(413, "too_large")] * len(answers)
        assert "at most 10000 bytes" in answers[0].json()["error"]["message"]

    def test_a_body_within_the_limit_passes(self, small: Served) -> None:
        assert small.client.post("/v1/detection/annotate", content=picture()).status_code == 200

    def test_an_announced_size_is_refused_before_anything_is_read(self, small: Served) -> None:
        headers = {"Content-Length": str(1 << 60)}
        answer = small.client.post("/v1/detection/annotate", content=b"", headers=headers)
        assert code_of(answer) == (413, "too_large")


class Gate:
    """Runtimes that answer only while the gate is open."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.opened.set()

    def load(self, task: Task, onnx: Path, threads: int) -> Runtime:
        runtime, opened = load_runtime(task, onnx, threads), self.opened

        class Waiting:
            def feeds(self, media: NDArray[Any]) -> dict[str, NDArray[Any]]:
                return runtime.feeds(media)

            def predict(self, media: NDArray[Any]) -> Prediction:
                assert opened.wait(20)
                return runtime.predict(media)

        return Waiting()


class TestOverload:
    def test_too_many_requests_are_told_when_to_come_again(self, tmp_path: Path) -> None:
        gate = Gate()
        with serving(tmp_path, tasks=["detection"], load=gate.load, max_waiting=3) as served:
            room = served.deployment.cores + 3
            gate.opened.clear()
            answers = anyio.run(self.hammer, served, gate, int(room))
            refused = [answer for answer in answers if answer.status_code == 429]
            assert len(refused) == 2
            assert [answer.status_code for answer in answers].count(200) == room
            for answer in refused:
                assert code_of(answer) == (429, "overloaded")
                assert int(answer.headers["retry-after"]) >= 1
            assert served.deployment.admission.inside == 0
            assert served.client.post("/v1/detection/annotate", content=picture(200)).status_code == 200

    async def hammer(self, served: Served, gate: Gate, room: int) -> list[httpx.Response]:
        """Two more requests than there is room for, then the gate opens; the page and probes answer all the while."""
        answers: list[httpx.Response] = []
        async with served.async_client() as client:

            async def post(shade: int) -> None:
                answers.append(await client.post("/v1/detection/annotate", content=picture(shade)))

            async with anyio.create_task_group() as group:
                for shade in range(room + 2):
                    group.start_soon(post, shade)
                with anyio.fail_after(20):
                    while served.deployment.admission.inside < room or len(answers) < 2:
                        await anyio.sleep(0.01)
                assert (await client.get("/livez")).status_code == 200
                assert (await client.get("/v1/report")).status_code == 200
                many = [("file", ("a.png", picture(100 + shade))) for shade in range(3)]
                assert (await client.post("/v1/detection/annotate", files=many)).status_code == 429
                gate.opened.set()
        return answers

    def test_a_request_larger_than_the_room_is_let_in_alone(self, tmp_path: Path) -> None:
        with serving(tmp_path, tasks=["detection"], max_waiting=1) as served:
            many = [("file", ("a.png", picture(shade))) for shade in range(8)]
            answer = served.client.post("/v1/detection/annotate", files=many)
            assert answer.status_code == 200
            assert len(answer.json()) == 8


class TestOurBugs:
    def test_no_traceback_leaves_the_server(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        def fail(*_: object) -> None:
            raise RuntimeError("secret detail")

        with serving(tmp_path, tasks=["detection"]) as served:
            served.deployment.loop.report = fail  # type: ignore[method-assign, assignment]
            for path in ("/v1/report", "/"):
                answer = served.client.get(path)
                assert code_of(answer) == (500, "internal")
                assert "secret" not in answer.text
                assert "Traceback" not in answer.text
            number = answer.json()["error"]["message"].split()[-1]
            assert number in caplog.text
            assert "secret detail" in caplog.text
            assert 'route="/v1/report",status="500"} 1.0' in served.client.get("/metrics").text

    def test_the_work_of_a_client_that_left_is_not_done(self, tmp_path: Path) -> None:
        gate = Gate()
        with serving(tmp_path, tasks=["detection"], load=gate.load) as served:
            gate.opened.clear()
            assert anyio.run(self.leave, served, gate) == []
            told = served.deployment.metrics.text().decode()
            busy = served.deployment.cores
            assert f'prelabel_predictions_total{{task="detection",version="{served.version}"}} {busy}.0' in told
            assert 'status="499"} 1.0' in told
            assert served.deployment.admission.inside == 0

    async def leave(self, served: Served, gate: Gate) -> list[Any]:
        """Fills every turn, then asks once more and is gone before the turn comes; returns what is sent to nobody."""
        sent: list[Any] = []
        coming = iter([{"type": "http.request", "body": picture(99)}, {"type": "http.disconnect"}])
        scope = {"type": "http", "method": "POST", "path": "/v1/detection/annotate", "query_string": b"",
                 "headers": [(b"host", b"localhost")], "server": ("127.0.0.1", 3000)}  # fmt: skip

        async def receive() -> Any:
            return next(coming)

        async def send(message: Any) -> None:
            sent.append(message)

        turns = served.deployment.turns
        async with served.async_client() as client, anyio.create_task_group() as group:
            for shade in range(served.deployment.cores):
                group.start_soon(lambda data: client.post("/v1/detection/annotate", content=data), picture(shade))
            with anyio.fail_after(20):
                while turns.value:
                    await anyio.sleep(0.01)
                group.start_soon(served.app, scope, receive, send)
                while served.deployment.admission.inside <= served.deployment.cores:
                    await anyio.sleep(0.01)
            gate.opened.set()
        return sent
