"""LabelMe: shapes of all kinds, images wherever they lie, and every broken file named."""

import json
from pathlib import Path
from typing import Any

import pytest

from models.datasets import read
from models.errors import NotFound
from models.records import Box, Boxes, Item
from tests.models.datasets.corpora import expect_broken, labels, photo, put

CAR = Boxes(64, 48, (Box((10.5, 4, 40, 20), "car"),))


def shape(label: str, kind: str | None, *points: list[float], **more: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "label": label,
        "points": points,
        "group_id": None,
        "description": "",
        "shape_type": kind,
        "flags": {},
    }
    return told | {"mask": None} | more


RECTANGLE = shape("car", "rectangle", [40.0, 20.0], [10.5, 4.0])


def document(path: str, *shapes: dict[str, Any], **more: Any) -> str:
    told: dict[str, Any] = {"version": "6.3.1", "flags": {}, "shapes": shapes, "imagePath": path, "imageData": None}
    return json.dumps(told | {"imageHeight": 48, "imageWidth": 64} | more, ensure_ascii=False, indent=2)


def test_shapes_stand_for_the_upright_boxes_around_them(tmp_path: Path) -> None:
    image = photo(tmp_path / "ä b.jpg")
    shapes = (
        RECTANGLE,
        shape("sign", "polygon", [1, 2], [5, 1], [3, 9]),
        shape("old", None, [1, 2], [5, 1], [3, 9]),
        shape("bus", "oriented_rectangle", [8, 2], [14, 8], [8, 14], [2, 8]),
        shape("wheel", "circle", [20, 20], [23, 24]),
        shape("cloud", "mask", [3, 4], [9, 7], mask="iVBORw0KGgo="),
        shape("car", "rectangle", [60.0, 40.0], [70.0, 50.0]),
        shape("car", "rectangle", [64.0, 40.0], [70.0, 50.0]),
        *(shape("nose", kind, [1, 2], [3, 4]) for kind in ("points", "line", "linestrip")),
        shape("nose", "point", [1, 2]),
    )
    put(tmp_path / "ä b.json", document("ä b.jpg", *shapes))
    told = [("car", 10.5, 4, 40, 20), ("sign", 1, 1, 5, 9), ("old", 1, 1, 5, 9), ("bus", 2, 2, 14, 14)]
    told += [("wheel", 15, 15, 25, 25), ("cloud", 3, 4, 10, 8), ("car", 60, 40, 64, 48)]
    boxes = tuple(Box((x1, y1, x2, y2), name) for name, x1, y1, x2, y2 in told)
    assert list(read(f"labelme:{tmp_path}")) == [(Item("ä b.jpg", str(image)), Boxes(64, 48, boxes))]


def test_an_image_nobody_drew_on_is_empty_and_one_without_a_file_left_out(tmp_path: Path) -> None:
    for name in ("v1.2.a.jpg", "b.jpg"):
        photo(tmp_path / name)
    put(tmp_path / "v1.2.a.json", document("v1.2.a.jpg", imageHeight=None, imageWidth=None))
    assert labels(f"labelme:{tmp_path}") == {"v1.2.a.jpg": Boxes(64, 48)}


@pytest.mark.parametrize(
    ("file", "path", "image"),
    [
        ("json/a.json", "../images/a.PNG", "images/a.PNG"),
        ("json/a.json", "..\\images\\a.PNG", "images/a.PNG"),
        ("json/a.json", "C:\\Users\\me\\a.jpg", "json/a.jpg"),
        ("json/b.json", "a.jpg", "json/b.JPEG"),
    ],
)
def test_the_image_is_where_the_file_says_or_beside_it(tmp_path: Path, file: str, path: str, image: str) -> None:
    photo(tmp_path / image)
    put(tmp_path / file, document(path, RECTANGLE))
    (label,) = labels(f"labelme:{tmp_path}").values()
    assert label == CAR
    (tmp_path / image).unlink()
    expect_broken(f"labelme:{tmp_path}", tmp_path / file, "", "expected a file that exists, got")


def test_a_split_is_a_folder(tmp_path: Path) -> None:
    for name in ("a", "train/b", "train/deep/c", "val/d"):
        photo(tmp_path / f"{name}.jpg")
        put(tmp_path / f"{name}.json", document(f"{Path(name).name}.jpg", RECTANGLE))
    assert labels(f"labelme:{tmp_path}:train") == {"train/b.jpg": CAR, "train/deep/c.jpg": CAR}
    assert labels(f"labelme:{tmp_path}:.") == {"a.jpg": CAR}
    with pytest.raises(NotFound, match=r"expected one of the splits there \(\., train, val\), got no split"):
        read(f"labelme:{tmp_path}")


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("[]", "1", "expected a JSON object, got []"),
        ("{", "1", "expected JSON, got 'Expecting property name"),
        ('{"images": []}', "1", "expected a string under 'imagePath', got None"),
        (document("a.jpg", shapes=None), "1", "expected a list of objects under 'shapes', got None"),
        (document("a.jpg", imageWidth=63), "1", "expected the size of the image, 64 x 48, got [63, 48]"),
        (document("a.jpg", imageHeight=47), "1", "expected the size of the image, 64 x 48, got [64, 47]"),
        (document("a.jpg", shapes=["car"]), "1", "expected a list of objects under 'shapes', got ['car']"),
        (document("a.jpg", RECTANGLE | {"label": 1}), "shapes[0]", "expected a string under 'label', got 1"),
        (document("a.jpg", RECTANGLE | {"label": " "}), "shapes[0].label", "expected a label, got ''"),
        (document("a.jpg", shape("a", "circle", [1, 2])), "shapes[0].points", "expected two points or more, [x, y]"),
        (document("a.jpg", shape("a", "polygon", [1, 2], [3])), "shapes[0].points", "expected two points or more"),
        (document("a.jpg", RECTANGLE | {"points": 12}), "shapes[0].points", "expected two points or more"),
        (document("a.jpg", RECTANGLE | {"points": [12, 34]}), "shapes[0].points", "expected two points or more"),
        (document("a.jpg", RECTANGLE | {"points": [["1", 2], [3, 4]]}), "shapes[0].points", "expected two points"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str, where: str, message: str) -> None:
    photo(tmp_path / "a.jpg")
    file = put(tmp_path / "a.json", text)
    expect_broken(f"labelme:{tmp_path}", f"{file}:{where}", "", message)
