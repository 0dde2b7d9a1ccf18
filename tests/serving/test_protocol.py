"""Every line of docs/protocol.md works as it stands: curl and Python against a server with real sockets."""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import time
from typing import Any

import pytest

from models.records import Boxes, Label
from serving.app import create_app
from serving.client import verify_webhook
from serving.errors import KINDS
from serving.settings import Settings
from serving.tokens import make_token
from serving.webhooks.signing import new_secret, signature
from tests.serving.served import ORIGIN, Served, eventually, listening, picture, sound
from tests.serving.test_webhooks import Receiver
from tests.serving.work import START

HERE = Path(__file__).parents[2]
PAGE = (HERE / "docs" / "protocol.md").read_text(encoding="utf-8")


def blocks(language: str, page: str = PAGE) -> list[str]:
    """The examples of a page, in their order."""
    return re.findall(rf"```{language}\n(.*?)```", page, re.S)


CLIENT, EVENT = blocks("python")
BODY = b'{"type": "item.routed"}'


@pytest.fixture
def url(served: Served) -> Iterator[str]:
    with listening(served) as address:
        yield address


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


class Shell:
    """Runs lines of the page with curl, one by one, with ids in place of their names."""

    def __init__(self, folder: Path, url: str) -> None:
        if shutil.which("curl") is None:
            pytest.skip("curl is not installed (Debian: apt install curl)")
        self._folder = folder
        self.names = {ORIGIN: url}

    def run(self, line: str) -> Any:
        """The JSON that came, or None."""
        for name, value in self.names.items():
            line = line.replace(name, value)
        command = ["curl", "--fail-with-body", "--silent", "--noproxy", "*", *shlex.split(line)[1:]]
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return json.loads(done.stdout) if done.stdout else None


def lines(block: str) -> list[str]:
    """The commands of a block; what is quoted may go over several lines."""
    return [f"curl {rest.strip()}" for rest in re.split(r"^curl ", block, flags=re.M)[1:]]


def test_the_lines_from_the_queue_and_back(served: Served, url: str, tmp_path: Path) -> None:
    shell = Shell(tmp_path, url)
    (tmp_path / "street.jpg").write_bytes(picture())
    annotate, queue, media, correct, history, release, unfit, fit = lines(blocks("sh")[0])
    answer = shell.run(annotate)
    (work,) = shell.run(queue)["items"]
    assert work["item_id"] == answer["item_id"]
    shell.names |= {"ITEM_ID": work["item_id"], "LEASE_ID": work["lease_id"]}
    shell.run(media)
    assert (tmp_path / "medium").read_bytes() == picture()
    receipt = shell.run(correct)
    assert not receipt["repeated"]
    assert shell.run(correct) == receipt | {"repeated": True}
    (given,) = shell.run(history)["corrections"]
    assert (given["annotator"], given["tool"], given["seconds"]) == ("ada", "mine", 6.5)
    assert shell.run(release) is None
    assert served.loop.report()["tasks"]["detection"]["human_seconds"] == 6.5
    assert shell.run(unfit) == {"item_id": work["item_id"], "task": "detection", "reason": "damaged", "repeated": False}
    report = served.loop.report()["tasks"]["detection"]
    assert (report["items"], report["human_seconds"]) == ({"unfit": 1}, 8.5)
    assert report["unfit"]["reasons"] == {"damaged": 1}
    assert shell.run(fit) is None
    assert served.loop.report()["tasks"]["detection"]["items"] == {"corrected": 1}


def test_the_lines_that_ask_to_be_told(served: Served, url: str, tmp_path: Path, receiver: Receiver) -> None:
    shell = Shell(tmp_path, url)
    shell.names["http://127.0.0.1:8000/hook"] = receiver.url
    subscribe, dead = lines(blocks("sh")[1])
    made = shell.run(subscribe)
    assert shell.run(dead) == {"dead": []}
    answer = served.client.post("/v1/detection/annotate", content=picture()).json()
    eventually(lambda: bool(receiver.heard))
    headers, body = receiver.heard[0]
    told = verify_webhook(made["secret"], headers, body)
    assert told == verifier()(made["secret"], headers, body)
    assert told["type"] == "item.routed"
    assert told["data"]["item_id"] == answer["item_id"]
    assert told["data"]["decision"] == answer["route"]["decision"]


