"""The real server as a child process: BentoML, real sockets, real signals."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Any

import httpx
import pytest

from models.errors import InvalidInput, NotAllowed, UnreadableMedia
from serving.client import Client
from serving.loop import utc_now
from serving.service import serve
from serving.settings import Settings, environment
from serving.tokens import make_token
from tests.serving.processes import free_port
from tests.serving.served import eventually, loop_of, picture, sound
from tests.tiny_versions import make_version

ROOT = Path(__file__).parents[2]
START = "import sys, json; from serving.service import serve; from serving.settings import Settings; " \
        "serve(Settings.model_validate(json.loads(sys.argv[1])))"  # fmt: skip


@dataclass
class Server:
    """A running ``prelabel serve``, and what it says."""

    process: subprocess.Popen[str]
    settings: Settings
    log: Path

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.settings.port}"

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.origin, timeout=60, trust_env=False)

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return httpx.get(f"{self.origin}/readyz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


def settings_in(folder: Path, **more: Any) -> Settings:
    values = {"database_url": f"sqlite:///{folder}/store.db", "data_dir": folder / "data", "port": free_port(), **more}
    return Settings.model_validate(values)


def started(folder: Path, settings: Settings) -> Server:
    log = folder / "log"
    process = subprocess.Popen(
        [sys.executable, "-c", START, json.dumps(settings.model_dump(mode="json"))],
        cwd=ROOT,
        stdout=log.open("w"),
        stderr=subprocess.STDOUT,
        text=True,
    )
    return Server(process, settings, log)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests here, with a tiny version of each task; it must end by itself when it is told to."""
    folder = tmp_path_factory.mktemp("server")
    settings = settings_in(folder, max_body_mb=1)
    loop = loop_of(settings)
    for task in ("asr", "detection", "lane"):
        version = make_version(folder / "versions", task)
        loop.versions.add(version.folder, "tester")
        loop.versions.promote(version.name, "tester", force=True)
    loop.store.close()
    running = started(folder, settings)
    try:
        eventually(running.is_ready, 120)
        yield running
    finally:
        running.process.terminate()
        running.process.wait(60)


def test_it_says_where_it_is_and_that_it_is_open(server: Server) -> None:
    assert (
        f"prelabel at {server.origin} (open to this machine, because no token was ever made)" in server.log.read_text()
    )


def test_every_kind_of_body_is_answered(server: Server) -> None:
    with server.client() as client:
        boxes = client.post("/v1/detection/annotate", content=picture()).json()["label"]["boxes"]
        lanes = client.post("/v1/lane/annotate", content=picture()).json()["label"]["lanes"]
        words = client.post("/v1/asr/annotate", content=sound()).json()["label"]["words"]
        assert len(boxes) == len(lanes) == len(words) == 1
        many = client.post("/v1/detection/annotate", files=[("file", picture(1)), ("file", picture(2))])
        assert len(many.json()) == 2


def test_a_program_works_with_it_through_the_client(server: Server) -> None:
    with Client(server.origin) as client:
        for shade in range(100, 103):
            client.annotate("detection", picture(shade))
        work = client.lease("detection", limit=3, annotator="ada").items
        assert len(work) == 3
        receipts = [
            client.correct(one.correction(one.label, "ada", 2, "mine", utc_now()), one.lease_id) for one in work
        ]
        assert [receipt.item_id for receipt in receipts] == [one.item_id for one in work]
        assert client.report()["detection"]["human_seconds"] == 6
        with pytest.raises(UnreadableMedia, match="body: expected"):
            client.annotate("asr", picture())


def test_a_policy_that_another_process_adopts_holds_at_once(server: Server, tmp_path: Path) -> None:
    policy = tmp_path / "p.toml"
    policy.write_text('calibration_share = 1.0\n[[rules]]\ntask = "detection"\n')
    words = ["policy", "adopt", str(policy), "--task", "detection", "--db", server.settings.database_url]
    command = [sys.executable, "-c", "from serving.cli import main; main()", *words]
    with server.client() as client:
        first = client.post("/v1/detection/annotate", content=picture(50)).json()
        adopted = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        second = client.post("/v1/detection/annotate", content=picture(51)).json()["route"]
        assert adopted.startswith(second["policy"])
        assert first["route"]["policy"] != second["policy"]
        assert second["decision"] == "calibrate"
        assert second["otherwise"].endswith("it would be reviewed")

        def decided_anew() -> bool:
            (line,) = client.get(f"/v1/items/{first['item_id']}").json()["preannotations"]
            return bool(line["policy"] == second["policy"])

        eventually(decided_anew)


def test_nothing_of_bentoml_answers_in_its_own_way(server: Server) -> None:
    with server.client() as client:
        for path in ("/docs.json", "/schema.json", "/static_content/index.css", "/assets/x", "/nothing"):
            assert client.get(path).json()["error"]["code"] == "not_found"
        page = client.get("/")
        assert "prelabel" in page.text
        assert "googletagmanager" not in page.text
        assert "bentoml_service" not in client.get("/metrics").text
        assert client.get("/livez").json() == client.get("/readyz").json() == {"status": "ok"}
        assert client.get("/v1/report", headers={"Host": "example.org"}).status_code == 403


def test_failures_have_the_one_shape_on_the_wire(server: Server) -> None:
    with server.client() as client:
        assert client.post("/v1/detection/annotate", content=b"text").json()["error"]["code"] == "unreadable_media"
        large = client.post("/v1/detection/annotate", content=iter([bytes(700_000)] * 2))
        assert (large.status_code, large.json()["error"]["code"]) == (413, "too_large")
        assert client.post("/v1/none/annotate", content=picture()).status_code == 404
    assert "Traceback" not in server.log.read_text()


