"""CULane: polylines beside images, every broken line named, and written lanes read again."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from models.datasets import culane, read, read_marked
from models.datasets.output import names_in
from models.marks import CulaneImage
from models.records import Item, Lane, Lanes
from tests.models.datasets.corpora import expect_broken, photo, put
from tests.models.datasets.round_trips import lane_sets, round_trip


def corpus(root: Path, lanes: str, listing: str = "/driver_1/clip.MP4/00000.jpg\nimages/a.jpg\n") -> Path:
    photo(root / "driver_1" / "clip.MP4" / "00000.jpg", 1640, 590)
    put(root / "driver_1" / "clip.MP4" / "00000.lines.txt")
    photo(root / "images" / "a.jpg")
    put(root / "list" / "val.txt", listing)
    return put(root / "images" / "a.lines.txt", lanes)


def test_it_takes_the_size_from_the_image_and_the_clip_from_the_folder(tmp_path: Path) -> None:
    corpus(tmp_path, "-3.5 48 10 30 20 20.25 \n5 40 \n\n60 47 61 2\n")
    lanes = (Lane(((-3.5, 48), (10, 30), (20, 20.25))), Lane(((60, 47), (61, 2))))
    frame = tmp_path / "driver_1" / "clip.MP4" / "00000.jpg"
    assert list(read(f"culane:{tmp_path}:val")) == [
        (Item("driver_1/clip.MP4/00000.jpg", str(frame), "driver_1/clip.MP4"), Lanes(1640, 590)),
        (Item("images/a.jpg", str(tmp_path / "images" / "a.jpg")), Lanes(64, 48, lanes)),
    ]


@pytest.mark.parametrize(
    ("lanes", "line", "message"),
    [
        ("1 2 3 4\n1 2 3\n", 2, "expected finite numbers in pairs x y, got '1 2 3'"),
        ("1 2 x 4\n", 1, "expected finite numbers in pairs x y, got ['1', '2', 'x', '4']"),
        ("\n1 2 nan 4\n", 2, "expected finite numbers in pairs x y, got ['1', '2', 'nan', '4']"),
    ],
)
def test_a_broken_lane_is_named_with_its_line(tmp_path: Path, lanes: str, line: int, message: str) -> None:
    expect_broken(f"culane:{tmp_path}", corpus(tmp_path, lanes), line, message)


def test_a_broken_list_is_named_with_its_line(tmp_path: Path) -> None:
    corpus(tmp_path, "", "images/a.jpg\nimages/a.jpg seg.png 1 1\n")
    listing = tmp_path / "list" / "val.txt"
    expect_broken(f"culane:{tmp_path}", listing, 2, "expected 1 column, the path of an image, or 6")
    put(listing, "images/b.jpg\n")
    expect_broken(f"culane:{tmp_path}", listing, 1, f"expected a file that exists, got '{tmp_path}/images/b.jpg'")
    photo(tmp_path / "images" / "b.jpg")
    expect_broken(f"culane:{tmp_path}", listing, 1, f"expected a file that exists, got '{tmp_path}/images/b.lines.txt'")


def test_lists_with_masks_and_which_lanes_there_are_name_the_same_images(tmp_path: Path) -> None:
    """As ``train_gt.txt`` and ``val_gt.txt`` do."""
    corpus(tmp_path, "10 30 20 20\n")
    mask = "/laneseg_label_w16/driver_1/clip.MP4/00000.png"
    put(
        tmp_path / "list" / "val_gt.txt", f"/driver_1/clip.MP4/00000.jpg {mask} 1 1 0 1\n/images/a.jpg /a.png 0 0 0 0\n"
    )
    assert list(read(f"culane:{tmp_path}:val_gt")) == list(read(f"culane:{tmp_path}:val"))


@settings(max_examples=30)
@given(lane_sets())
def test_written_lanes_are_read_again(labels: list[Lanes]) -> None:
    for told, found in round_trip("culane", labels):
        assert isinstance(found, Lanes)
        assert (found.width, found.height, len(found.lanes)) == (told.width, told.height, len(told.lanes))
        for one, other in zip(found.lanes, told.lanes, strict=True):
            assert np.allclose(one.points, other.points, atol=1e-6)


def test_a_group_is_written_as_the_folder_of_a_clip(tmp_path: Path) -> None:
    image = photo(tmp_path / "a.jpg")
    label = Lanes(64, 48, (Lane(((-3.5, 48), (10, 30))),))
    assert names_in("b", Item("b/images/0.jpg", "0.jpg")) == ("b", "images_0")
    assert names_in("b", Item("images/0.jpg", "0.jpg")) == ("b", "0")
    groups = ("driver_1/clip.MP4", "b", None)
    culane.write(tmp_path / "out", [(Item(f"f/{i}.jpg", str(image), group), label) for i, group in enumerate(groups)])
    listing = (tmp_path / "out" / "list" / "train.txt").read_text()
    assert listing == "/driver_1_clip.MP4/f_0.jpg\n/b.MP4/f_1.jpg\n/images/f_2.jpg\n"
    assert (tmp_path / "out" / "b.MP4" / "f_1.lines.txt").read_text() == "-3.5 48 10 30\n"
    assert [item.group for item, _ in read(f"culane:{tmp_path}/out")] == ["driver_1_clip.MP4", "b.MP4", None]


def test_the_test_lists_name_the_category_and_single_points_are_counted(tmp_path: Path) -> None:
    corpus(tmp_path, "10 30 20 20 \n5 40 \n6 41\n")
    put(tmp_path / "list" / "test_split" / "test8_night.txt", "images/a.jpg\n")
    put(tmp_path / "list" / "test_split" / "test0_normal.txt", "driver_1/clip.MP4/00001.jpg\n")
    marks = [mark for *_, mark in read_marked(f"culane:{tmp_path}:val")]
    assert marks == [CulaneImage(None, 0), CulaneImage("night", 2)]
    listing = put(tmp_path / "list" / "test_split" / "test1_crowd.txt", "a.jpg 1\n")
    expect_broken(f"culane:{tmp_path}", listing, 1, "expected 1 column, the path of an image, or 6 with")
