"""BDD100K: boxes and lanes of the same frames, curves included, and every broken entry named."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.datasets import read, read_marked
from models.detection.results import Results
from models.marks import Ignored
from models.records import Box, Boxes, Item, Lanes, Prediction
from tests.models.datasets.corpora import expect_broken, labels, photo, put

ALONG = {"laneDirection": "parallel", "laneStyle": "solid"}
LINE: dict[str, Any] = {
    "category": "single white",
    "attributes": ALONG,
    "poly2d": [{"vertices": [[50.5, 40], [40, 20]], "types": "LL", "closed": False}],
}
CURVE = {**LINE, "poly2d": [{"vertices": [[0, 0], [0, 30], [30, 30], [30, 0], [60, 0]], "types": "LCCCL"}]}
BOX: dict[str, Any] = {"category": "car", "box2d": {"x1": 10, "y1": 8.5, "x2": 29, "y2": 23}}


def boxes_2020(root: Path, *labels: Any) -> Path:
    photo(root / "images" / "100k" / "val" / "a.jpg")
    photo(root / "images" / "100k" / "val" / "b.jpg")
    frames = [{"name": "b.jpg", "labels": None}, {"name": "a.jpg", "labels": labels}]
    return put(root / "labels" / "det_20" / "det_val.json", json.dumps(frames))


def lanes_2020(root: Path, *labels: Any) -> Path:
    photo(root / "images" / "100k" / "val" / "a.jpg")
    frames = [{"name": "a.jpg", "labels": labels}]
    return put(root / "labels" / "lane" / "polygons" / "lane_val.json", json.dumps(frames))


def test_the_last_pixel_belongs_to_a_box_and_crowds_are_left_out(tmp_path: Path) -> None:
    """By hand: from pixel 10 to pixel 29 is 10 to 30; what ends at pixel 63 ends with the image."""
    cut = {"category": "bus", "box2d": {"x1": -3, "y1": 40, "x2": 63, "y2": 90}}
    boxes_2020(tmp_path, BOX, cut, {**BOX, "attributes": {"crowd": True}}, {"category": "drivable area"})
    a, b = (tmp_path / "images" / "100k" / "val" / name for name in ("a.jpg", "b.jpg"))
    assert list(read(f"bdd100k:{tmp_path}:val")) == [
        (Item("images/100k/val/b.jpg", str(b)), Boxes(64, 48)),
        (
            Item("images/100k/val/a.jpg", str(a)),
            Boxes(64, 48, (Box((10, 8.5, 30, 24), "car"), Box((0, 40, 64, 48), "bus"))),
        ),
    ]


def test_lanes_run_along_the_road_and_are_neither_crosswalk_nor_curb(tmp_path: Path) -> None:
    across = {**LINE, "attributes": {"laneDirection": "vertical"}}
    crosswalk, curb = {**LINE, "category": "crosswalk"}, {**LINE, "category": "road curb"}
    lanes_2020(tmp_path, across, crosswalk, curb, {"category": "single yellow", "poly2d": None}, LINE)
    (label,) = labels(f"bdd100k-lanes:{tmp_path}").values()
    assert isinstance(label, Lanes)
    assert [lane.points for lane in label.lanes] == [((50.5, 40), (40, 20))]


@pytest.mark.parametrize("name", ["laneTypes", "laneType"])
def test_of_lanes_of_2018_an_attribute_says_what_they_are(tmp_path: Path, name: str) -> None:
    """As doc/format.md of the toolkit had it then: the category of all is "lane"."""
    photo(tmp_path / "images" / "100k" / "val" / "a.jpg")
    kinds = ("road curb", "crosswalk", "single white")
    old = [{**LINE, "category": "lane", "attributes": {**ALONG, name: kind}} for kind in kinds]
    frames = [{"name": "a.jpg", "labels": old}]
    put(tmp_path / "labels" / "bdd100k_labels_images_val.json", json.dumps(frames))
    (label,) = labels(f"bdd100k-lanes:{tmp_path}").values()
    assert isinstance(label, Lanes)
    assert len(label.lanes) == 1


def test_a_curve_is_followed_between_its_controls(tmp_path: Path) -> None:
    """By hand: a cubic curve is (27 a + 27 b + 9 c + d) / 64 after a quarter, (a + 3 b + 3 c + d) / 8 halfway."""
    lanes_2020(tmp_path, CURVE)
    (label,) = labels(f"bdd100k-lanes:{tmp_path}").values()
    assert isinstance(label, Lanes)
    points = label.lanes[0].points
    assert len(points) == 1 + 8 + 1
    assert points[0] == (0, 0)
    assert np.allclose(points[2], (300 / 64, 1080 / 64))
    assert np.allclose(points[4], (15, 22.5))
    assert np.allclose(points[8:], [(30, 0), (60, 0)])


def test_the_labels_of_2018_hold_both_and_give_way_to_those_of_2020(tmp_path: Path) -> None:
    photo(tmp_path / "images" / "100k" / "val" / "a.jpg")
    old = [{"name": "a.jpg", "labels": [BOX, {**LINE, "category": "lane/single white"}]}]
    put(tmp_path / "labels" / "bdd100k_labels_images_val.json", json.dumps(old))
    assert labels(f"bdd100k:{tmp_path}")["images/100k/val/a.jpg"] == Boxes(64, 48, (Box((10, 8.5, 30, 24), "car"),))
    (label,) = labels(f"bdd100k-lanes:{tmp_path}").values()
    assert isinstance(label, Lanes)
    assert len(label.lanes) == 1
    boxes_2020(tmp_path)
    (tmp_path / "labels" / "100k" / "train").mkdir(parents=True)  # the first ones beside them are no further splits
    assert labels(f"bdd100k:{tmp_path}")["images/100k/val/a.jpg"] == Boxes(64, 48)


def each_2018(root: Path, *objects: Any, frames: int = 1) -> Path:
    photo(root / "images" / "100k" / "val" / "a.jpg")
    document = {"name": "a", "frames": [{"timestamp": 10000, "objects": objects}] * frames, "attributes": {}}
    return put(root / "labels" / "100k" / "val" / "a.json", json.dumps(document))


def test_the_first_labels_are_one_file_an_image(tmp_path: Path) -> None:
    """As format.md of the toolkit had it first: a point is [x, y, type], a lane's kind is in its category."""
    straight, curve = [[50.5, 40, "L"], [40, 20, "L"]], [[0, 0, "L"], [0, 30, "C"], [30, 30, "C"], [30, 0, "C"]]
    lane = {"category": "lane/single white", "attributes": {"direction": "parallel", "style": "solid"}}
    file = each_2018(
        tmp_path,
        {**BOX, "category": "person", "attributes": {"occluded": False}},
        {"category": "area/drivable", "attributes": {}, "poly2d": straight},
        {**lane, "poly2d": straight},
        {**lane, "poly2d": curve},
        {**lane, "category": "lane/road curb", "poly2d": straight},
        {**lane, "attributes": {"direction": "vertical"}, "poly2d": straight},
    )
    image = "images/100k/val/a.jpg"
    assert labels(f"bdd100k:{tmp_path}:val") == {image: Boxes(64, 48, (Box((10, 8.5, 30, 24), "pedestrian"),))}
    label = labels(f"bdd100k-lanes:{tmp_path}")[image]
    assert isinstance(label, Lanes)
    assert [lane.points[0] for lane in label.lanes] == [(50.5, 40), (0, 0)]
    assert [lane.points[-1] for lane in label.lanes] == [(40, 20), (30, 0)]
    assert [len(lane.points) for lane in label.lanes] == [2, 9]
    boxes_2020(tmp_path)
    assert labels(f"bdd100k:{tmp_path}")[image] == Boxes(64, 48)
    put(file, file.read_text().replace('"C"', '"X"'))
    where = "frames[0].objects[3].poly2d"
    expect_broken(f"bdd100k-lanes:{tmp_path}", file, where, "expected 4 types, each L or C, got 'LXXX'")


