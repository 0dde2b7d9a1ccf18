"""CVAT for video 1.1: tracks become boxes and lines of frames, and every broken shape is named with its line."""

from pathlib import Path

import pytest

from models.datasets import read
from models.errors import NotFound
from models.records import Box, Boxes, Item, Lane, Lanes
from tests.models.datasets.corpora import expect_broken, labels, photo, put

HEAD = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <task><id>7</id><size>5</size><mode>interpolation</mode><start_frame>0</start_frame><stop_frame>4</stop_frame></task>
  </meta>
"""


def box(frame: int, x: int, outside: int = 0, more: str = "") -> str:
    told = f'frame="{frame}" keyframe="0" outside="{outside}" occluded="0"'
    return f'    <box {told} xtl="{x}.00" ytl="4.00" xbr="{x + 8}.00" ybr="12.00" z_order="0"{more}>\n    </box>\n'


def line(frame: int, outside: int = 0) -> str:
    points = f"{frame}.00,48.00;20.00,-1.00"
    return f'    <polyline frame="{frame}" keyframe="1" outside="{outside}" points="{points}" z_order="0"></polyline>\n'


def track(label: str, *shapes: str, more: str = "") -> str:
    return f'  <track id="0" label="{label}" source="manual"{more}>\n{"".join(shapes)}  </track>\n'


CAR = track("car", box(0, 1), box(1, 2), box(2, 3), box(3, 3, 1), box(4, 60))
LANE = track("lane", line(1), line(2, 1))


def video(root: Path, *tracks: str, frames: range = range(5)) -> Path:
    for frame in frames:
        photo(root / "images" / f"frame_{frame:06d}.PNG")
    return put(root / "annotations.xml", f"{HEAD}{''.join(tracks)}</annotations>\n")


def frame(number: int) -> str:
    return f"images/frame_{number:06d}.PNG"


def test_a_frame_shows_what_is_inside_of_it(tmp_path: Path) -> None:
    file = video(tmp_path, LANE, CAR)
    found = labels(f"cvat:{tmp_path}")
    assert list(found) == [frame(number) for number in range(5)]
    left = {0: (1, 4, 9, 12), 1: (2, 4, 10, 12), 2: (3, 4, 11, 12), 4: (60, 4, 64, 12)}
    assert found == {
        frame(number): Boxes(64, 48, (Box(left[number], "car"),) if number in left else ()) for number in range(5)
    }
    lane = Lanes(64, 48, (Lane(((1, 48), (20, -1))),))
    lanes = labels(f"cvat-lanes:{file}")
    assert lanes == {frame(number): lane if number == 1 else Lanes(64, 48) for number in range(5)}


def test_a_video_is_a_group_of_its_own(tmp_path: Path) -> None:
    video(tmp_path / "clip", CAR)
    first, *_ = (item for item, _ in read(f"cvat:{tmp_path}/clip"))
    assert first == Item(frame(0), str(tmp_path / "clip" / frame(0)), "clip")


def test_frames_that_were_deleted_have_neither_pictures_nor_shapes(tmp_path: Path) -> None:
    video(tmp_path, track("car", box(0, 1), box(3, 2), box(4, 3)), frames=range(3, 5))
    photo(tmp_path / frame(0))
    assert [len(label.boxes) for label in labels(f"cvat:{tmp_path}").values() if isinstance(label, Boxes)] == [1, 1, 1]


def test_pictures_may_lie_beside_the_document_or_in_a_folder_of_their_subset(tmp_path: Path) -> None:
    told = ' task_id="7" subset="train"'
    video(tmp_path, track("car", box(0, 1), box(1, 1, 1), more=told), frames=range(0))
    photo(tmp_path / "images" / "train" / "frame_000000.png")
    assert list(labels(f"cvat:{tmp_path}:train")) == ["images/train/frame_000000.png"]
    with pytest.raises(NotFound, match=r"expected one of the splits there \(train\), got val"):
        read(f"cvat:{tmp_path}:val")
    (tmp_path / "images").rename(tmp_path / "frames")
    assert list(labels(f"cvat:{tmp_path}")) == ["frames/train/frame_000000.png"]


@pytest.mark.parametrize(
    ("tracks", "line", "message"),
    [
        (track("car", box(0, 1), box(2, 1)), 10, "expected a shape in each frame of the track, as CVAT writes them, i"),
        (track("car", box(1, 1), box(1, 2)), 10, "expected one shape a frame in a track, behind frame 1, got '1'"),
        (track("car", box(1, 1), box(0, 2)), 10, "expected one shape a frame in a track, behind frame 1, got '0'"),
        (track("car", box(0, 1).replace('"0"', '"x"', 1)), 8, "expected a whole number in frame, got 'x'"),
        (track("car", box(5, 1)), 8, "expected a frame with a picture, frame_000005, got 'none'"),
        (track("car", box(0, 1).replace("1.00", "x", 1)), 8, "expected numbers in xtl, ytl, xbr, ybr, got ['x', '4.0"),
        (track("", box(0, 1)), 8, "expected a label, got ''"),
        (
            track("car", box(0, 1), more=' task_id="7"') + track("bus", box(0, 1), more=' task_id="8"'),
            12,
            "expected tracks of task 7 alone, got 'one of task 8'",
        ),
    ],
)
def test_a_broken_shape_is_named(tmp_path: Path, tracks: str, line: int, message: str) -> None:
    file = video(tmp_path, tracks)
    expect_broken(f"cvat:{tmp_path}", file, line, message)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "street.png",
            "expected a frame of a video, frame_NUMBER; images are exported as CVAT for images 1.1, got 'st",
        ),
        ("frame_000005.png", "expected a frame of the video, which ends with 4, got 'frame_000005.png'"),
        ("other/frame_000004.png", "expected the only picture of a frame, of one task, got 'frame_000004.png'"),
    ],
)
def test_a_picture_that_is_no_frame_of_the_video_is_named(tmp_path: Path, name: str, message: str) -> None:
    """Whoever cuts frames with a program that counts from 1 would have every box one frame too late."""
    video(tmp_path, CAR)
    picture = photo(tmp_path / "images" / name)
    expect_broken(f"cvat:{tmp_path}", picture, "", message)


@pytest.mark.parametrize("told", ["<stop_frame>0</stop_frame>", ""])
def test_early_versions_did_not_tell_the_last_frame(tmp_path: Path, told: str) -> None:
    file = video(tmp_path, CAR)
    file.write_text(file.read_text().replace("<stop_frame>4</stop_frame>", told))
    assert len(labels(f"cvat:{tmp_path}")) == 5
