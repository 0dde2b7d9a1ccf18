"""YOLO: shares of the image, every broken line named, and written boxes read again."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from PIL import Image

from models.datasets import read
from models.datasets import yolo as module
from models.errors import InvalidDataset, NotFound, UnreadableMedia
from models.records import Box, Boxes, Item
from tests.models.datasets.corpora import expect_broken, labels, photo, put
from tests.models.datasets.round_trips import assert_same_boxes, box_sets, round_trip

YAML = (
    "path: /where/it/was\ntrain: images/train\nval: [val.txt, more/images]\ntest:\nnames:\n  0: car\n  3: stop sign\n"
)


def corpus(root: Path, lines: str = "3 0.5 0.25 0.25 0.5\n\n0 0.9375 0.5 0.25 1\n", data: str = YAML) -> Path:
    for place in ("images/train/a.jpg", "images/train/deep/b.png", "images/val/c.jpg", "more/images/d.jpg"):
        photo(root / place)
    put(root / "images" / "train" / "notes.md")
    put(root / "data.yaml", data)
    put(root / "val.txt", "./images/val/c.jpg\n")
    put(root / "more" / "labels" / "d.txt", "0 0.5 0.5 1 1\n")
    return put(root / "labels" / "train" / "a.txt", lines)


def test_shares_become_clipped_corners_and_an_image_without_a_file_shows_nothing(tmp_path: Path) -> None:
    """By hand, on 64 x 48: the first is 16 x 24 around (32, 12); the second reaches from 52 to 68, cut at 64."""
    corpus(tmp_path)
    boxes = Boxes(64, 48, (Box((24, 0, 40, 24), "stop sign"), Box((52, 0, 64, 48), "car")))
    first = Item("images/train/a.jpg", str(tmp_path / "images/train/a.jpg"))
    second = Item("images/train/deep/b.png", str(tmp_path / "images/train/deep/b.png"))
    assert list(read(f"yolo:{tmp_path}:train")) == [(first, boxes), (second, Boxes(64, 48))]
    assert labels(f"yolo:{tmp_path}/data.yaml:val") == {
        "images/val/c.jpg": Boxes(64, 48),
        "more/images/d.jpg": Boxes(64, 48, (Box((0, 0, 64, 48), "car"),)),
    }


def test_an_outline_stands_for_the_box_around_it(tmp_path: Path) -> None:
    """By hand, on 64 x 48: x from 0.125 to 0.5, y from 0.25 to 0.75."""
    corpus(tmp_path, "0 0.25 0.25 0.5 0.5 0.25 0.75 0.125 0.5\n3 0.5 0.5 0.5 0.5\n")
    boxes = (Box((8, 12, 32, 36), "car"), Box((16, 12, 48, 36), "stop sign"))
    assert labels(f"yolo:{tmp_path}:train")["images/train/a.jpg"] == Boxes(64, 48, boxes)


def test_points_of_a_pose_are_no_outline_and_stand_behind_the_box(tmp_path: Path) -> None:
    pose = "0 0.5 0.5 0.5 0.5 0.25 0.75 2 0.1 0.1 0\n"
    file = corpus(tmp_path, pose, YAML + "kpt_shape: [2, 3]\n")
    assert labels(f"yolo:{tmp_path}:train")["images/train/a.jpg"] == Boxes(64, 48, (Box((16, 12, 48, 36), "car"),))
    put(tmp_path / "data.yaml", YAML + "kpt_shape: [2, 2]\n")
    expect_broken(f"yolo:{tmp_path}:train", file, 1, "expected 5 columns: class x y width height, got '0 0.5")
    put(tmp_path / "data.yaml", YAML + "kpt_shape: 17\n")
    with pytest.raises(InvalidDataset, match="expected two whole numbers under 'kpt_shape', got 17"):
        read(f"yolo:{tmp_path}:train")


def test_numbers_a_hair_beyond_the_image_and_classes_written_as_floats_are_forgiven(tmp_path: Path) -> None:
    """As Ultralytics forgives them, up to a hundredth."""
    corpus(tmp_path, "3.0 0.5 0.5 1.000001 1\n0 1.005 -0.002 0.5 0.5\n")
    boxes = (Box((0, 0, 64, 48), "stop sign"), Box((0.755 * 64, 0, 64, 0.248 * 48), "car"))
    found = labels(f"yolo:{tmp_path}:train")["images/train/a.jpg"]
    assert isinstance(found, Boxes)
    assert_same_boxes(found, Boxes(64, 48, boxes))


@pytest.mark.parametrize("name", ["e.bmp", "e.TIFF", "e.heic"])
def test_a_picture_in_a_format_that_is_not_read_is_refused_and_not_passed_over(tmp_path: Path, name: str) -> None:
    corpus(tmp_path)
    put(tmp_path / "images" / "train" / name, b"BM")
    with pytest.raises(UnreadableMedia, match=rf"/images/train/{name}: expected a JPEG, PNG or WebP image, got bytes"):
        labels(f"yolo:{tmp_path}:train")


@pytest.mark.parametrize(("name", "kind"), [("e.JPG", "jpeg"), ("e.mpo", "jpeg"), ("e.webp", "webp"), ("e.bmp", "png")])
def test_suffixes_may_be_in_capitals_or_wrong(tmp_path: Path, name: str, kind: str) -> None:
    corpus(tmp_path)
    Image.new("RGB", (64, 48)).save(tmp_path / "images" / "train" / name, kind)
    put(tmp_path / "labels" / "train" / "e.txt", "0 0.5 0.5 1 1\n")
    assert labels(f"yolo:{tmp_path}:train")[f"images/train/{name}"] == Boxes(64, 48, (Box((0, 0, 64, 48), "car"),))


def test_one_step_too_many_up_is_forgiven(tmp_path: Path) -> None:
    corpus(tmp_path, "", "train: ../images/train\nnames: [car]\n")
    assert len(labels(f"yolo:{tmp_path}")) == 2


def test_names_may_be_a_list_below_a_path(tmp_path: Path) -> None:
    corpus(tmp_path / "images", "1 0.5 0.5 1 1\n", "")  # of two such folders the last is the one beside the labels
    file = put(tmp_path / "data.yaml", "path: images\ntrain: images/train\nnames: [car, bus]\n")
    assert labels(f"yolo:{file}")["images/images/train/a.jpg"] == Boxes(64, 48, (Box((0, 0, 64, 48), "bus"),))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 0.5", "expected 5 columns: class x y width height, got '0 0.5 0.5 0.5'"),
        ("0 0.5 0.5 0.5 0.5 0.9", "expected 5 columns"),
        ("1 0.5 0.5 0.5 0.5", "expected a class that has a name, one of 0, 3, got '1'"),
        ("9" * 5000 + " 0.5 0.5 0.5 0.5", "expected a class that has a name, one of 0, 3, got '999"),
        ("car 0.5 0.5 0.5 0.5", "expected a class that has a name, one of 0, 3, got 'car'"),
        ("0 0.5 x 0.5 0.5", "expected numbers: class x y width height, got ['0.5', 'x', '0.5', '0.5']"),
        ("0 0.5 nan 0.5 0.5", "expected numbers"),
        ("0 0.5 24 0.5 0.5", "expected shares of the image, from 0 to 1, got '0 0.5 24 0.5 0.5'"),
        ("0 0.5 1.02 0.5 0.5", "expected shares of the image"),
        ("0 0.5 0.5 -0.001 0.5", "expected shares of the image"),
        ("0.5 0.5 0.5 0.5 0.5", "expected a class that has a name, one of 0, 3, got '0.5'"),
        ("0 0.5 0.5 0.5 0.5 0.5 24", "expected shares of the image"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    file = corpus(tmp_path, f"0 0.5 0.5 0.5 0.5\n{line}\n")
    expect_broken(f"yolo:{tmp_path}:train", file, 2, message)


@pytest.mark.parametrize(
    ("data", "line", "message"),
    [
        ("train: [\n", 2, "expected YAML, got"),
        ("- a\n", 1, "expected names and paths, got ['a']"),
        ("train: images/train\nnames: car\n", 1, "expected a list under 'names', or names by their number, got 'car'"),
        ("train: images/train\nnames: {0: car, 3: ~}\n", 1, "expected a name for each class, got 'none for 3'"),
        ("train: images/train\nmade: 2026-02-30\nnames: [car]\n", 1, "expected YAML, got 'day is out of range"),
        ("train: images/no\nnames: [car]\n", 1, "expected a folder of images or a list of them, got"),
        (f"a: &a [x]\nb: &b [{'*a, ' * 9}]\nnames: [*b]\n", 3, "expected YAML, got 'more than 9 aliases'"),
        (f"a: &a {{x: 1}}\nb: &b\n  <<: [{'*a, ' * 9}]\nc: *b\n", 4, "expected YAML, got 'more than 9 aliases'"),
    ],
)
def test_a_broken_data_yaml_is_named(tmp_path: Path, data: str, line: int, message: str) -> None:
    corpus(tmp_path, data=data)
    expect_broken(f"yolo:{tmp_path}", tmp_path / "data.yaml", line, message)


def test_data_yaml_may_name_the_same_list_twice(tmp_path: Path) -> None:
    """As PyYAML writes a list that two keys share."""
    corpus(tmp_path, data="train: &id001 [images/train]\nval: *id001\nnames: [car, a, b, stop sign]\n")
    assert list(read(f"yolo:{tmp_path}:train")) == list(read(f"yolo:{tmp_path}:val")) != []


def test_a_list_that_names_no_image_is_named_with_its_line(tmp_path: Path) -> None:
    corpus(tmp_path)
    put(tmp_path / "val.txt", "./images/val/c.jpg\nimages/val/no.jpg\n")
    expect_broken(f"yolo:{tmp_path}:val", tmp_path / "val.txt", 2, "expected a file that exists, got")


def test_labels_that_are_nowhere_to_be_found_are_no_empty_images(tmp_path: Path) -> None:
    file = put(tmp_path / "data.yaml", "train: pictures\nnames: [car]\n")
    photo(tmp_path / "pictures" / "a.jpg")
    photo(tmp_path / "pictures" / "b.jpg")
    put(tmp_path / "labels" / "a.txt", "0 0.5 0.5 0.25 0.5\n")
    expect_broken(f"yolo:{tmp_path}", file, "", "expected labels/../*.txt for b, or for another image")
    with pytest.raises(InvalidDataset):  # before an item is handed out, which might be kept
        next(read(f"yolo:{tmp_path}"))
    put(tmp_path / "pictures" / "b.txt")
    assert list(labels(f"yolo:{tmp_path}").values()) == [Boxes(64, 48), Boxes(64, 48)]


def test_data_yaml_may_lie_among_the_labels(tmp_path: Path) -> None:
    """Its paths are relative to where it lies, other than those of classes.txt, which has none."""
    photo(tmp_path / "images" / "a.jpg")
    put(tmp_path / "labels" / "a.txt", "0 0.5 0.5 0.25 0.5\n")
    put(tmp_path / "labels" / "train.txt", "../images/a.jpg\n")
    put(tmp_path / "labels" / "data.yaml", "train: train.txt\nnames: [car]\n")
    assert labels(f"yolo:{tmp_path}/labels") == {"../images/a.jpg": Boxes(64, 48, (Box((24, 12, 40, 36), "car"),))}


def test_without_data_yaml_there_is_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"expected one of data\.yaml, .*, labels/classes\.txt in it, got none"):
        read(f"yolo:{tmp_path}")


@settings(max_examples=30)
@given(box_sets())
def test_written_boxes_are_read_again(given_labels: list[Boxes]) -> None:
    for told, found in round_trip("yolo", given_labels):
        assert_same_boxes(found, told)


def test_what_is_written_is_what_others_read(tmp_path: Path) -> None:
    image = photo(tmp_path / "a.jpg")
    label = Boxes(64, 48, (Box((24, 0, 40, 24), "stop sign"), Box((0, 0, 64, 48), "Auto")))
    module.write(tmp_path / "out", [(Item("x/a.jpg", str(image)), label), (Item("b", str(image)), Boxes(64, 48))])
    out = tmp_path / "out"
    assert yaml.safe_load((out / "data.yaml").read_text()) == {
        "train": "images/train",
        "val": "images/train",  # Ultralytics refuses a file without it
        "names": {0: "stop sign", 1: "Auto"},
    }
    assert labels(f"yolo:{out}") == labels(f"yolo:{out}:train") == labels(f"yolo:{out}:val")
    assert (out / "labels" / "train" / "x_a.txt").read_text() == "0 0.5 0.25 0.25 0.5\n1 0.5 0.5 1 1\n"
    assert (out / "labels" / "train" / "b.txt").read_text() == ""
    assert sorted(path.name for path in (out / "images" / "train").iterdir()) == ["b.jpg", "x_a.jpg"]
