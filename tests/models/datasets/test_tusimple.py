"""TuSimple: columns at rows, every broken line named, and what of written lanes comes back."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from models.datasets import read, read_marked, tusimple
from models.marks import TusimpleFrame
from models.records import Item, Lane, Lanes
from tests.models.datasets.corpora import expect_broken, photo, put
from tests.models.datasets.round_trips import lane_sets, round_trip

FRAME: dict[str, Any] = {
    "raw_file": "clips/0313-1/60/20.jpg",
    "h_samples": [240, 250, 260],
    "lanes": [[-2, 632, 625], [-2, -2, -2], [-2, 7, -2], [0, 1, 2]],
}


def corpus(root: Path, **changes: Any) -> Path:
    return put(root / "label_data_0313.json", json.dumps(FRAME) + "\n" + json.dumps({**FRAME, **changes}) + "\n")


def test_lanes_without_their_images(tmp_path: Path) -> None:
    file = corpus(tmp_path, raw_file="clips/0313-1/61/20.jpg", lanes=[])
    photo(tmp_path / "clips/0313-1/61/20.jpg", 640, 360)
    lanes = (Lane(((632, 250), (625, 260))), Lane(((0, 240), (1, 250), (2, 260))))
    first, second = list(read(f"tusimple:{file}"))
    path = tmp_path / "clips/0313-1/60/20.jpg"
    assert first == (Item("clips/0313-1/60/20.jpg", str(path), "clips/0313-1/60"), Lanes(1280, 720, lanes))
    assert second[1] == Lanes(640, 360)
    assert list(read(f"tusimple:{tmp_path}:0313")) == [first, second]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"raw_file": None}, "expected a string under 'raw_file', got None"),
        ({"h_samples": "240"}, "expected whole numbers in h_samples, got '240'"),
        ({"lanes": {}}, "expected a list under 'lanes', got {}"),
        ({"lanes": [[-2, 632, 625], [1, 2]]}, "lanes[1]: expected 3 columns, one for each of h_samples, got 2"),
        ({"lanes": [[-2, 632, None]]}, "lanes[0]: expected whole numbers in lane, got [-2, 632, None]"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    file = corpus(tmp_path, **changes)
    expect_broken(f"tusimple:{file}", file, 2, message)


def test_a_written_lane_is_where_it_crosses_every_tenth_row(tmp_path: Path) -> None:
    """By hand: from (10, 15) to (30, 35) it crosses row 20 at x = 15 and row 30 at x = 25."""
    lanes = (
        Lane(((10, 15), (30, 35))),
        Lane(((70, 20), (-10, 40))),  # at x = 70, 30 and -10: inside once, so it is lost
        Lane(((5, 41), (5, 19), (6, 41))),  # up and down again: the first crossing counts
        Lane(((0, 20), (40, 20), (40.4, 30))),  # along a row: its first point
    )
    image = photo(tmp_path / "a.jpg")
    pairs = [
        (Item("a", str(image), "clips/1"), Lanes(64, 48, lanes)),
        (Item("clips/7/20.jpg", str(tmp_path / "gone.jpg"), "clips/7"), Lanes(64, 48)),
    ]
    tusimple.write(tmp_path / "out", pairs)
    lines = (tmp_path / "out" / "label_data_train.json").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {
            "raw_file": "clips/1/a.jpg",
            "h_samples": [20, 30, 40],
            "lanes": [[15, 25, -2], [5, 5, 5], [0, 40, -2]],
        },
        {"raw_file": "clips/7/20.jpg", "h_samples": [0, 10, 20, 30, 40], "lanes": []},
    ]
    assert [label.lanes for _, label in read(f"tusimple:{tmp_path}/out") if isinstance(label, Lanes)] == [
        (
            Lane(((15, 20), (25, 30))),
            Lane(((5, 20), (5, 30), (5, 40))),
            Lane(((0, 20), (40, 30))),
        ),
        (),
    ]


@settings(max_examples=30)
@given(lane_sets())
def test_written_lanes_come_back_within_half_a_pixel(labels: list[Lanes]) -> None:
    for told, found in round_trip("tusimple", labels):
        assert isinstance(found, Lanes)
        assert len(found.lanes) <= len(told.lanes)
        for x, y in (point for lane in found.lanes for point in lane.points):
            assert y % 10 == 0
            assert min(distance(x, y, lane) for lane in told.lanes) <= 0.5 + 1e-9


def distance(x: float, y: float, lane: Lane) -> float:
    """From (x, y), along its row, to the nearest place where the lane crosses the row."""
    crossings = [float("inf")]
    for (x1, y1), (x2, y2) in itertools.pairwise(lane.points):
        if y1 == y2 == y:
            crossings += [x1, x2]
        elif min(y1, y2) <= y <= max(y1, y2):
            share = (y - y1) / (y2 - y1)
            crossings.append((1 - share) * x1 + share * x2)
    return min(abs(x - crossing) for crossing in crossings)


def test_a_label_is_handed_on_as_it_stands(tmp_path: Path) -> None:
    file = corpus(tmp_path, lanes=[])
    lines = ((-2, 632, 625), (-2, -2, -2), (-2, 7, -2), (0, 1, 2))
    marks = [mark for *_, mark in read_marked(f"tusimple:{file}")]
    assert marks == [TusimpleFrame((240, 250, 260), lines), TusimpleFrame((240, 250, 260), ())]