def test_a_promotion_of_another_process_is_followed_with_no_request_lost(server: Server, tmp_path: Path) -> None:
    version = make_version(tmp_path, "detection", size=48)
    loop = loop_of(server.settings)
    loop.versions.add(version.folder, "tester")
    said: list[tuple[int, str]] = []

    def newest() -> str:
        with server.client() as client:
            answer = client.post(
                "/v1/detection/annotate", content=picture(3, 40 + len(said) // 60, 40 + len(said) % 60)
            )
            said.append((answer.status_code, answer.json().get("model_version", "")))
            return said[-1][1]

    before = newest()
    loop.versions.promote(version.name, "tester", force=True)
    eventually(lambda: newest() == version.name, 60)
    loop.store.close()
    assert {status for status, _ in said} == {200}
    assert {name for _, name in said} == {before, version.name}


def test_a_token_of_another_process_closes_the_service(server: Server) -> None:
    loop = loop_of(server.settings)
    secret = make_token(loop.store, "camera", ["annotate"], "tester", utc_now())
    with server.client() as client:
        eventually(lambda: client.post("/v1/detection/annotate", content=picture()).status_code == 401, 2)
        header = {"Authorization": f"Bearer {secret}"}
        assert client.post("/v1/detection/annotate", content=picture(), headers=header).status_code == 200
        loop.store.tokens.revoke("camera", "tester", utc_now())
        eventually(lambda: client.get("/v1/report", headers=header).status_code == 401, 2)
    loop.store.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_after_the_request_at_hand(tmp_path: Path, number: signal.Signals) -> None:
    """A request whose body is still on its way when the signal comes gets its answer."""
    settings = settings_in(tmp_path)
    loop = loop_of(settings)
    version = make_version(tmp_path / "versions", "detection")
    loop.versions.add(version.folder, "tester")
    loop.versions.promote(version.name, "tester", force=True)
    loop.store.close()
    running = started(tmp_path, settings)
    begun, signalled = threading.Event(), threading.Event()
    answers: list[int] = []

    def body() -> Iterator[bytes]:
        data = picture(5)
        yield data[:10]
        begun.set()
        assert signalled.wait(30)
        yield data[10:]

    def post() -> None:
        with running.client() as client:
            answers.append(client.post("/v1/detection/annotate", content=body()).status_code)

    try:
        eventually(running.is_ready, 120)
        poster = threading.Thread(target=post)
        poster.start()
        assert begun.wait(30)
        running.process.send_signal(number)
        sleep(1)  # nothing tells when the worker knows; too late would only make this test easier to pass
        signalled.set()
        poster.join(30)
        assert running.process.wait(60) == 0
    finally:
        running.process.kill()
    assert answers == [200]
    assert "Traceback" not in running.log.read_text()


def test_killed_it_leaves_no_worker_that_keeps_the_port(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    running = started(tmp_path, settings)
    try:
        eventually(running.is_ready, 120)
    finally:
        running.process.kill()
    with socket.socket() as next_one:
        next_one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

        def is_free() -> bool:
            try:
                next_one.bind(("127.0.0.1", settings.port))
            except OSError:
                return False
            return True

        eventually(is_free, 60)


def test_a_worker_that_is_started_without_the_store_says_so_in_a_line_until_it_is_back(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    running = started(tmp_path, settings)
    store, away = tmp_path / "store.db", tmp_path / "away.db"
    try:
        eventually(running.is_ready, 120)
        (worker,) = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text().split()
        store.rename(away)
        store.mkdir()
        os.kill(int(worker), signal.SIGKILL)
        told = f"the service cannot start: sqlite+pysqlite:///{store}: expected a database, got unable to open"
        eventually(lambda: told in running.log.read_text(), 60)
        store.rmdir()
        away.rename(store)
        eventually(running.is_ready, 60)
    finally:
        running.process.terminate()
        running.process.wait(60)
    assert "Traceback" not in running.log.read_text()


def test_beyond_this_machine_it_starts_with_a_token_alone(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, host="0.0.0.0")
    with pytest.raises(NotAllowed, match="expected a token before listening beyond this machine"):
        serve(settings)
    loop = loop_of(settings)
    make_token(loop.store, "gone", ["admin"], "tester", utc_now())
    loop.store.tokens.revoke("gone", "tester", utc_now())
    loop.store.close()
    with pytest.raises(NotAllowed):
        serve(settings)


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InvalidInput, match=f"127.0.0.1:{port}: expected an address and a free port"):
            serve(settings_in(tmp_path, port=port))
    with pytest.raises(InvalidInput, match="expected an address"):
        serve(settings_in(tmp_path, host="no such host"))


def test_a_data_folder_that_takes_nothing_is_named(tmp_path: Path) -> None:
    """Otherwise the worker ends in a traceback, is started again, and so on."""
    (tmp_path / "file").write_bytes(b"")
    settings = settings_in(tmp_path, host="0.0.0.0", port=0).model_copy(update={"data_dir": tmp_path / "file" / "kept"})
    with pytest.raises(InvalidInput, match="file/kept: expected a data folder to write to, got Not a directory"):
        serve(settings)


def test_the_worker_reads_the_settings_it_was_started_with(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = settings_in(tmp_path, uri_roots=(tmp_path,), uri_hosts=("a", "b:1"), alpha=0.07, strategy="random")
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings  # type: ignore[call-arg]
