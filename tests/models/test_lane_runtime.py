"""Lane detection in use: ONNX against torch, images of every shape, and nothing of torch in it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

from models.datasets import read
from models.errors import InvalidInput
from models.export import check_parity, export_onnx
from models.lane import recipe
from models.lane.metrics import measure
from models.lane.network import Network, Settings
from models.lane.runtime import Runtime
from models.media import read_image
from models.records import Lane, Lanes, Prediction
from models.scenes import render
from models.versions import STARTERS, read_version
from tests.samples import SAMPLES, needs_samples

CROSSWAYS = Lanes(640, 360, (Lane(((60.0, 359.0), (305.0, 150.0))), Lane(((600.0, 359.0), (330.0, 150.0)))))
SMALL = Settings(width=96, height=64, channels=(8, 8, 16, 16))


@pytest.fixture(scope="module")
def network() -> Network:
    """Random weights, with running means of real-looking input, made to see lines everywhere."""
    torch.manual_seed(0)
    network = Network(SMALL)
    network(torch.rand(4, 3, 64, 96))
    return network.eval()


@pytest.fixture(scope="module")
def exported(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lane") / "model.onnx"
    export_onnx("lane", network, SMALL, path)
    return path


@pytest.fixture(scope="module")
def runtime(exported: Path) -> Runtime:
    return Runtime(exported, threads=1)


def test_onnx_agrees_with_torch_on_real_shapes(network: Network, exported: Path, runtime: Runtime) -> None:
    media = [render(np.random.default_rng(0), *size).image for size in ((160, 90), (64, 128))]
    assert check_parity("lane", network, runtime, exported, recipe.parity_media(media)) < 1e-4


def test_the_batch_is_free(network: Network, exported: Path) -> None:
    session = onnxruntime.InferenceSession(exported)
    for batch in (1, 5):
        images = torch.rand(batch, 3, 64, 96)
        got = session.run(list(recipe.OUTPUT_NAMES), {"images": images.numpy()})
        with torch.no_grad():
            for ours, theirs in zip(network(images), got, strict=True):
                assert np.allclose(ours.numpy(), theirs, atol=1e-4)


def test_the_session_carries_its_settings(runtime: Runtime) -> None:
    assert (runtime.width, runtime.height, runtime.ridge) == (96, 64, 0.75)


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 1), (3, 5), (640, 360), (100, 900)])
def test_any_image_size_gives_lines_of_that_size(runtime: Runtime, size: tuple[int, int]) -> None:
    width, height = size
    image = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    prediction = runtime.predict(image)
    assert isinstance(prediction.label, Lanes)
    assert (prediction.label.width, prediction.label.height) == size
    for lane in prediction.label.lanes:
        assert len(lane.std_px) == len(lane.points)


def test_items_have_the_same_features_whatever_they_show(runtime: Runtime) -> None:
    black = runtime.predict(np.zeros((90, 160, 3), np.uint8))
    road = runtime.predict(render(np.random.default_rng(2), 160, 90).image)
    assert black.features.keys() == road.features.keys()
    assert len(black.embedding) == len(road.embedding) == SMALL.channels[-1]


def test_points_scale_with_the_image(monkeypatch: pytest.MonkeyPatch, runtime: Runtime) -> None:
    """One upright ridge in column 11 of 24: half way across the picture less half a cell, whatever its size."""
    heat = np.zeros((1, 16, 24), np.float32)
    heat[0, :, 10:13] = 0.411, 1.0, 0.411
    directions = np.zeros((1, 2, 16, 24), np.float32)
    directions[:, 0] = -1
    monkeypatch.setattr(runtime, "_session", _Fixed(heat, directions))
    for width, height in ((240, 160), (480, 80)):
        prediction: Prediction = runtime.predict(np.zeros((height, width, 3), np.uint8))
        assert isinstance(prediction.label, Lanes)
        (lane,) = prediction.label.lanes
        x, y = np.array(lane.points).T
        assert x == pytest.approx(11.5 / 24 * width, abs=0.01 * width)
        assert y.min() < height / 16  # half a cell of the upper and the lower border
        assert y.max() > height * 15 / 16
        assert prediction.score < 0.2


def test_infinite_heat_is_an_error_not_a_label(monkeypatch: pytest.MonkeyPatch, runtime: Runtime) -> None:
    broken = _Fixed(np.full((1, 16, 24), np.nan, np.float32), np.zeros((1, 2, 16, 24), np.float32))
    monkeypatch.setattr(runtime, "_session", broken)
    with pytest.raises(InvalidInput, match="expected finite heat"):
        runtime.predict(np.zeros((10, 10, 3), np.uint8))


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({}, "expected a model exported by prelabel"),
        ({"prelabel": json.dumps({"task": "asr", "settings": {}})}, "expected a model for lane, got one for 'asr'"),
    ],
)
def test_other_models_are_refused(exported: Path, tmp_path: Path, metadata: dict[str, str], message: str) -> None:
    model = onnx.load(exported)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(InvalidInput, match=message):
        Runtime(tmp_path / "other.onnx")


def test_the_starter_finds_the_lines_of_scenes_it_never_saw() -> None:
    starter = Runtime(STARTERS / "lane" / "model.onnx", threads=1)
    scenes = [render(np.random.default_rng(seed), 640, 360, CROSSWAYS) for seed in range(4)]
    measured = measure([(starter.predict(scene.image).label, scene.lanes) for scene in scenes])
    assert measured.f1_8px > 0.8


def test_the_checkpoint_of_the_starter_is_its_onnx() -> None:
    version = read_version(STARTERS / "lane")
    network = Network(Settings(**version.settings))
    recipe.warm_start(network, load_file(version.checkpoint), network.settings)
    starter = Runtime(version.onnx, threads=1)
    feeds = starter.feeds(render(np.random.default_rng(3), 640, 360, CROSSWAYS).image)
    with torch.no_grad():
        heat = network.eval()(torch.from_numpy(feeds["images"]))[0].numpy()
    onnx_heat = onnxruntime.InferenceSession(version.onnx).run(["heat"], feeds)[0]
    assert onnx_heat.max() > 0.8
    assert np.abs(heat - onnx_heat).max() < 0.1  # the ONNX file computes in 8 bits: measured 0.04, on average 0.0005


@needs_samples
def test_the_starter_is_right_on_most_of_real_frames_held_out() -> None:
    starter = Runtime(STARTERS / "lane" / "model.onnx", threads=1)
    pairs = [
        (starter.predict(read_image(Path(item.uri).read_bytes(), item.id)).label, truth)
        for item, truth in read(f"culane:{SAMPLES / 'lane' / 'f1tenth'}:val")
    ]
    assert len(pairs) == 20
    assert measure(pairs).f1_8px > 0.88


def test_in_use_nothing_imports_torch() -> None:
    code = "import sys, models.lane.runtime, models.lane.metrics, models.scenes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class _Fixed:
    """A session that always gives the same maps."""

    def __init__(self, heat: np.ndarray[tuple[int, ...], np.dtype[np.float32]], directions: object) -> None:
        self.maps = heat, directions, np.zeros((1, 16), np.float32)

    def run(self, names: object, feeds: object) -> tuple[object, ...]:
        return self.maps
