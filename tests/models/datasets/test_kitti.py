"""KITTI: fifteen columns, every broken line named, and written boxes read again."""

from pathlib import Path

import pytest
from hypothesis import given, settings

from models.datasets import kitti as module
from models.datasets import read, read_marked
from models.errors import InvalidDataset, UnreadableMedia
from models.marks import KittiFrame, KittiObject
from models.records import Box, Boxes, Item
from tests.models.datasets.corpora import expect_broken, labels, photo, put
from tests.models.datasets.round_trips import box_sets, round_trip

LINES = """\
Car 0.00 0 -1.57 10.50 8.00 30.00 24.25 1.5 1.6 3.9 -10.0 1.7 30.0 -1.9
DontCare -1 -1 -10 1 2 3 4 -1 -1 -1 -1000 -1000 -1000 -10
Person_sitting 0.00 1 0.2 50 10 64.00 48.00 1.2 0.5 0.8 1 1.5 8 0.3
Car 0.00 0 -1.57 7 7 7 9 1.5 1.6 3.9 -10.0 1.7 30.0 -1.9
"""


def corpus(root: Path, lines: str = LINES) -> Path:
    photo(root / "training" / "image_2" / "000000.png")
    photo(root / "training" / "image_2" / "000007.png")
    photo(root / "testing" / "image_2" / "000000.png")
    put(root / "training" / "label_2" / "000007.txt")
    return put(root / "training" / "label_2" / "000000.txt", lines)


def test_boxes_are_columns_five_to_eight_and_regions_nobody_cares_for_are_left_out(tmp_path: Path) -> None:
    corpus(tmp_path)
    boxes = (Box((10.5, 8, 30, 24.25), "Car"), Box((50, 10, 64, 48), "Person_sitting"))
    first, second = (tmp_path / "training" / "image_2" / f"{name}.png" for name in ("000000", "000007"))
    assert list(read(f"kitti:{tmp_path}")) == [
        (Item("training/image_2/000000.png", str(first)), Boxes(64, 48, boxes)),
        (Item("training/image_2/000007.png", str(second)), Boxes(64, 48)),
    ]


def test_results_have_a_score_behind_the_fifteen_columns(tmp_path: Path) -> None:
    corpus(tmp_path)
    without = labels(f"kitti:{tmp_path}")
    corpus(tmp_path, LINES.replace("\n", " 2.75\n"))
    assert labels(f"kitti:{tmp_path}") == without


def test_a_split_may_be_a_list(tmp_path: Path) -> None:
    corpus(tmp_path)
    listing = put(tmp_path / "ImageSets" / "val.txt", "000007\n")
    assert list(labels(f"kitti:{tmp_path}:val")) == ["training/image_2/000007.png"]
    assert len(labels(f"kitti:{tmp_path}:training")) == 2
    for absent in ("000008", "/"):
        put(listing, f"000007\n{absent}\n")
        expect_broken(f"kitti:{tmp_path}:val", listing, 2, "expected a file that exists, got")


def test_a_picture_may_have_another_suffix_and_none_is_passed_over(tmp_path: Path) -> None:
    corpus(tmp_path)
    folder = tmp_path / "training" / "image_2"
    (folder / "000007.png").rename(folder / "000007.JPG")
    put(tmp_path / "ImageSets" / "val.txt", "000007\n")
    assert list(labels(f"kitti:{tmp_path}:val")) == ["training/image_2/000007.JPG"]
    put(folder / "000008.bmp", b"BM")
    with pytest.raises(UnreadableMedia, match=r"/000008\.bmp: expected a JPEG, PNG or WebP image, got bytes"):
        labels(f"kitti:{tmp_path}:training")


