"""Rendered scenes: the same seed gives the same picture, and labels lie where things are painted."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models.actors import FIGURES
from models.datasets import read
from models.records import Boxes, Lane, Lanes
from models.scenes import Scene, main, render, write
from models.streets import Camera

CROSSING = Lanes(640, 360, (Lane(((100.0, 350.0), (300.0, 150.0))), Lane(((560.0, 350.0), (330.0, 150.0)))))


def _seen(scene: Scene, x: float, y: float) -> float:
    """The brightest of a few pixels around a place."""
    row, column = round(y - 0.5), round(x - 0.5)
    patch = scene.image[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
    return float(patch.mean(axis=2).max())


def test_a_camera_undoes_its_own_projection() -> None:
    camera = Camera(640, 360, focal=500, above=1.5, horizon=140, centre=320)
    # By hand: 10 m ahead and 2 m to the right is 500*2/10 = 100 columns right of the centre, 500*1.5/10 = 75 rows down.
    assert camera.project(np.array([[2.0, 10.0]])).tolist() == [[420.0, 215.0]]
    ground = np.array([[-3.0, 7.0], [0.5, 80.0]])
    assert np.allclose(camera.unproject(camera.project(ground)), ground)


@pytest.mark.parametrize("indoor", [False, True])
def test_the_same_seed_gives_the_same_scene_and_another_seed_another(indoor: bool) -> None:
    one, same, other = (render(np.random.default_rng(seed), 160, 96, indoor=indoor) for seed in (3, 3, 4))
    assert one.image.tobytes() == same.image.tobytes()
    assert one.lanes == same.lanes
    assert one.boxes == same.boxes
    assert one.image.tobytes() != other.image.tobytes()


def test_scenes_have_from_no_line_to_six_and_everything_lies_inside() -> None:
    counts = set()
    for seed in range(40):
        scene = render(np.random.default_rng(seed), 128, 80)
        assert scene.image.shape == (80, 128, 3)
        assert scene.image.dtype == np.uint8
        counts.add(len(scene.lanes.lanes))
        for lane in scene.lanes.lanes:
            x, y = np.array(lane.points).T
            assert x.min() >= 0
            assert x.max() <= 128
            assert y.min() >= 0
            assert y.max() <= 80
    assert {0, 1, 2, 3, 4, 5, 6} <= counts


def test_given_lines_come_back_scaled_and_their_paint_lies_on_them() -> None:
    contrasts = []
    for seed in range(12):
        scene = render(np.random.default_rng(seed), 320, 180, CROSSING)
        assert scene.lanes.lanes[0].points == ((50.0, 175.0), (150.0, 75.0))
        for lane in scene.lanes.lanes:
            (x1, y1), (x2, y2) = lane.points
            for share in np.linspace(0.05, 0.5, 15):
                x, y = x1 + share * (x2 - x1), y1 + share * (y2 - y1)
                contrasts.append(_seen(scene, x, y) - np.mean([_seen(scene, x + side, y) for side in (-14, 14)]))
    # Dashes, wear and road users leave gaps, yet on the whole a line is brighter than the road beside it.
    assert np.mean(contrasts) > 12
    assert np.mean(np.array(contrasts) > 5) > 0.45


def test_no_lines_given_means_no_lines_drawn() -> None:
    scene = render(np.random.default_rng(1), 160, 96, Lanes(160, 96))
    assert scene.lanes == Lanes(160, 96)


def test_a_box_is_filled_by_its_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    bare: dict[str, NDArray[np.uint8]] = {}
    full = render(np.random.default_rng(5), 320, 180, CROSSING)
    assert full.boxes.boxes, "this seed shows road users"
    monkeypatch.setattr("models.scenes.place_actors", lambda rng, street, canvas: [])
    bare["image"] = render(np.random.default_rng(5), 320, 180, CROSSING).image
    for box in full.boxes.boxes:
        x1, y1, x2, y2 = (round(value) for value in box.xyxy)
        inside = slice(y1, y2), slice(x1, x2)
        changed = np.abs(full.image[inside].astype(int) - bare["image"][inside]).max(axis=2) > 25
        assert changed.mean() > 0.3


@pytest.mark.parametrize("category", sorted(FIGURES))
def test_a_figure_reaches_all_four_sides_of_its_tile(category: str) -> None:
    for seed in range(8):
        alpha = np.asarray(FIGURES[category](np.random.default_rng(seed)).getchannel("A"))
        for side in (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]):
            assert side.max() > 0


def test_written_scenes_are_read_as_culane_and_as_coco(tmp_path: Path) -> None:
    scenes = [render(np.random.default_rng(seed), 200, 120, indoor=False) for seed in range(3)]
    write(tmp_path, scenes, "train")
    lanes = [label for _, label in read(f"culane:{tmp_path}:train")]
    boxes = [label for _, label in read(f"coco:{tmp_path}:train")]
    assert len(lanes) == len(boxes) == 3
    for scene, line_label, box_label in zip(scenes, lanes, boxes, strict=True):
        assert isinstance(line_label, Lanes)
        assert isinstance(box_label, Boxes)
        _same_points(line_label, scene.lanes)
        assert [box.category for box in box_label.boxes] == [box.category for box in scene.boxes.boxes]
        for read_box, drawn in zip(box_label.boxes, scene.boxes.boxes, strict=True):
            assert np.allclose(read_box.xyxy, drawn.xyxy)


def test_the_command_draws_the_lines_of_a_data_set(tmp_path: Path) -> None:
    frame = {"raw_file": "clips/1.jpg", "lanes": [[400, 300, 200], [-2, 900, 1000]], "h_samples": [400, 500, 600]}
    (tmp_path / "labels.json").write_text(json.dumps(frame))
    main([str(tmp_path / "out"), "--count", "4", "--geometry", f"tusimple:{tmp_path / 'labels.json'}"])
    labels = [label for _, label in read(f"culane:{tmp_path / 'out'}:train")]
    assert len(labels) == 4
    for label in (labels[0], labels[3]):  # 1280 x 720 px made 512 x 288: 0.4 of everything
        assert isinstance(label, Lanes)
        assert [lane.points for lane in label.lanes] == [
            ((160.0, 160.0), (120.0, 200.0), (80.0, 240.0)),
            ((360.0, 200.0), (400.0, 240.0)),
        ]


def test_a_photograph_is_seen_above_the_horizon_and_its_road_never() -> None:
    photograph = np.empty((100, 150, 3), np.uint8)
    photograph[:45], photograph[45:] = (10, 200, 30), (230, 0, 200)
    for seed in range(6):
        scene = render(np.random.default_rng(seed), 128, 80, indoor=False, photograph=photograph)
        above = scene.image[: 80 * 3 // 10].astype(float)  # no horizon of a road is higher
        red, green, blue = above.mean(axis=(0, 1))
        assert green > 2 * max(red, blue)
        assert not ((above[..., 0] > 100) & (above[..., 2] > 100)).any()


def test_the_command_shows_the_pictures_of_a_data_set_above_most_horizons(tmp_path: Path) -> None:
    green = Scene(np.full((60, 90, 3), (10, 200, 30), np.uint8), Lanes(90, 60, ()), Boxes(90, 60, ()))
    write(tmp_path / "green", [green])
    main([str(tmp_path / "out"), "--count", "9", "--backdrop", f"coco:{tmp_path / 'green'}:train"])
    seen = 0
    for item, _ in read(f"culane:{tmp_path / 'out'}:train"):
        red, sky, blue = np.asarray(Image.open(item.uri))[:4].astype(float).mean(axis=(0, 1))
        seen += sky > 2 * max(red, blue)
    assert 4 <= seen < 9


def test_lines_are_labelled_without_jumps() -> None:
    for seed in range(10):
        for lane in render(np.random.default_rng(seed), 256, 144).lanes.lanes:
            steps = [np.hypot(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(lane.points)]
            assert max(steps) < 2 * min(steps) + 1


def _same_points(first: Lanes, second: Lanes) -> None:
    assert (first.width, first.height) == (second.width, second.height)
    assert len(first.lanes) == len(second.lanes)
    for one, two in zip(first.lanes, second.lanes, strict=True):
        assert np.allclose(one.points, two.points, atol=0.006)