def test_the_five_lines_of_the_readme(served: Served, url: str, tmp_path: Path) -> None:
    page = (HERE / "README.md").read_text(encoding="utf-8")
    (block,) = [one for one in blocks("sh", page) if "clip.ogg" in one]
    shell = Shell(tmp_path, url)
    for name, medium in (("street.jpg", picture(1)), ("road.jpg", picture(2)), ("clip.ogg", sound())):
        (tmp_path / name).write_bytes(medium)
    *annotate, queue, correct = lines(block)
    assert [shell.run(line)["task"] for line in annotate] == ["detection", "lane", "asr"]
    (work,) = shell.run(queue)["items"]
    shell.names |= {"ITEM_ID": work["item_id"], "LEASE_ID": work["lease_id"]}
    assert not shell.run(correct)["repeated"]
    assert served.loop.report()["tasks"]["asr"]["human_seconds"] == 6.5


def test_the_lines_of_cvat_fetch_what_is_deployed(served: Served, url: str, tmp_path: Path) -> None:
    page = (HERE / "docs" / "cvat.md").read_text(encoding="utf-8")
    shell = Shell(tmp_path, url)
    shell.names = {
        "http://PRELABEL:3000": url,
        "TOKEN": make_token(served.loop.store, "cvat", ("annotate",), "ada", START),
    }
    fetched = [line for block in blocks("sh", page) for line in block.splitlines() if line.startswith("curl")]
    assert [shell.run(line) for line in fetched] == [None, None]
    assert f"{url}/cvat/detection" in (tmp_path / "function.yaml").read_text()
    assert (tmp_path / "cvat_function.py").read_bytes() == (HERE / "serving" / "cvat_function.py").read_bytes()


def test_the_client_in_ten_lines(served: Served, url: str) -> None:
    for shade in range(3):
        served.client.post("/v1/detection/annotate", content=picture(shade))
    shown: list[tuple[bytes, Label]] = []

    def show(medium: bytes, label: Label) -> tuple[Label, float]:
        shown.append((medium, label))
        return Boxes(120, 90), 2.5

    exec(CLIENT.replace(ORIGIN, url), {"show": show})
    assert sorted(medium for medium, _ in shown) == sorted(picture(shade) for shade in range(3))
    assert all(isinstance(label, Boxes) and label.boxes for _, label in shown)
    report = served.loop.report()["tasks"]["detection"]
    assert (report["corrections"], report["human_seconds"]) == (3, 7.5)
    assert len(CLIENT.strip().splitlines()) <= 10


def verifier() -> Any:
    """The function of the page."""
    made: dict[str, Any] = {}
    exec(EVENT, made)
    return made["event"]


class TestVerifying:
    def headers(self, secret: str, at: int) -> dict[str, str]:
        return {"webhook-id": "msg_1", "webhook-timestamp": str(at),
                "webhook-signature": f"v1,AAAA {signature(secret, 'msg_1', at, BODY)}"}  # fmt: skip

    def test_what_the_sender_signs_passes_here_and_in_the_client(self) -> None:
        secret = new_secret()
        headers = self.headers(secret, int(time()))
        assert verifier()(secret, headers, BODY) == verify_webhook(secret, headers, BODY) == {"type": "item.routed"}

    def test_anything_else_does_not(self) -> None:
        secret, now = new_secret(), int(time())
        good = self.headers(secret, now)
        for key, headers, body in (
            (new_secret(), good, BODY),
            (secret, good, BODY + b" "),
            (secret, good | {"webhook-id": "msg_2"}, BODY),
            (secret, good | {"webhook-timestamp": str(now - 1)}, BODY),
            (secret, self.headers(secret, now - 310), BODY),
            (secret, self.headers(secret, now + 310), BODY),
        ):
            with pytest.raises(PermissionError):
                verifier()(key, headers, body)


def test_every_code_and_status_is_in_the_table() -> None:
    for _, status, code in KINDS:
        (row,) = [line for line in PAGE.splitlines() if line.startswith("|") and f"`{code}`" in line]
        assert str(status) in row


def test_every_route_that_the_page_names_is_there() -> None:
    described = create_app(Settings.model_validate({})).openapi()["paths"]
    shapes = {re.sub(r"\{.*?\}|\b(detection|ITEM_ID|LEASE_ID)\b", "*", path) for path in described}
    named = set(re.findall(r"/v1/[\w/{}]+", PAGE))
    assert named
    for path in named:
        assert re.sub(r"\{.*?\}|\b(detection|ITEM_ID|LEASE_ID)\b", "*", path) in shapes, path
