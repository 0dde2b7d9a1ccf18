"""Assignment, losses and recipe: hand-worked cases, invariants, and that the detector learns."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pictures

from models.detection import recipe
from models.detection.assignment import Points, assign, pairwise_iou
from models.detection.network import (
    IGNORED,
    PADDING,
    Batch,
    Network,
    Settings,
    boxes_around,
    distribution_focal,
    expectation,
    generalized_iou,
    grid_points,
    loss,
)
from models.errors import InvalidInput
from models.records import Box, Boxes, Item, Transcript
from tests.descent import losses

SMALL = Settings(("car", "person"), channels=(8, 8, 16, 16, 16), blocks=(1, 1, 1, 1), neck=16, bins=8)


def row_of_points(count: int, stride: float = 8) -> Points:
    """Points at x = 4, 12, 20, ... on the line y = 4."""
    x = (torch.arange(count) + 0.5) * stride
    return Points(torch.stack((x, torch.full_like(x, stride / 2)), dim=1), torch.full((count,), stride))


def test_the_best_overlap_wins_the_box() -> None:
    points = row_of_points(4)
    truth = torch.tensor([[0.0, 0.0, 24.0, 8.0]])  # holds the points 0, 1, 2
    predicted = torch.tensor([[0.0, 0, 8, 8], [0, 0, 24, 8], [12, 0, 24, 8], [24, 0, 32, 8]])
    # IoUs 1/3, 1, 1/2, 0 among those inside: their sum is 1.83, so one point learns
    given_ = assign(points, torch.zeros(4, 2), predicted, truth, torch.tensor([1]))
    assert given_.row.tolist() == [-1, 0, -1, -1]
    assert given_.quality.tolist() == [0, 1, 0, 0]
    assert given_.counted.all()


def test_a_well_covered_box_teaches_as_many_points_as_its_overlaps_sum_to() -> None:
    points = row_of_points(4)
    truth = torch.tensor([[0.0, 0.0, 24.0, 8.0]])
    predicted = torch.tensor([[0.0, 0, 24, 8], [0, 0, 24, 8], [12, 0, 24, 8], [0, 0, 24, 8]])
    # IoUs 1, 1, 1/2 inside make two; the fourth point overlaps fully but lies outside the box
    given_ = assign(points, torch.zeros(4, 2), predicted, truth, torch.tensor([0]))
    assert given_.row.tolist() == [0, 0, -1, -1]


def test_a_point_wanted_twice_goes_to_the_cheaper_box() -> None:
    points = row_of_points(1)
    truth = torch.tensor([[0.0, 0, 9, 8], [0, 0, 8, 8]])
    given_ = assign(points, torch.zeros(1, 1), truth[1:].clone(), truth, torch.tensor([0, 0]))
    assert given_.row.tolist() == [1]


def test_a_box_between_the_points_is_not_lost() -> None:
    points = row_of_points(3)
    truth = torch.tensor([[7.0, 2.0, 9.0, 6.0]])  # holds no point; its middle (8, 4) is 4 from two of them
    predicted = torch.tensor([[0.0, 0, 8, 8], [7, 2, 9, 6], [16, 0, 24, 8]])
    assert assign(points, torch.zeros(3, 1), predicted, truth, torch.tensor([0])).row.tolist() == [-1, 0, -1]


def test_ignored_boxes_silence_their_points_and_padding_does_nothing() -> None:
    points = row_of_points(4)
    truth = torch.tensor([[0.0, 0, 16, 8], [16, 0, 32, 8]])
    given_ = assign(points, torch.zeros(4, 1), torch.zeros(4, 4), truth, torch.tensor([IGNORED, PADDING]))
    assert given_.row.tolist() == [-1] * 4
    assert given_.counted.tolist() == [False, False, True, True]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_every_box_gets_a_point_unless_all_of_its_own_prefer_another(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = grid_points([torch.zeros(1, 1, size, size) for size in (8, 4, 2)])
    corner = torch.from_numpy(rng.uniform(0, 50, (1, 2))).float()
    truth = torch.cat((corner, corner + torch.from_numpy(rng.uniform(2, 14, (1, 2))).float()), dim=1)
    start = torch.from_numpy(rng.uniform(0, 50, (84, 2))).float()
    predicted = torch.cat((start, start + 10), dim=1)
    logits = torch.from_numpy(rng.normal(size=(84, 2))).float()
    given_ = assign(points, logits, predicted, truth, torch.tensor([1]))
    learning = given_.row >= 0
    assert learning.any()
    assert torch.allclose(given_.quality[learning], pairwise_iou(predicted, truth)[learning, 0])
    off = (points.centres - (truth[:, :2] + truth[:, 2:]) / 2).abs().amax(dim=1)
    inside = ((points.centres > truth[:, :2]) & (points.centres < truth[:, 2:])).all(dim=1)
    assert (inside | (off <= points.strides / 2))[learning].all()


def test_overlaps_agree_with_torchvision() -> None:
    rng = np.random.default_rng(0)
    corner, size = rng.uniform(0, 20, (2, 12, 2)), rng.uniform(1, 20, (2, 12, 2))
    first, second = torch.from_numpy(np.concatenate((corner, corner + size), axis=2))
    assert torch.allclose(pairwise_iou(first, second), torchvision.ops.box_iou(first, second))
    ours = generalized_iou(first, second)
    assert torch.allclose(ours, torchvision.ops.generalized_box_iou(first, second).diagonal())


def test_sides_by_hand() -> None:
    logits = torch.full((1, 1, 4, 4), -50.0)
    logits[..., 0, 2] = 50  # left: surely 2 strides
    logits[..., 1, 1:3] = 50  # top: 1 or 2
    logits[..., 2, 3] = 50
    logits[..., 3, 0] = 50
    mean, std = expectation(logits)
    assert mean[0, 0].tolist() == pytest.approx([2, 1.5, 3, 0])
    assert std[0, 0].tolist() == pytest.approx([0, 0.5, 0, 0], abs=1e-6)
    point = Points(torch.tensor([[20.0, 20.0]]), torch.tensor([8.0]))
    assert boxes_around(point, mean)[0, 0].tolist() == pytest.approx([4, 8, 44, 20])


def test_distribution_loss_is_least_where_the_two_nearest_bins_share_rightly() -> None:
    sides = torch.tensor([[1.25, 0.0, 3.0, 2.0]])
    right = torch.full((1, 4, 4), 1e-9)
    right[0, 0, 1], right[0, 0, 2], right[0, 1, 0], right[0, 2, 3], right[0, 3, 2] = 0.75, 0.25, 1, 1, 1
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))  # what is left where two bins share
    assert distribution_focal(right.log(), sides).item() == pytest.approx(entropy, abs=1e-5)
    other = right.clone()
    other[0, 0, 1], other[0, 0, 2] = 0.25, 0.75
    assert distribution_focal(other.log(), sides).item() > entropy + 0.3


def rectangles(rng: np.random.Generator, images: int = 4, size: int = 64) -> Batch:
    """Red cars and blue persons on noise."""
    pixels = rng.uniform(0.3, 0.5, (images, 3, size, size))
    boxes = np.zeros((images, 2, 4))
    for index in range(images):
        for kind, (width, height) in enumerate(((24, 14), (8, 20))):
            x = rng.integers(0, 8) + kind * 40
            y = rng.integers(0, size - height)
            boxes[index, kind] = x, y, x + width, y + height
            pixels[index, :, y : y + height, x : x + width] = np.eye(3)[2 * kind][:, None, None]
    categories = torch.tensor([[0, 1]]).repeat(images, 1)
    return Batch(torch.from_numpy(pixels).float(), torch.from_numpy(boxes).float(), categories)


def test_the_network_learns_rectangles() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = Network(SMALL)
    batch = rectangles(np.random.default_rng(0))
    fallen = losses(network, loss, batch, 60, 5e-3)
    assert np.mean(fallen[-5:]) < 0.4 * fallen[0]
    with torch.no_grad():
        probabilities, boxes, _, _ = network(batch.images)  # still with the batch's own statistics
    best = probabilities.argmax(dim=1)  # (image, category)
    for index in range(len(best)):
        found = pairwise_iou(boxes[index, best[index]], batch.boxes[index]).diagonal()
        assert (found > 0.6).all()


def test_an_empty_image_teaches_background_only() -> None:
    torch.manual_seed(0)
    network = Network(SMALL)
    batch = rectangles(np.random.default_rng(0))
    nothing = replace(batch, categories=torch.full_like(batch.categories, PADDING))
    value = loss(network, nothing)
    torch.autograd.backward(value)
    assert 0 < value.item() < 10
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_settings_are_restored_from_json_values_and_checked() -> None:
    assert Settings(["a"], channels=[8, 8, 8, 8, 8]) == Settings(("a",), channels=(8, 8, 8, 8, 8))  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="at least one"):
        Settings(())
    with pytest.raises(InvalidInput, match="distinct"):
        Settings(("a", "a"))


def label(*names: str) -> Boxes:
    return Boxes(100, 80, tuple(Box((i, i, i + 20, i + 20), name) for i, name in enumerate(names)))


def test_categories_come_from_the_data_after_those_already_known() -> None:
    fresh = recipe.settings_for([label("cat", "ant"), label("bee")], None)
    assert fresh.categories == ("ant", "bee", "cat")
    assert recipe.settings_for([label("ant")], replace(SMALL)).categories == ("car", "person", "ant")
    assert recipe.settings_for([label("ant")], SMALL).channels == SMALL.channels
    with pytest.raises(InvalidInput, match="at least 1 box"):
        recipe.settings_for([label()], None)
    with pytest.raises(InvalidInput, match="expected Boxes, got Transcript"):
        recipe.settings_for([Transcript("hello")], None)


def test_an_example_is_fitted_with_its_boxes(tmp_path: Path) -> None:
    Pictures.new("RGB", (1280, 320), "white").save(tmp_path / "wide.png")
    truth = Boxes(1280, 320, (Box((100, 20, 300, 120), "car"),))
    example = recipe.prepare(Item("wide", str(tmp_path / "wide.png")), truth)
    assert example.image.shape == (160, 640, 3)
    assert example.boxes.tolist() == [[50, 10, 150, 60]]
    with pytest.raises(InvalidInput, match=r"wide\.png: expected a label of 1280x320 pixels, .*, got 640x320"):
        recipe.prepare(Item("wide", str(tmp_path / "wide.png")), Boxes(640, 320))


@pytest.mark.parametrize("count", [1, 2, 7, 16, 17, 33])
def test_batches_hold_every_example_once_and_never_one_alone(count: int) -> None:
    parts = recipe.batches([1] * count, 16, np.random.default_rng(0))
    assert sorted(index for part in parts for index in part) == (list(range(count)) if count > 1 else [0, 0])
    assert min(map(len, parts)) > 1
    singly = recipe.batches([1] * count, 1, np.random.default_rng(0))
    assert {index for part in singly for index in part} == set(range(count))
    assert {len(part) for part in singly} == {2}


def example(width: int, height: int, rng: np.random.Generator) -> recipe.Example:
    """A dark image with one bright box."""
    image = np.full((height, width, 3), 20, np.uint8)
    x, y = rng.uniform(0, width * 0.6), rng.uniform(0, height * 0.6)
    box = np.array([x, y, x + width * 0.3, y + height * 0.3]).round()
    image[int(box[1]) : int(box[3]), int(box[0]) : int(box[2])] = 235
    return recipe.Example("one", image, box[None].astype(np.float32), ("car",))


@pytest.mark.parametrize(("width", "height"), [(480, 360), (40, 200), (640, 60), (1, 1)])
def test_boxes_follow_their_objects_through_augmentation(width: int, height: int) -> None:
    rng = np.random.default_rng(1)
    seen = 0
    for _ in range(20):
        picture = recipe.augment(example(width, height, rng), ("car",), rng)
        assert picture.image.shape == (*recipe.CROP, 3)
        for box, category in zip(picture.boxes, picture.categories, strict=True):
            assert (box >= 0).all()
            assert (box <= np.tile(recipe.CROP[::-1], 2)).all()
            x1, y1, x2, y2 = box.round().astype(int)
            if category == 0 and x2 - x1 > 8 and y2 - y1 > 8:
                inner = picture.image[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2]
                assert inner.mean() > picture.image.mean()
                seen += 1
    assert seen > 10 or min(width, height) < 50


def test_the_same_rng_gives_the_same_batch() -> None:
    examples = [example(200, 160, np.random.default_rng(i)) for i in range(3)]
    first, second, other = (recipe.collate(examples, SMALL, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert torch.equal(first.images, second.images)
    assert torch.equal(first.boxes, second.boxes)
    assert not torch.equal(first.images, other.images)
    assert first.images.shape == (3, 3, *recipe.CROP)
    assert 0 <= first.images.min() < first.images.max() <= 1


def test_late_pictures_show_examples_nearly_whole_at_nearly_their_own_size() -> None:
    rng = np.random.default_rng(0)
    examples = [example(480, 360, rng), example(300, 400, rng)]
    batches = [recipe.collate_late(examples, SMALL, np.random.default_rng(seed)) for seed in (*range(40), 0)]
    assert {batch.images.shape for batch in batches} == {(2, 3, 416, 480)}  # the larger sides, up to whole strides
    assert torch.equal(batches[0].images, batches[-1].images)
    shown = torch.cat([batch.boxes[batch.categories == 0] for batch in batches])
    assert len(shown) > 0.75 * 2 * len(batches)
    uncut = shown[((shown > 0) & (shown < torch.tensor([480.0, 416.0, 480.0, 416.0]))).all(dim=1)]
    heights = (uncut[:, 3] - uncut[:, 1]) / torch.where(uncut[:, 2] - uncut[:, 0] > uncut[:, 3] - uncut[:, 1], 108, 120)
    assert 0.75 / 1.15**0.5 - 0.05 < heights.min() < 0.9
    assert 1.1 < heights.max() < 1.33 * 1.15**0.5 + 0.05


@pytest.mark.parametrize("collate", [recipe.collate, recipe.collate_late])
def test_strong_augmentation_changes_light_and_focus_more_than_the_usual_one(collate: Callable[..., Batch]) -> None:
    noise = np.random.default_rng(0).integers(90, 166, (256, 320, 3)).astype(np.uint8)
    examples = [recipe.Example("noise", noise, np.zeros((0, 4), np.float32), ())] * 60

    def told(variation: recipe.Variation) -> tuple[float, float]:
        """How much the mean brightness differs between pictures, and the least that neighbours differ in one."""
        images = collate(examples, SMALL, np.random.default_rng(4), replace(variation, zoom=(1, 1))).images
        return float(images.mean(dim=(1, 2, 3)).std()), float(images.diff(dim=-1).abs().mean(dim=(1, 2, 3)).min())

    (usual, sharp), (strong, blurred) = told(recipe.USUAL), told(recipe.STRONG)
    assert strong > 1.15 * usual
    assert blurred < 0.4 * sharp


def shade(value: int, name: str) -> recipe.Example:
    """A picture of one brightness that is all one object, too large to be seen whole."""
    image = np.full((400, 600, 3), value, np.uint8)
    return recipe.Example(name, image, np.array([[0, 0, 600, 400]], np.float32), (name,))


def test_a_mosaic_shows_four_examples_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "_relight", lambda image, rng, variation: image)
    monkeypatch.setattr(recipe, "_LEAST_SHARE", 0.0)
    names = ("a", "b", "c", "d")
    four = [shade(value, name) for value, name in zip((10, 80, 160, 240), names, strict=True)]
    rng = np.random.default_rng(0)
    for _ in range(5):
        picture = recipe.mosaic(four, names, rng, recipe.Variation(zoom=(1.2, 1.3)))  # no grey beside the example
        assert picture.image.shape == (*recipe.CROP, 3)
        assert picture.categories.tolist() == [0, 1, 2, 3]
        x, y = picture.boxes[0, 2:]
        assert 0.3 * recipe.CROP[1] - 1 <= x <= 0.7 * recipe.CROP[1] + 1
        assert 0.3 * recipe.CROP[0] - 1 <= y <= 0.7 * recipe.CROP[0] + 1
        height, width = recipe.CROP
        assert picture.boxes.tolist() == [[0, 0, x, y], [x, 0, width, y], [0, y, x, height], [x, y, width, height]]
        for (left, top, right, bottom), value in zip(picture.boxes.astype(int), (10, 80, 160, 240), strict=True):
            assert (picture.image[top:bottom, left:right] == value).all()


def test_of_what_a_mosaic_cuts_off_only_large_parts_teach() -> None:
    rng = np.random.default_rng(3)
    kept = [recipe.mosaic([example(480, 360, rng) for _ in range(4)], ("car",), rng) for _ in range(30)]
    categories = np.concatenate([picture.categories for picture in kept])
    boxes = np.concatenate([picture.boxes for picture in kept])
    assert set(categories.tolist()) == {0, IGNORED}
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert ((boxes >= 0) & (boxes <= np.tile(recipe.CROP[::-1], 2))).all()


@pytest.mark.parametrize(("share", "mosaics"), [(0.0, 0), (1.0, 6)])
def test_the_share_of_mosaics_is_a_constant(monkeypatch: pytest.MonkeyPatch, share: float, mosaics: int) -> None:
    four = recipe.mosaic
    made: list[int] = []

    def counted(examples: list[recipe.Example], *rest: Any) -> recipe.Picture:
        made.append(len(examples))
        return four(examples, *rest)

    monkeypatch.setattr(recipe, "mosaic", counted)
    monkeypatch.setattr(recipe, "MOSAIC", share)
    examples = [example(200, 160, np.random.default_rng(i)) for i in range(6)]
    batch = recipe.collate(examples, SMALL, np.random.default_rng(0))
    assert made == [4] * mosaics
    assert batch.images.shape == (6, 3, *recipe.CROP)


def test_cut_and_tiny_boxes_are_ignored() -> None:
    boxes = np.array([[0, 0, 50, 50], [-90, 0, 10, 50], [5, 5, 7, 40], [-50, 0, -10, 50]], np.float32)
    picture = recipe.Picture(np.zeros((*recipe.CROP, 3), np.uint8), boxes, np.zeros(4, np.int64))
    clipped = recipe._clip(picture)
    assert clipped.categories.tolist() == [0, IGNORED, IGNORED]
    assert clipped.boxes.tolist() == [[0, 0, 50, 50], [0, 0, 10, 50], [5, 5, 7, 40]]


def test_a_warm_start_keeps_known_categories_and_adds_new_ones() -> None:
    torch.manual_seed(0)
    old = Network(SMALL)
    new = Network(replace(SMALL, categories=("person", "tram", "car")))
    fresh = new.head.logits.weight[1].clone()
    recipe.warm_start(new, old.state_dict(), SMALL)
    assert torch.equal(new.head.logits.weight[[2, 0]], old.head.logits.weight)
    assert torch.equal(new.head.logits.weight[1], fresh)
    stem = "backbone.stem.0.weight"
    assert torch.equal(new.state_dict()[stem], old.state_dict()[stem])
