"""COCO: corners clipped to the image, every broken entry named, and written boxes read again."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from models.datasets import coco as module
from models.datasets import read, read_marked
from models.marks import Ignored
from models.records import Box, Boxes, Item
from tests.models.datasets.corpora import expect_broken, labels, photo, put
from tests.models.datasets.round_trips import assert_same_boxes, box_sets, round_trip


def coco(root: Path, **changes: Any) -> Path:
    photo(root / "images" / "a.jpg")
    photo(root / "images" / "sub" / "b.jpg")
    boxes = [[10, 8, 20.5, 16], [-5, 40, 30, 30], [64, 0, 5, 5], [3, 3, 0, 9], [0, 0, 64, 48]]
    annotations = [
        {"id": i, "image_id": 7, "category_id": 1, "bbox": box, "iscrowd": int(i == 4), "segmentation": [[1, 2]]}
        for i, box in enumerate(boxes)
    ]
    document = {
        "info": {},
        "images": [
            {"id": 9, "file_name": "sub/b.jpg", "width": 64, "height": 48},
            {"id": 7, "file_name": "a.jpg", "width": 64, "height": 48},
        ],
        "categories": [{"id": 1, "name": "car", "supercategory": "vehicle"}],
        "annotations": annotations,
        **changes,
    }
    return put(root / "annotations" / "instances_val.json", json.dumps(document))


@pytest.mark.parametrize("order", [("annotations", "categories", "images"), ("images", "annotations", "categories")])
def test_boxes_are_clipped_corners_and_crowds_and_nothings_are_left_out(tmp_path: Path, order: tuple[str]) -> None:
    file = coco(tmp_path)
    document = json.loads(file.read_text())
    put(file, json.dumps({name: document[name] for name in order}))
    expected = [
        (Item("images/sub/b.jpg", str(tmp_path / "images/sub/b.jpg")), Boxes(64, 48)),
        (
            Item("images/a.jpg", str(tmp_path / "images/a.jpg")),
            Boxes(64, 48, (Box((10, 8, 30.5, 24), "car"), Box((0, 40, 25, 48), "car"))),
        ),
    ]
    assert list(read(f"coco:{tmp_path}:val")) == expected
    assert list(read(f"coco:{tmp_path}")) == expected  # the only split


def test_images_may_lie_in_a_folder_called_like_the_split(tmp_path: Path) -> None:
    coco(tmp_path)
    (tmp_path / "images").rename(tmp_path / "val")
    assert list(labels(f"coco:{tmp_path}:val")) == ["val/sub/b.jpg", "val/a.jpg"]


def test_images_of_a_split_may_lie_in_a_folder_of_it_below_the_images(tmp_path: Path) -> None:
    """As Ultralytics and others lay COCO out: ``images/val2017/``."""
    coco(tmp_path)
    (tmp_path / "images").rename(tmp_path / "val")
    (tmp_path / "images").mkdir()
    (tmp_path / "val").rename(tmp_path / "images" / "val")
    assert list(labels(f"coco:{tmp_path}:val")) == ["images/val/sub/b.jpg", "images/val/a.jpg"]


def test_whole_numbers_written_as_floats_are_the_same_numbers(tmp_path: Path) -> None:
    """As a table of floats writes them, and as pycocotools takes them."""
    file = coco(tmp_path)
    told = labels(f"coco:{tmp_path}")
    text = file.read_text()
    for name in ("image_id", "category_id", "width", "height"):
        text = re.sub(rf'("{name}": [0-9]+)', r"\1.0", text)
    put(file, text.replace('"id": 9', '"id": 9.0'))
    assert labels(f"coco:{tmp_path}") == told


@pytest.mark.parametrize("empty", [{}, {"bbox": []}, {"bbox": None}])
@pytest.mark.parametrize(
    ("polygons", "box"),
    [
        ([[10, 8, 30.5, 8, 20, 24]], (10, 8, 30.5, 24)),
        ([[10, 8, 20, 8, 20, 24], [40, 2, 70, 2, 50, 9]], (10, 2, 64, 24)),  # hidden in part
        ([10, 8, 30, 8, 20, 24], (10, 8, 30, 24)),
    ],
)
def test_outlines_without_a_box_have_the_one_around_them(
    tmp_path: Path, empty: dict[str, Any], polygons: list[Any], box: tuple[float, float, float, float]
) -> None:
    coco(tmp_path, annotations=[{"id": 1, "image_id": 7, "category_id": 1, "segmentation": polygons, **empty}])
    assert labels(f"coco:{tmp_path}")["images/a.jpg"] == Boxes(64, 48, (Box(box, "car"),))


@pytest.mark.parametrize(
    ("counts", "box"),
    [
        ([520, 11, 2541], (10, 0, 12, 48)),  # from one column into the next
        ("X`0;]_2", (10, 0, 12, 48)),
        ([2885, 4, 44, 4, 44, 4, 44, 4, 39], (60, 5, 64, 9)),
        ("Uj24\\100000K", (60, 5, 64, 9)),
        ([0, 3072], (0, 0, 64, 48)),
        ("U??Q100000000000000000000000000000YOK35MK35MK35MK35MKl" + 40 * "0" + "Rd0", (10, 5, 50, 40)),
    ],
)  # as pycocotools packs them, and where it sees their boxes
def test_masks_without_a_box_have_the_one_around_them(
    tmp_path: Path, counts: object, box: tuple[float, float, float, float]
) -> None:
    mask = {"id": 1, "image_id": 7, "category_id": 1, "segmentation": {"counts": counts, "size": [48, 64]}}
    coco(tmp_path, annotations=[mask, mask | {"id": 2, "segmentation": {"counts": [3072], "size": [48, 64]}}])
    assert labels(f"coco:{tmp_path}")["images/a.jpg"] == Boxes(64, 48, (Box(box, "car"),))


@pytest.mark.parametrize("bbox", [{}, {"bbox": []}])
def test_camera_traps_say_that_an_image_shows_nothing(tmp_path: Path, bbox: dict[str, Any]) -> None:
    categories = [{"id": 0, "name": "empty"}, {"id": 1, "name": "deer"}]
    annotation = {"id": "5a-b", "image_id": 7, "category_id": 0, **bbox}
    file = coco(tmp_path, categories=categories, annotations=[annotation])
    assert labels(f"coco:{tmp_path}")["images/a.jpg"] == Boxes(64, 48)
    message = "expected 4 numbers: x, y, width, height, or"
    put(file, file.read_text().replace('"category_id": 0', '"category_id": 1'))  # a deer, nobody says where
    expect_broken(f"coco:{tmp_path}", f"{file}:annotations[0].bbox", "", message)
    seats = {**annotation, "segmentation": {"counts": [9, 2, 3061], "size": [48, 64]}}  # which are empty, and there
    coco(tmp_path, categories=categories, annotations=[seats])
    assert labels(f"coco:{tmp_path}")["images/a.jpg"] == Boxes(64, 48, (Box((0, 9, 1, 11), "empty"),))


IMG = {"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}
BOX = {"image_id": 7, "category_id": 1, "bbox": [1, 1, 2, 2]}


@pytest.mark.parametrize(
    ("changes", "where", "message"),
    [
        ({"images": 3}, "1", "expected a list under 'images', got 3"),
        ({"annotations": [3]}, "annotations[0]", "expected an object, got 3"),
        ({"images": [IMG, IMG]}, "images[1].id", "expected a whole number or text that no other entry has, got 1"),
        (
            {"images": [{**IMG, "id": True}]},
            "images[0].id",
            "expected a whole number or text that no other",
        ),
        (
            {"images": [IMG, {**IMG, "id": 1.0}]},
            "images[1].id",
            "expected a whole number or text that no other entry has",
        ),
        (
            {"images": [{**IMG, "id": 1.5}]},
            "images[0].id",
            "expected a whole number or text that no other entry has, got 1.5",
        ),
        ({"images": [{**IMG, "width": -1}]}, "images[0]", "expected width and height in whole pixels, got (-1, 48)"),
        ({"images": [{**IMG, "width": 10**400}]}, "images[0]", "expected width and height in whole pixels, got (1000"),
        ({"categories": [{"id": 1, "name": ""}]}, "categories[0].name", "expected a name, got ''"),
        ({"images": [{**IMG, "file_name": 5}]}, "images[0]", "expected a string under 'file_name'"),
        ({"images": [{**IMG, "file_name": "no"}]}, "images[0]", "expected a file that exists, got"),
        (
            {"annotations": [BOX, {**BOX, "image_id": 8}]},
            "annotations[1].image_id",
            "expected the id of an image, got 8",
        ),
        (
            {"annotations": [{**BOX, "image_id": "7"}]},
            "annotations[0].image_id",
            "expected the id of an image, got '7'",
        ),
        ({"annotations": [BOX, {**BOX, "category_id": []}]}, "annotations[1].category_id", "expected the id of a cat"),
        (
            {"annotations": [{**BOX, "bbox": [1, 2, 3]}]},
            "annotations[0].bbox",
            "expected 4 numbers: x, y, width",
        ),
        (
            {"annotations": [{**BOX, "id": 17, "bbox": []}]},
            "annotations[0].bbox",
            "expected 4 numbers: x, y, width, height, or a segmentation of annotation 17, got []",
        ),
        (
            {"annotations": [{**BOX, "id": "a", "bbox": None, "segmentation": []}]},
            "annotations[0].bbox",
            "expected 4 numbers: x, y, width, height, or a segmentation of annotation 'a', got [None]",
        ),
        ({"annotations": [{**BOX, "bbox": 0}]}, "annotations[0].bbox", "expected 4 numbers: x, y, width, height, got"),
        *(
            ({"annotations": [{**BOX, "bbox": [], "segmentation": polygons}]}, "annotations[0].segmentation", message)
            for message in ["expected polygons of 3 points or more: x, y, x, y, .., got"]
            for polygons in ([[1, 2]], [3], [[1, 2, 3, 4, 5, 6], 7], [[1, 2, 3, 4, 5, "6"]], [[1, 2, 3, 4, 5, 6, 7]])
        ),
        *(
            ({"annotations": [{**BOX, "bbox": [], "segmentation": mask}]}, "annotations[0].segmentation", message)
            for message in ["expected runs of pixels under 'counts', as many as 'size' says, height and width, got"]
            for mask in (
                {"counts": "1", "size": [48, 64]},
                {"counts": "P", "size": [48, 64]},
                {"counts": "å", "size": [48, 64]},
                {"counts": [1, -1, 3072], "size": [48, 64]},
                {"counts": [1.5, 3070.5], "size": [48, 64]},
                {"counts": [3072], "size": 3072},
                {"counts": [3072], "size": [3072]},
                {"size": [48, 64]},
            )
        ),
        ({"annotations": [{**BOX, "bbox": [1, 2, "3", 4]}]}, "annotations[0].bbox", "expected 4 numbers"),
        ({"annotations": [{**BOX, "bbox": [1, 2, float("nan"), 4]}]}, "annotations[0].bbox", "expected 4 numbers"),
        ({"annotations": [{**BOX, "bbox": [1, 2, -3, 4]}]}, "annotations[0].bbox", "expected width and height >= 0"),
        (
            {"annotations": [{**BOX, "bbox": [1, 2, 3, 1e10]}]},
            "annotations[0].bbox",
            "expected 4 numbers: x, y, width, height, from -1e+09 to 1e+09, got [1, 2, 3, 10000000000.0]",
        ),
        ({"annotations": [{**BOX, "iscrowd": "0"}]}, "annotations[0].iscrowd", "expected 0 or 1, got '0'"),
    ],
)
def test_a_broken_entry_is_named(tmp_path: Path, changes: dict[str, Any], where: str, message: str) -> None:
    file = coco(tmp_path, **({"annotations": []} if "images" in changes else {}), **changes)
    expect_broken(f"coco:{tmp_path}:val", file, where, message)


def test_a_file_that_is_no_json_is_named_with_its_line(tmp_path: Path) -> None:
    file = put(tmp_path / "annotations" / "instances_val.json", '{\n "images": [\n  oops')
    expect_broken(f"coco:{tmp_path}", file, 3, "expected JSON, got 'Expecting value at column 3'")
    put(file, b'{"images": "\xff"}')
    expect_broken(f"coco:{tmp_path}", file, 1, "expected UTF-8 text")
    put(file, "[]")
    expect_broken(f"coco:{tmp_path}", file, 1, "expected a JSON object, got '[]'")
    put(file, '{"images": [], "annotations": []}')
    expect_broken(f"coco:{tmp_path}", file, 1, "expected a list under 'categories', got None")


@settings(max_examples=30)
@given(box_sets())
def test_written_boxes_are_read_again(given_labels: list[Boxes]) -> None:
    for told, found in round_trip("coco", given_labels):
        assert_same_boxes(found, told)


def test_what_is_written_is_what_others_read(tmp_path: Path) -> None:
    image = photo(tmp_path / "a.jpg")
    label = Boxes(64, 48, (Box((1, 2, 5.5, 10), "car"), Box((0, 0, 1, 1), "a bus"), Box((0, 0, 2, 2), "car")))
    module.write(tmp_path / "out", [(Item("x/a.jpg", str(image)), Boxes(64, 48)), (Item("b", str(image)), label)])
    document = json.loads((tmp_path / "out" / "annotations" / "instances_train.json").read_text())
    assert [*document] == ["info", "licenses", "images", "annotations", "categories"]  # all that the format asks for
    assert document["images"] == [
        {"id": 1, "file_name": "x_a.jpg", "width": 64, "height": 48},
        {"id": 2, "file_name": "b.jpg", "width": 64, "height": 48},
    ]
    assert document["categories"] == [{"id": 1, "name": "car"}, {"id": 2, "name": "a bus"}]
    first, second, third = document["annotations"]
    assert first == {"id": 1, "image_id": 2, "category_id": 1, "iscrowd": 0, "bbox": [1, 2, 4.5, 8], "area": 36}
    assert (second["id"], second["category_id"], third["id"], third["category_id"]) == (2, 2, 3, 1)


def test_crowds_are_handed_on_apart(tmp_path: Path) -> None:
    coco(tmp_path)
    (b, _, nothing), (a, label, crowd) = read_marked(f"coco:{tmp_path}:val")
    assert (b.id, nothing) == ("images/sub/b.jpg", Ignored())
    assert (a, label) == list(read(f"coco:{tmp_path}:val"))[1]
    assert crowd == Ignored(crowds=(Box((0, 0, 64, 48), "car"),))