REST = "1.5 1.6 3.9 -10.0 1.7 30.0 -1.9"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Car 0 0 0 1 2 3 4", "expected 15 columns, or 16 with a score, got 'Car 0 0 0 1 2 3 4'"),
        (f"Car 0 0 0 1 2 3 x {REST}", "expected numbers in columns 5 to 8: left, top, right, bottom, got ['1', '2',"),
        (f"Car 0 0 0 1 2 3 inf {REST}", "expected numbers in columns 5 to 8"),
        (f"Car 0 0 0 3 2 1 4 {REST}", "expected left <= right and top <= bottom, got ['3', '2', '1', '4']"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    file = corpus(tmp_path, f"{LINES}{line}\n")
    expect_broken(f"kitti:{tmp_path}", file, 5, message)


def test_an_image_without_labels_shows_nothing_unless_none_has_any(tmp_path: Path) -> None:
    """As Datumaro writes none for it."""
    corpus(tmp_path)
    (tmp_path / "training" / "label_2" / "000007.txt").unlink()
    first, second = labels(f"kitti:{tmp_path}").values()
    assert first != second == Boxes(64, 48)
    (tmp_path / "training" / "label_2" / "000000.txt").unlink()
    expect_broken(f"kitti:{tmp_path}", tmp_path, "", "expected label_2/*.txt for 000007, or for another image, got 'no")


def test_labels_of_images_in_folders_are_in_folders_of_the_same_name(tmp_path: Path) -> None:
    corpus(tmp_path)
    photo(tmp_path / "training" / "image_2" / "deep" / "er" / "v1.2.a.jpg")
    put(tmp_path / "training" / "label_2" / "deep" / "er" / "v1.2.a.txt", "Car -1 -1 -1 10.5 8 30 24.25" + 8 * " -1")
    boxes = labels(f"kitti:{tmp_path}")["training/image_2/deep/er/v1.2.a.jpg"]
    assert boxes == Boxes(64, 48, (Box((10.5, 8, 30, 24.25), "Car"),))


@settings(max_examples=30)
@given(box_sets())
def test_written_boxes_are_read_again(given_labels: list[Boxes]) -> None:
    for told, found in round_trip("kitti", given_labels):
        assert isinstance(found, Boxes)
        assert [box.category for box in found.boxes] == [box.category for box in told.boxes]
        for one, other in zip(found.boxes, told.boxes, strict=True):
            assert one.xyxy == pytest.approx(other.xyxy, abs=1e-6)


def test_a_written_line_has_the_kits_own_words_for_what_is_unknown(tmp_path: Path) -> None:
    label = Boxes(64, 48, (Box((1, 2, 5.5, 10), "traffic light"),))
    module.write(tmp_path / "out", [(Item("x/a.jpg", str(photo(tmp_path / "a.jpg"))), label)])
    text = (tmp_path / "out" / "training" / "label_2" / "x_a.txt").read_text()
    assert text == "traffic_light -1 -1 -10 1 2 5.5 10 -1 -1 -1 -1000 -1000 -1000 -10\n"


def test_a_category_that_would_be_read_as_a_region_is_refused(tmp_path: Path) -> None:
    label = Boxes(64, 48, (Box((1, 2, 5.5, 10), "DontCare"),))
    with pytest.raises(InvalidDataset, match=r"^a: expected a category that KITTI counts, got 'DontCare'$"):
        module.write(tmp_path / "out", [(Item("a", str(photo(tmp_path / "a.jpg"))), label)])
    assert not (tmp_path / "out").exists()


def test_how_hard_objects_are_is_handed_on(tmp_path: Path) -> None:
    corpus(tmp_path, LINES.replace("Person_sitting 0.00 1", "Person_sitting 0.25 1"))
    (_, _, frame), (_, _, nothing) = read_marked(f"kitti:{tmp_path}")
    assert frame == KittiFrame(
        (
            KittiObject("Car", (10.5, 8, 30, 24.25), 0, 0),
            KittiObject("DontCare", (1, 2, 3, 4), -1, -1),
            KittiObject("Person_sitting", (50, 10, 64, 48), 0.25, 1),
            KittiObject("Car", (7, 7, 7, 9), 0, 0),
        )
    )
    assert nothing == KittiFrame(())


def test_a_list_is_read_below_a_relative_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(corpus(tmp_path).parents[2] / "ImageSets" / "val.txt", "000000\n")
    monkeypatch.chdir(tmp_path)
    ((item, label),) = module.read(Path(), "val")
    assert item.id == "training/image_2/000000.png"
    assert label.boxes
