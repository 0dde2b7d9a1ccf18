"""A model that others made, from its file to an answer of the running service."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from models.errors import InvalidInput
from models.tasks import parse_task
from models.versions import read_version
from serving.importing import import_candidate
from serving.training import Request, train_candidate
from tests import foreign_detectors as foreign
from tests import foreign_lanes, foreign_recognisers
from tests.serving.served import eventually, serving
from tests.serving.test_cli import prelabel


def street(width: int = 256, height: int = 96) -> bytes:
    """A black picture with one red box at (64, 16, 128, 80), as PNG."""
    image = np.zeros((height, width, 3), np.uint8)
    image[16:80, 64:128, 0] = 255
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def test_an_imported_detector_answers_in_the_running_service(tmp_path: Path) -> None:
    """Ultralytics' layout: import, promote, ask, roll back."""
    made = foreign.ultralytics(tmp_path / "best.onnx")
    with serving(tmp_path, tasks=["detection"]) as served:
        before = served.version
        settings = served.deployment.settings
        version = import_candidate("detection", str(made), None, "", served.loop, settings, "tester")
        assert served.loop.versions.get(version.name).state == "candidate"
        assert ">best.onnx</td>" in served.client.get("/models").text
        served.loop.versions.promote(version.name, "tester", force=True)
        eventually(lambda: served.version == version.name)
        answer = served.client.post("/v1/detection/annotate", content=street()).json()
        assert answer["model_version"] == version.name
        best = max(answer["label"]["boxes"], key=lambda box: box["xyxy"][2] - box["xyxy"][0])
        assert np.abs(np.array(best["xyxy"]) - (64, 16, 128, 80)).max() < 1e-3
        assert best["category"] == "red"
        served.loop.versions.rollback("detection", "tester")
        eventually(lambda: served.version == before)


def test_imported_recognisers_and_lane_networks_answer_too(tmp_path: Path) -> None:
    recogniser = foreign_recognisers.sherpa(tmp_path / "sherpa" / "model.onnx")
    roads = foreign_lanes.segmenter(tmp_path / "lanes.onnx")
    time_s = np.arange(16000) / 16000
    tone = np.where((time_s > 0.4) & (time_s < 0.7), 0.3 * np.sin(2 * np.pi * 900 * time_s), 0.0)
    clip, image = io.BytesIO(), io.BytesIO()
    soundfile.write(clip, tone, 16000, format="WAV")
    pixels = np.zeros((96, 160, 3), np.uint8)
    pixels[20:, 78:83] = 255
    Image.fromarray(pixels).save(image, "PNG")
    with serving(tmp_path, tasks=[]) as served:
        for task, file in (("asr", recogniser), ("lane", roads)):
            settings = served.deployment.settings
            version = import_candidate(parse_task(task), str(file), None, "", served.loop, settings, "tester")
            served.loop.versions.promote(version.name, "tester", force=True)
        eventually(lambda: served.deployment.live.tasks() == ["asr", "lane"])
        said = served.client.post("/v1/asr/annotate", content=clip.getvalue()).json()["label"]
        assert said["text"] == "b"
        assert abs(said["words"][0]["start_s"] - 0.4) < 0.1
        seen = served.client.post("/v1/lane/annotate", content=image.getvalue()).json()["label"]["lanes"]
        assert [round(point[0]) in range(79, 82) for point in seen[0]["points"]] == [True] * len(seen[0]["points"])


def test_the_command_imports_what_is_declared(tmp_path: Path) -> None:
    foreign.yolox(tmp_path / "yolox.onnx")
    missing = prelabel(tmp_path, "models", "import", "detection", "yolox.onnx")
    assert missing.returncode == 2
    assert missing.stderr.startswith("prelabel: classes: expected the names of its 2 classes")
    (tmp_path / "yolox.toml").write_text('classes = ["red", "green"]\n', encoding="utf-8")
    done = prelabel(tmp_path, "models", "import", "detection", "yolox.onnx", "--declare", "yolox.toml")
    assert done.returncode == 0, done.stderr
    name, _, folder = done.stdout.split()
    assert read_version(Path(tmp_path / folder)).name == name
    listed = prelabel(tmp_path, "models").stdout
    told = next(line for line in listed.splitlines() if name in line).split()
    assert told[-3:] == ["yolox.onnx", "unmeasured", "nothing"]


def test_what_came_without_a_checkpoint_is_no_start_for_training(tmp_path: Path) -> None:
    with serving(tmp_path, tasks=["detection"]) as served:
        settings = served.deployment.settings
        made = foreign.ultralytics(tmp_path / "best.onnx")
        version = import_candidate("detection", str(made), None, "", served.loop, settings, "tester")
        request = Request("detection", data=(), init=version.name)
        with pytest.raises(InvalidInput, match=f"expected a version with a checkpoint .*, got {version.name}"):
            train_candidate(request, served.loop, settings, "tester")