@pytest.mark.parametrize("frames", [0, 2])
def test_a_file_of_an_image_that_has_not_one_frame_is_named(tmp_path: Path, frames: int) -> None:
    file = each_2018(tmp_path, BOX, frames=frames)
    expect_broken(f"bdd100k:{tmp_path}", file, "frames", f"expected one frame, got {frames}")


@pytest.mark.parametrize(
    ("label", "where", "message"),
    [
        (3, "[1].labels", "expected a list of objects, got [{'category': 'car'"),
        ({"box2d": BOX["box2d"]}, "[1].labels[1]", "expected a string under 'category', got None"),
        ({**BOX, "box2d": {"x1": 1}}, "[1].labels[1].box2d", "expected numbers in x1, y1, x2, y2, got [1, None"),
        ({**BOX, "box2d": [1, 2, 3, 4]}, "[1].labels[1].box2d", "expected numbers in x1, y1, x2, y2"),
        ({**BOX, "box2d": {**BOX["box2d"], "x1": 40}}, "[1].labels[1]", "expected a category, x1 <= x2 and y1 <= y2"),
        ({**BOX, "attributes": {"crowd": "false"}}, "[1].labels[1].attributes.crowd", "expected true or false, got"),
    ],
)
def test_a_broken_box_is_named(tmp_path: Path, label: Any, where: str, message: str) -> None:
    file = boxes_2020(tmp_path, BOX, label)
    expect_broken(f"bdd100k:{tmp_path}", file, where, message)


