"""MOTChallenge: pedestrians of every frame by the rules of gt.txt, and every broken line named."""

from pathlib import Path

import pytest

from models.datasets import read, read_marked
from models.detection.results import Results
from models.marks import Ignored
from models.records import Box, Boxes, Item, Prediction
from tests.models.datasets.corpora import expect_broken, photo, put

INFO = "[Sequence]\nname=MOT17-02-DPM\nimDir=img1\nframeRate=30\nseqLength=2\nimWidth=64\nimHeight=48\nimExt=.jpg\n"
TRUTH = """\
2,1,11,9,20,16,1,1,1
1,1,1,1,64,48,1,1,0.5
1,2,60,40,30,30,1,1,0.9
1,3,5,5,9,9,0,1,1
1,4,5,5,9,9,1,7,1
1,5,5,5,9,9,1,1,0.4
2,6,70,5,9,9,1,1,1
"""


def corpus(root: Path, truth: str = TRUTH, name: str = "MOT17-02-DPM", info: str = INFO) -> Path:
    for frame in ("000001", "000002"):
        photo(root / name / "img1" / f"{frame}.jpg")
    put(root / name / "seqinfo.ini", info)
    return put(root / name / "gt" / "gt.txt", truth)


def test_pixels_count_from_one_and_only_considered_visible_pedestrians_are_kept(tmp_path: Path) -> None:
    """Left out: what is flagged 0, a person who stands still (7), one seen by less than half, one outside the image."""
    corpus(tmp_path / "train")
    first, second = (f"train/MOT17-02-DPM/img1/00000{i}.jpg" for i in (1, 2))
    edge = (Box((0, 0, 64, 48), "pedestrian"), Box((59, 39, 64, 48), "pedestrian"))
    expected = [
        (Item(first, str(tmp_path / first), "MOT17-02"), Boxes(64, 48, edge)),
        (Item(second, str(tmp_path / second), "MOT17-02"), Boxes(64, 48, (Box((10, 8, 30, 24), "pedestrian"),))),
    ]
    assert list(read(f"mot:{tmp_path}:train")) == expected
    assert [label for _, label in read(f"mot:{tmp_path}/train")] == [label for _, label in expected]


OBJECTS = """\
1,1,1,1,9,9,1,1,0.5
1,2,11,1,9,9,1,1,0.49
1,3,21,1,9,9,1,1,0.2
1,4,31,1,9,9,0,1,1
1,5,41,1,9,9,0,2,1
1,6,1,11,9,9,0,7,1
1,7,11,11,9,9,0,8,1
1,8,21,11,9,9,0,12,1
1,9,31,11,9,9,0,6,1
1,10,41,11,9,9,0,3,1
1,11,1,21,9,9,0,3,0.3
1,12,11,21,9,9,0,9,0.1
"""  # frame, track, left, top, width, height, flag, class, visibility


@pytest.mark.parametrize(
    ("sequence", "found", "left_out"),
    [("MOT17-02", [1], [2, 3, 4, 5, 6, 7, 8, 11, 12]), ("MOT20-01", [1, 2], [3, 4, 5, 6, 7, 8, 9, 12])],
)
def test_what_is_easily_taken_for_a_pedestrian_does_not_count(
    tmp_path: Path, sequence: str, found: list[int], left_out: list[int]
) -> None:
    """By the devkit: evaluateDetection.m asks for class 1 at visibility 0.5, in MOT20 0.25; preprocessResult.m takes
    away what matches classes 2, 7, 8, 12, in MOT20 also 6, and whatever is less visible, a car (3) or an occluder (9)
    too. A car in full view (10) is none of these: a pedestrian found there is false."""
    corpus(tmp_path, OBJECTS, name=sequence)
    (_, label, mark), _ = read_marked(f"mot:{tmp_path}")
    place = {
        number: Box((x, y, x + 9, y + 9), "pedestrian")
        for number, (x, y) in enumerate(((x, y) for y in (0, 10, 20) for x in (0, 10, 20, 30, 40)), 1)
    }
    assert isinstance(label, Boxes)
    assert label.boxes == tuple(place[number] for number in found)
    assert mark == Ignored(objects=tuple(place[number] for number in left_out))
    said = Prediction(Boxes(64, 48, (*label.boxes, place[10], *(place[number] for number in left_out))), 0.5, {}, ())
    results = Results([said], [label], [mark])
    assert {name: counts.tolist() for name, counts in results.columns.items()} == {
        "boxes_right": [len(found)],
        "boxes_false": [1],
        "boxes_missed": [0],
    }


def test_copies_of_one_sequence_are_read_once(tmp_path: Path) -> None:
    for name in ("MOT17-04-SDP", "MOT17-02-SDP", "MOT17-02-DPM", "MOT17-02-FRCNN"):
        corpus(tmp_path, name=name)
    assert [item.id.split("/")[0] for item, _ in read(f"mot:{tmp_path}")][::2] == ["MOT17-02-DPM", "MOT17-04-SDP"]


def test_mot15_has_no_class_and_no_visibility(tmp_path: Path) -> None:
    corpus(tmp_path, "1,1,11,9,20,16,1,-2.5,-1,0\n1,2,1,1,9,9,0,-1,-1,-1\n", name="ADL-Rundle-6")
    first, _ = read(f"mot:{tmp_path}")
    assert first[0].group == "ADL-Rundle-6"
    assert first[1] == Boxes(64, 48, (Box((10, 8, 30, 24), "pedestrian"),))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,1,1,1,9,9,1", "expected 9 columns between commas, or the 10 of MOT15, got '1,1,1,1,9,9,1'"),
        ("1,1,1,x,9,9,1,1,1", "expected numbers between commas, got"),
        ("3,1,1,1,9,9,1,1,1", "expected a frame from 1 to 2, got '3'"),
        ("1.5,1,1,1,9,9,1,1,1", "expected a frame from 1 to 2, got '1.5'"),
        ("1,1,1,1,-9,9,1,1,1", "expected width and height >= 0, got ['-9', '9']"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    file = corpus(tmp_path, f"1,1,1,1,9,9,1,1,1\n{line}\n")
    expect_broken(f"mot:{tmp_path}", file, 2, message)


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ("", "expected [Sequence] with seqLength, imWidth and imHeight, got \"'Sequence'\""),
        ("seqLength=2\n", "expected [Sequence] with seqLength, imWidth and imHeight, got"),
        (INFO.replace("=64", "=wide"), "expected [Sequence] with seqLength"),
        (INFO.replace("=64", "=0"), "expected seqLength, imWidth and imHeight from 1 to 1e+09, got (2, 0, 48)"),
        (INFO.replace("seqLength=2", "seqLength=3"), "expected a file that exists, got"),
    ],
)
def test_a_broken_seqinfo_is_named(tmp_path: Path, info: str, message: str) -> None:
    file = corpus(tmp_path, info=info).parents[1] / "seqinfo.ini"
    expect_broken(f"mot:{tmp_path}", file, 1, message)
