"""The function file for CVAT's command line, in the hands of CVAT's own packages, against a prelabel that runs."""

import io
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from cvat_cli.__main__ import main
from cvat_cli._internal.common import FunctionLoader
from cvat_sdk.auto_annotation import BadFunctionError
from cvat_sdk.auto_annotation.driver import _DetectionFunctionContextImpl

from models.media import read_image
from models.scenes import render
from serving import cvat_function
from serving.cvat.detector import pixels_of
from serving.loop import utc_now
from serving.tokens import make_token
from tests.serving.fake_cvat import FakeCvat, running
from tests.serving.served import Served, listening, picture, refusing_first

FILE = Path(cvat_function.__file__)


@pytest.fixture
def url(served: Served) -> Iterator[str]:
    """The address of a prelabel."""
    with listening(served) as address:
        yield address


def loaded(url: str, task: str = "detection", **more: Any) -> Any:
    """The function as the command loads it."""
    return FunctionLoader(None, FILE, {"url": url, "task": task, **more}).load()


def context(threshold: float | None = None) -> Any:
    return _DetectionFunctionContextImpl(frame_name="a.png", conf_threshold=threshold)


def image(data: bytes) -> PIL.Image.Image:
    return PIL.Image.open(io.BytesIO(data))


class TestFunction:
    def test_its_labels_are_those_of_the_version(self, url: str) -> None:
        for task, name, kind in (("detection", "car", "rectangle"), ("lane", "lane", "polyline")):
            (label,) = loaded(url, task).spec.labels
            assert (label.id, label.name, label.type) == (0, name, kind)

    def test_a_frame_gets_shapes_and_is_an_item_with_the_same_pixels(self, served: Served, url: str) -> None:
        (shape,) = loaded(url).detect(context(), image(picture(7)))
        assert (shape.type.value, shape.label_id, shape.frame) == ("rectangle", 0, 0)
        assert shape.points == [pytest.approx(value) for value in (10, 10, 50, 50)]
        assert shape.score == pytest.approx(0.9)
        (item,) = served.client.get("/v1/queue/detection").json()["items"]
        kept = served.client.get(f"/v1/items/{item['item_id']}/media").content
        assert np.array_equal(read_image(kept, "kept"), read_image(picture(7), "sent"))
        (line,) = loaded(url, "lane").detect(context(), image(picture(7)))
        assert line.type.value == "polyline"

    @pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK"])
    def test_pixels_of_every_kind_of_picture_are_those_of_its_file(self, served: Served, url: str, mode: str) -> None:
        gradient = np.arange(120 * 90, dtype=np.uint32).reshape(90, 120).astype(np.uint8)
        made = PIL.Image.fromarray(np.stack([gradient, gradient.T.reshape(90, 120), gradient], -1)).convert(mode)
        if mode in ("LA", "RGBA"):
            made.putalpha(PIL.Image.fromarray(gradient))
        file = io.BytesIO()
        made.save(file, "JPEG" if mode == "CMYK" else "PNG")
        loaded(url).detect(context(), image(file.getvalue()))
        limits = served.deployment.settings.limits
        assert served.loop.store.cvat.shown("detection", pixels_of(file.getvalue(), "file", limits)) is not None

    def test_the_commands_threshold_comes_before_the_functions(self, url: str) -> None:
        function = loaded(url, threshold=0.95)
        assert function.detect(context(), image(picture())) == []
        assert len(function.detect(context(0.5), image(picture()))) == 1
        assert function.detect(context(0.96), image(picture())) == []

    def test_the_clip_that_is_named_is_the_items_group(self, served: Served, url: str) -> None:
        loaded(url).detect(context(), image(picture(1)))
        loaded(url, group="drive 7").detect(context(), image(picture(2)))
        items = served.client.get("/v1/queue/detection", params={"limit": 9}).json()["items"]
        assert sorted(str(item["group"]) for item in items) == ["None", "drive 7"]

    def test_only_the_labels_that_are_wanted(self, url: str) -> None:
        assert [label.name for label in loaded(url, labels="car").spec.labels] == ["car"]
        with pytest.raises(RuntimeError, match=r"422 .* got cow among car, cow"):
            loaded(url, labels="car, cow").detect(context(), image(picture()))

    def test_a_token_is_brought_and_refusals_are_told(self, served: Served, url: str) -> None:
        secret = make_token(served.loop.store, "cvat", ("annotate",), "tester", utc_now())
        assert len(loaded(url, token=secret).detect(context(), image(picture()))) == 1
        with pytest.raises(RuntimeError, match="expected an answer of prelabel, got 401"):
            loaded(url)
        with pytest.raises(RuntimeError, match="expected prelabel to answer, got"):
            loaded("http://127.0.0.1:9")

    @pytest.mark.parametrize("status", [429, 503])
    def test_what_is_there_in_a_while_is_asked_for_again(
        self, url: str, monkeypatch: pytest.MonkeyPatch, status: int
    ) -> None:
        function, slept = loaded(url), list[float]()
        at = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
        told = ["7", None, "soon", at]
        monkeypatch.setattr(urllib.request, "urlopen", refusing_first(told, status))
        monkeypatch.setattr(time, "sleep", slept.append)
        assert len(function.detect(context(), image(picture()))) == 1
        assert slept == [7, 4, 8, pytest.approx(30, abs=3)]
        told += ["1"] * 5
        with pytest.raises(RuntimeError, match=f"got {status} later"):
            function.detect(context(), image(picture()))

    def test_nobody_is_waited_for_longer_than_a_minute(self) -> None:
        assert [cvat_function.wait_s(told, 0) for told in ("0", "61", "Thu, 01 Jan 2099 00:00:00 GMT")] == [0, 60, 60]
        assert cvat_function.wait_s("Thu, 01 Jan 2009 00:00:00 GMT", 0) == 0
        assert [cvat_function.wait_s("", attempt) for attempt in range(6)] == [2, 4, 8, 16, 32, 60]

    def test_a_restart_in_the_middle_of_a_task_loses_nothing(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        function, answered, away = loaded(url), urllib.request.urlopen, [2]

        def refusing(asked: Any, **how: Any) -> Any:
            if away[0] > 0:
                away[0] -= 1
                raise urllib.error.URLError("connection refused")
            return answered(asked, **how)

        monkeypatch.setattr(urllib.request, "urlopen", refusing)
        monkeypatch.setattr(time, "sleep", lambda _: None)
        assert len(function.detect(context(), image(picture()))) == 1
        away[0] = 9
        with pytest.raises(RuntimeError, match=r"expected prelabel to answer, got .*connection refused"):
            function.detect(context(), image(picture()))
        assert away == [4]

    def test_it_stands_alone_and_prelabel_gives_it_away(self, served: Served) -> None:
        assert served.client.get("/cvat/cvat_function.py").content == FILE.read_bytes()
        code = (
            "import runpy, sys; runpy.run_path(sys.argv[1]); "
            "sys.exit(bool({'torch', 'models', 'serving', 'selection', 'httpx'} & set(sys.modules)))"
        )
        finished = subprocess.run([sys.executable, "-c", code, str(FILE)], cwd="/", capture_output=True, check=False)
        assert finished.returncode == 0, finished.stderr


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[FakeCvat, list[str]]]:
    """A CVAT with a task of two pictures, and the command that annotates it."""
    scene = io.BytesIO()
    PIL.Image.fromarray(render(np.random.default_rng(3), 120, 90).image).save(scene, "JPEG")
    cvat = FakeCvat({"a.png": picture(), "b.jpg": scene.getvalue()})
    monkeypatch.setenv("CVAT_ACCESS_TOKEN", "personal.token")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with running(cvat) as address:
        host, _, port = address.rpartition(":")
        yield cvat, ["--server-host", host, "--server-port", port, "task", "auto-annotate", "7",
                     "--function-file", str(FILE)]  # fmt: skip


class TestCommand:
    def test_the_command_annotates_a_task(self, url: str, command: tuple[FakeCvat, list[str]]) -> None:
        cvat, words = command
        assert main([*words, "-p", f"url=str:{url}", "-p", "task=str:detection", "--conf-threshold", "0.4"]) == 0
        assert [(one["frame"], one["label_id"], one["type"], one["source"]) for one in cvat.shapes] == [
            (0, 100, "rectangle", "auto"), (1, 100, "rectangle", "auto"),
        ]  # fmt: skip
        assert cvat.shapes[0]["points"] == [pytest.approx(value) for value in (10, 10, 50, 50)]

    def test_the_command_wants_its_labels_to_be_there(self, url: str, command: tuple[FakeCvat, list[str]]) -> None:
        cvat, words = command
        cvat.labels = [("Auto", "rectangle")]
        with pytest.raises(BadFunctionError, match="label 'car' is not in dataset"):
            main([*words, "-p", f"url=str:{url}", "-p", "task=str:detection"])
        assert cvat.shapes == []
