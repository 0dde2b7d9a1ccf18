"""Who shows no token, or does not hurry, keeps nobody waiting; asked over sockets of a real server."""

import socket
from collections.abc import Iterator
from pathlib import Path
from time import sleep
from urllib.parse import urlsplit

import anyio
import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from serving import body_limit
from serving.auth import COOKIE
from serving.body_limit import BodyLimit
from tests.serving.served import Served, eventually, listening, picture, serving
from tests.serving.test_app_guard import code_of


def test_where_no_token_is_asked_for_little_is_read(served: Served) -> None:
    much = "x" * 1_100_000
    for path, how in (("/sign-in", {"data": {"token": much}}), ("/cvat/webhook", {"content": much})):
        answer = served.client.post(path, **how)
        assert code_of(answer) == (413, "too_large")


def test_a_cookie_takes_a_time_that_grows_with_its_length_alone(served: Served) -> None:
    with listening(served) as base:
        for path in ("/v1/report", "/sign-in", "/livez"):
            quoted = {"Cookie": f'{COOKIE}="' + '\\"' * 100_000 + '"'}  # a minute, for the square of it
            assert httpx.get(base + path, headers=quoted, timeout=10).status_code == 200
        chosen = {"Cookie": 'other="1"; prelabel_language=zh-Hans'}
        assert httpx.get(f"{base}/sign-in", headers=chosen).headers["content-language"] == "zh-Hans"


def test_a_reason_of_any_length_is_said_at_once(served: Served) -> None:
    text = "p_error 1" + " (score 1) is above the accepted score 1" * 1200
    with listening(served) as base:
        answer = httpx.get(f"{base}/reason", params={"text": text, "lang": "zh-Hans"}, timeout=10)
    assert answer.text == text


def test_the_place_of_a_body_that_does_not_come_is_free_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_limit, "GRACE_S", 1.0)
    with serving(tmp_path, tasks=["detection"], max_waiting=1) as served, listening(served) as base:
        place, inside = urlsplit(base), served.deployment.admission
        room = served.deployment.cores + 1
        slow = [socket.create_connection((place.hostname, place.port), timeout=10) for _ in range(room)]
        for one in slow:
            one.sendall(b"POST /v1/detection/annotate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900\r\n\r\nx")
        eventually(lambda: inside.inside == room)
        assert httpx.post(f"{base}/v1/detection/annotate", content=picture()).status_code == 429
        for one in slow:
            answer = one.recv(1000)
            assert answer.startswith(b"HTTP/1.1 408 ")
            one.close()
        eventually(lambda: inside.inside == 0)
        assert httpx.post(f"{base}/v1/detection/annotate", content=picture()).status_code == 200


def test_a_long_body_has_the_time_that_it_needs(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limit, "GRACE_S", 0.5)

    def pieces() -> Iterator[bytes]:
        yield bytes(30_000)
        sleep(1.5)
        yield bytes(10)

    with listening(served) as base:
        answer = httpx.post(f"{base}/v1/detection/annotate", content=pieces(), timeout=10)
    assert code_of(answer) == (422, "unreadable_media")


def test_the_time_that_the_service_takes_is_not_the_senders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limit, "GRACE_S", 0.2)
    read = list[bytes]()

    async def at_leisure(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(2):
            await anyio.sleep(0.3)
            read.append((await receive())["body"])

    async def sent() -> Message:
        await anyio.sleep(0.01)
        return {"type": "http.request", "body": b"x", "more_body": len(read) == 0}

    async def nothing(_: Message) -> None:
        raise AssertionError

    scope = {"type": "http", "path": "/v1/items", "headers": []}
    anyio.run(BodyLimit(at_leisure, 10), scope, sent, nothing)
    assert read == [b"x", b"x"]


def test_no_other_page_frames_ours(served: Served) -> None:
    for path in ("/", "/docs", "/sign-in", "/review/asr"):
        assert "frame-ancestors 'none'" in served.client.get(path).headers["content-security-policy"]
