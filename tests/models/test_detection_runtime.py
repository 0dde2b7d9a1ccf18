"""The detector in use: ONNX against torch, images of every shape, and what the doubt means."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from models.certainty import Certainty
from models.detection import recipe
from models.detection.heads import Candidates
from models.detection.network import Network, Settings
from models.detection.runtime import (
    OPERATING_POINT,
    Detections,
    Runtime,
    boxes_of,
    considered,
    detections,
    features,
    fit,
    fitted_size,
    score,
)
from models.errors import InvalidInput
from models.export import check_parity, export_onnx
from models.onnx_files import description, open_session
from models.records import Boxes

SETTINGS = Settings(("car", "person"), channels=(8, 8, 16, 16, 16), blocks=(1, 1, 1, 1), neck=16, bins=8, long_side=256)
SHAPES = [(1, 1), (1, 2000), (3000, 40), (97, 131), (256, 256), (700, 500)]


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    network = Network(SETTINGS).eval()
    assert network.head.logits.bias is not None
    network.head.logits.bias.data.fill_(-0.5)  # so that it says something
    network.head.logits.weight.data.mul_(10)
    return network


@pytest.fixture(scope="module")
def exported(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("detection") / "model.onnx"
    export_onnx("detection", network, SETTINGS, path)
    return path


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * 10_000 + width).integers(0, 256, (height, width, 3)).astype(np.uint8)


def test_onnx_agrees_with_torch_on_every_shape(network: Network, exported: Path) -> None:
    runtime = Runtime(exported, threads=1)
    media = recipe.parity_media([noise(*shape) for shape in SHAPES])
    assert len({runtime.feeds(image)["images"].shape for image in media}) >= 5
    assert check_parity("detection", network, runtime, exported, media) < 1e-3


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_onnx_takes_any_batch(network: Network, exported: Path, batch: int) -> None:
    images = torch.rand(batch, 3, 64, 96)
    session = Runtime(exported, threads=1)._session
    with torch.no_grad():
        expected = network(images)
    for ours, theirs in zip(expected, session.run(None, {"images": images.numpy()}), strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("shape", SHAPES)
def test_any_image_gives_a_sound_prediction(exported: Path, shape: tuple[int, int]) -> None:
    prediction = Runtime(exported, threads=1).predict(noise(*shape))  # Boxes checks that each box lies inside
    assert isinstance(prediction.label, Boxes)
    assert (prediction.label.height, prediction.label.width) == shape
    assert set(prediction.features) == set(features(found([])))
    assert len(prediction.embedding) == SETTINGS.channels[-1]
    assert all(box.confidence >= OPERATING_POINT for box in prediction.label.boxes)


def test_boxes_come_back_in_pixels_of_the_image_given(exported: Path) -> None:
    small = noise(128, 256)
    large = small.repeat(4, axis=0).repeat(4, axis=1)
    runtime = Runtime(exported, threads=1)
    runtime.certainties = (Certainty(1, 1),) * 2  # a network that learnt nothing is not sure of anything
    near, far = runtime.predict(fit(large, 256)).label, runtime.predict(large).label
    assert isinstance(near, Boxes)
    assert isinstance(far, Boxes)
    assert (near.width, far.width) == (256, 1024)
    assert len(near.boxes) == len(far.boxes) > 0
    for one, other in zip(near.boxes, far.boxes, strict=True):
        assert (one.category, one.confidence) == (other.category, other.confidence)
        assert other.xyxy == pytest.approx([4 * side for side in one.xyxy])


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [(480, 360, (640, 480)), (1280, 720, (640, 360)), (100, 50, (150, 75)), (3000, 40, (640, 9)), (9000, 1, (640, 1))],
)
def test_an_image_is_fitted_to_its_long_side(width: int, height: int, expected: tuple[int, int]) -> None:
    assert fitted_size(width, height, 640) == expected
    assert fit(noise(height, width), 640).shape == (*expected[::-1], 3)


def test_the_description_travels_with_the_file(exported: Path, tmp_path: Path) -> None:
    runtime = Runtime(exported, threads=1)
    assert (runtime.categories, runtime.long_side) == (("car", "person"), 256)
    model = onnx.load(exported)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "bare.onnx")
    with pytest.raises(InvalidInput, match=r"bare\.onnx: expected a model exported by prelabel"):
        Runtime(tmp_path / "bare.onnx")
    onnx.helper.set_model_props(model, {"prelabel": '{"task": "lane", "settings": {}}'})
    onnx.save(model, tmp_path / "lane.onnx")
    with pytest.raises(InvalidInput, match="expected a model for detection, got one for 'lane'"):
        Runtime(tmp_path / "lane.onnx")


def test_a_version_from_before_boxes_were_fused_answers_as_it_did(exported: Path, tmp_path: Path) -> None:
    """Promises about it rest on its answers."""
    model, told = onnx.load(exported), description(exported, "detection")
    assert told["settings"].pop("most_overlap") is None
    onnx.helper.set_model_props(model, {"prelabel": json.dumps(told)})
    onnx.save(model, tmp_path / "model.onnx")
    media = noise(128, 256)
    now, before = (Runtime(path, threads=1) for path in (exported, tmp_path / "model.onnx"))
    assert (now.most_overlap, before.most_overlap) == (None, 0.6)
    fused, kept = (tuple(answer.faint) for answer in (now.predict(media), before.predict(media)))
    assert fused != kept
    probabilities, boxes, side_std, _ = (value[0] for value in open_session(exported).run(None, now.feeds(media)))
    found = detections(probabilities, boxes, side_std, 256, 128, now.certainties, most_overlap=0.6)  # read as it is
    assert kept == boxes_of(found, now.categories, 256, 128)[1]


def test_a_version_says_how_certain_its_boxes_are(exported: Path, tmp_path: Path) -> None:
    model, told = onnx.load(exported), description(exported, "detection")
    line = {"slope": 1.0, "offset": 2.0}
    onnx.helper.set_model_props(model, {"prelabel": json.dumps({**told, "box_certainty": {"person": line}})})
    onnx.save(model, tmp_path / "model.onnx")
    before = Runtime(exported, threads=1).predict(noise(128, 256))
    after = Runtime(tmp_path / "model.onnx", threads=1).predict(noise(128, 256))
    assert isinstance(before.label, Boxes)
    assert isinstance(after.label, Boxes)
    assert {box.category for box in after.label.boxes} == {"person"}
    every = {(box.xyxy, box.category): box for box in (*before.label.boxes, *before.faint)}
    for box in (*after.label.boxes, *after.faint):
        confidence = every.pop((box.xyxy, box.category)).confidence
        true = confidence if box.category == "car" else expit(logit(confidence) + 2)
        assert box.confidence == pytest.approx(true)
        assert (box in after.label.boxes) == (box.confidence >= OPERATING_POINT)
    assert not every


def test_serving_never_imports_torch() -> None:
    code = "import sys, models.detection.runtime, models.detection.metrics; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def found(confidences: list[float], trace: float = 0.0) -> Detections:
    """Boxes apart from each other, with these confidences."""
    p = np.sort(np.array(confidences, float))[::-1]
    x = np.arange(len(p)) * 20.0
    boxes = np.stack((x, 0 * x, x + 10, 0 * x + 10), axis=1)
    return Detections(boxes, p, np.zeros(len(p), np.int64), p >= OPERATING_POINT, np.full(len(p), 0.1), trace)


def test_score_by_hand() -> None:
    assert score(found([])) == 0
    assert score(found([], trace=0.1)) == pytest.approx(1 - np.exp(-0.1))
    assert score(found([1.0])) == 0
    assert score(found([0.9, 0.8])) == pytest.approx(1 - 0.72)
    assert score(found([0.9, 0.2, 0.1], trace=0.01)) == pytest.approx(1 - 0.9 * np.exp(-0.31))


SURE = st.lists(st.floats(OPERATING_POINT, 1), max_size=8)
FAINT = st.lists(st.floats(0.02, OPERATING_POINT, exclude_max=True), max_size=8)


@settings(max_examples=100, deadline=None)
@given(SURE, FAINT, st.floats(0.02, 1), st.floats(0, 0.02))
def test_score_is_a_probability_and_one_more_doubtful_box_never_lowers_it(
    sure: list[float], faint: list[float], more: float, trace: float
) -> None:
    before = score(found(sure + faint, trace))
    assert 0 <= before <= 1
    assert score(found([*sure, *faint, more], trace)) >= before
    assert all(np.isfinite(value) for value in features(found(sure + faint, trace)).values())


def test_features_by_hand() -> None:
    detected = replace(found([0.8, 0.5, 0.25, 0.1], trace=0.01), doubt=np.array([0.1, 0.3, 0.9, 0.9]))
    expected = {
        "boxes": 2, "min_confidence": 0.5, "mean_confidence": 0.65, "expected_wrong": 0.7, "expected_missed": 0.36,
        "best_faint": 0.25, "entropy_bits": 0.72193 + 1 + 0.81128 + 0.46900, "mean_side_doubt": 0.2,
        "max_side_doubt": 0.3, "smallest_box_px": 10,
    }  # fmt: skip
    assert features(detected) == pytest.approx(expected, abs=1e-4)


def test_detections_by_hand() -> None:
    probabilities = np.array([[0.9, 0.01], [0.6, 0.0], [0.1, 0.5], [0.015, 0.0], [0.8, 0.0]])
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 120, 90], [0, 0, 5, 5], [-30, 0, -10, 10]], float)
    as_told = Certainty(), Certainty()
    answer = detections(probabilities, boxes, np.full((5, 4), 2.0), 100, 80, as_told)
    # the second box says the first again, and votes; the last lies outside; the fourth leaves only a trace
    vote = 0.36 / (0.81 + 0.36)
    assert answer.boxes.ravel().tolist() == pytest.approx([vote, 0, 10 + vote, 10, 50, 50, 100, 80, 50, 50, 100, 80])
    suppressed = detections(probabilities, boxes, np.full((5, 4), 2.0), 100, 80, as_told, most_overlap=0.8)
    assert suppressed.boxes.tolist() == [[0, 0, 10, 10], [50, 50, 100, 80], [50, 50, 100, 80]]
    assert answer.confidences.tolist() == [0.9, 0.5, 0.1]
    assert answer.categories.tolist() == [0, 1, 0]
    assert answer.doubt.tolist() == pytest.approx([0.2, (2 / 50 + 2 / 30) / 2, (2 / 50 + 2 / 30) / 2])
    assert answer.faintest_trace == 0.015
    assert answer.given.tolist() == [True, True, False]
    surer = detections(probabilities, boxes, np.full((5, 4), 2.0), 100, 80, as_told, least=np.array([0.1, 0.6]))
    assert surer.given.tolist() == [True, False, True]
    # three to one against the first category, three to one for the other
    told = detections(
        probabilities, boxes, np.full((5, 4), 2.0), 100, 80, [Certainty(1, -np.log(3)), Certainty(1, np.log(3))]
    )
    assert told.confidences.tolist() == pytest.approx([9 / 12, 3 / 4, 1 / 28])
    assert told.faintest_trace == pytest.approx(0.03 / 1.02)


def test_a_point_is_handed_out_in_its_most_certain_category_alone() -> None:
    probabilities = np.array([[0.6, 0.9, 0.7], [0.8, 0.1, 0.1]])
    boxes, side_std = np.array([[0, 0, 10, 10], [50, 50, 70, 70]], float), np.full((2, 4), 2.0)
    answer = detections(probabilities, boxes, side_std, 100, 80, [Certainty()] * 3)
    assert answer.categories.tolist() == [1, 0, 2, 0, 1, 2]
    assert answer.given.tolist() == [True, True, False, False, False, False]  # 0.7 and 0.6 of the first are not
    surer = detections(probabilities, boxes, side_std, 100, 80, [Certainty()] * 3, least=np.array([0.5, 0.95, 0.5]))
    assert surer.given.tolist() == [False, True, True, False, False, False]  # 0.9 is not certain enough of the second
    boxes[1] = 1, 0, 11, 10  # as good as the first, of which the surest category is another
    probabilities[1] = 0.1, 0.8, 0.75
    beside = detections(probabilities, boxes, side_std, 100, 80, [Certainty()] * 3, most_overlap=0.6)
    assert beside.categories[beside.given].tolist() == [1]  # the second says the first again, in no category anew


def test_what_is_considered_by_hand() -> None:
    probabilities = np.array([[0.9, 0.01], [0.6, 0.0], [0.7, 0.0], [0.015, 0.002], [0.8, 0.0]])
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [0.2, 0, 10.2, 10], [90, 70, 120, 90], [-30, 0, -10, 10]])
    candidates = Candidates(probabilities, boxes, np.zeros((5, 4)))
    seen = considered(candidates, 100, 80, [Certainty(), Certainty(1, -np.log(3))], ["car", "tram"])
    # the third box is the first again; the last lies outside; a tram less probable than 0.003 is none
    assert [(box.category, *box.xyxy) for box in seen] == [
        ("car", 0, 0, 10, 10), ("car", 1, 0, 11, 10), ("car", 90, 70, 100, 80), ("tram", 0, 0, 10, 10)
    ]  # fmt: skip
    assert [box.confidence for box in seen] == pytest.approx([0.9, 0.6, 0.015, 0.01 / 2.98])


def test_who_looks_closer_says_the_same(exported: Path) -> None:
    runtime, image = Runtime(exported), noise(120, 160)
    seen = runtime.see(image)
    assert seen.said == runtime.predict(image)
    assert len(seen.boxes) > len(seen.said.label.boxes) + len(seen.said.faint)  # type: ignore[union-attr]


def test_a_network_that_answers_nan_is_told_so() -> None:
    with pytest.raises(InvalidInput, match="finite probabilities"):
        detections(np.array([[np.nan]]), np.zeros((1, 4)), np.zeros((1, 4)), 10, 10, [Certainty()])
