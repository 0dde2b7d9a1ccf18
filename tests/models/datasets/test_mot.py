"""MOTChallenge: pedestrians of every frame by the rules of gt.txt, and every broken line named."""

from pathlib import Path

import pytest

from models.datasets import read
from models.records import Box, Boxes, Item
from tests.models.datasets.corpora import expect_broken, photo, put

INFO = "[Sequence]\nname=MOT17-02-DPM\nimDir=img1\nframeRate=30\nseqLength=2\nimWidth=64\nimHeight=48\nimExt=.jpg\n"
TRUTH = """\
2,1,11,9,20,16,1,1,1
1,1,1,1,64,48,1,1,0.25
1,2,60,40,30,30,1,1,0.9
1,3,5,5,9,9,0,1,1
1,4,5,5,9,9,1,7,1
1,5,5,5,9,9,1,1,0.2
2,6,70,5,9,9,1,1,1
"""


def corpus(root: Path, truth: str = TRUTH, name: str = "MOT17-02-DPM", info: str = INFO) -> Path:
    for frame in ("000001", "000002"):
        photo(root / name / "img1" / f"{frame}.jpg")
    put(root / name / "seqinfo.ini", info)
    return put(root / name / "gt" / "gt.txt", truth)


def test_pixels_count_from_one_and_only_considered_visible_pedestrians_are_kept(tmp_path: Path) -> None:
    """Left out: what is flagged 0, a person who stands still (7), one seen by a fifth, one outside the image."""
    corpus(tmp_path / "train")
    first, second = (f"train/MOT17-02-DPM/img1/00000{i}.jpg" for i in (1, 2))
    edge = (Box((0, 0, 64, 48), "pedestrian"), Box((59, 39, 64, 48), "pedestrian"))
    expected = [
        (Item(first, str(tmp_path / first), "MOT17-02"), Boxes(64, 48, edge)),
        (Item(second, str(tmp_path / second), "MOT17-02"), Boxes(64, 48, (Box((10, 8, 30, 24), "pedestrian"),))),
    ]
    assert list(read(f"mot:{tmp_path}:train")) == expected
    assert [label for _, label in read(f"mot:{tmp_path}/train")] == [label for _, label in expected]


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
        (INFO.replace("=64", "=0"), "expected seqLength, imWidth and imHeight >= 1, got (2, 0, 48)"),
        (INFO.replace("seqLength=2", "seqLength=3"), "expected a file that exists, got"),
    ],
)
def test_a_broken_seqinfo_is_named(tmp_path: Path, info: str, message: str) -> None:
    file = corpus(tmp_path, info=info).parents[1] / "seqinfo.ini"
    expect_broken(f"mot:{tmp_path}", file, 1, message)