@pytest.mark.parametrize(
    ("poly2d", "message"),
    [
        ({}, "expected a list of objects with vertices and types, got {}"),
        ([{"vertices": [[1, 2, 3]], "types": "L"}], "expected vertices [x, y], got [[1, 2, 3]]"),
        ([{"vertices": [[1, "2"], [3, 4]], "types": "LL"}], "expected vertices [x, y], got [1, '2']"),
        ([{"vertices": [[1, 2], [3, 4]], "types": "L"}], "expected 2 types, each L or C, got 'L'"),
        ([{"vertices": [[1, 2], [3, 4]], "types": "LX"}], "expected 2 types, each L or C, got 'LX'"),
        ([{"vertices": [[1, 2], [3, 4]], "types": "LC"}], "expected C in threes, got 'LC'"),
    ],
)
def test_a_broken_lane_is_named(tmp_path: Path, poly2d: Any, message: str) -> None:
    file = lanes_2020(tmp_path, LINE, {**LINE, "poly2d": poly2d})
    expect_broken(f"bdd100k-lanes:{tmp_path}", file, "[0].labels[1].poly2d", message)


def test_a_document_or_an_image_that_is_not_there_is_named(tmp_path: Path) -> None:
    file = boxes_2020(tmp_path)
    (tmp_path / "images" / "100k" / "val" / "a.jpg").unlink()
    expect_broken(f"bdd100k:{tmp_path}", file, "[1]", "expected a file that exists, got")
    put(file, '{"name": "a.jpg"}')
    expect_broken(f"bdd100k:{tmp_path}", file, 1, "expected a list under 'frames', got None")
    put(file, "3")
    expect_broken(f"bdd100k:{tmp_path}", file, 1, "expected a JSON list, or one under 'frames', got '3'")


def test_categories_have_the_official_names_and_what_is_uncertain_is_a_crowd(tmp_path: Path) -> None:
    """By det.toml of the official toolkit: name_mapping and ignore_mapping; what is mapped by the latter is a crowd."""
    names = ["bike", "caravan", "motor", "person", "van", "rider", "traffic light"]
    uncertain = ["other person", "other vehicle", "trailer"]
    boxes_2020(tmp_path, *({**BOX, "category": name} for name in (*names, *uncertain)))
    _, (_, label, mark) = read_marked(f"bdd100k:{tmp_path}:val")
    assert isinstance(label, Boxes)
    assert isinstance(mark, Ignored)
    official = ["bicycle", "car", "motorcycle", "pedestrian", "car", "rider", "traffic light"]
    assert [box.category for box in label.boxes] == official
    assert [box.category for box in mark.crowds] == ["pedestrian", "car", "truck"]


def test_a_car_found_where_another_vehicle_stands_is_neither_right_nor_false(tmp_path: Path) -> None:
    """Any number may lie there, as in a crowd; a truck there is false."""
    boxes_2020(tmp_path, {**BOX, "category": "other vehicle"})
    _, (_, label, mark) = read_marked(f"bdd100k:{tmp_path}:val")
    inside = [Box((10, 8.5, 30, 24), "car"), Box((12, 9, 20, 20), "car"), Box((12, 9, 20, 20), "truck")]
    results = Results([Prediction(Boxes(64, 48, tuple(inside)), 0.5, {}, ())], [label], [mark])
    assert results.columns["boxes_false"].tolist() == [1]


def test_frames_may_stand_beside_how_they_were_made(tmp_path: Path) -> None:
    """As Scalabel exports them, and its own ``load`` reads both."""
    file = boxes_2020(tmp_path, BOX)
    told = labels(f"bdd100k:{tmp_path}")
    put(file, json.dumps({"config": {"categories": []}, "frames": json.loads(file.read_text()), "groups": None}))
    assert labels(f"bdd100k:{tmp_path}") == told


def test_crowds_are_handed_on_apart(tmp_path: Path) -> None:
    boxes_2020(tmp_path, BOX, {**BOX, "attributes": {"crowd": True}}, {**BOX, "attributes": {"crowd": False}})
    (_, _, nothing), (_, label, crowd) = read_marked(f"bdd100k:{tmp_path}:val")
    assert nothing == Ignored()
    assert label == Boxes(64, 48, (Box((10, 8.5, 30, 24), "car"),) * 2)
    assert crowd == Ignored(crowds=(Box((10, 8.5, 30, 24), "car"),))
