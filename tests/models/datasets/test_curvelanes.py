"""CurveLanes: points as texts in JSON, and every broken file named."""

import json
from pathlib import Path
from typing import Any

import pytest

from models.datasets import read
from models.records import Item, Lane, Lanes
from tests.models.datasets.corpora import expect_broken, photo, put

POINTS = [{"y": "48.0", "x": "-3.5"}, {"y": "30", "x": "10"}]


def corpus(root: Path, lines: Any, listing: str = "images/a.jpg\n") -> Path:
    photo(root / "valid" / "images" / "a.jpg")
    put(root / "valid" / "valid.txt", listing)
    text = lines if isinstance(lines, bytes) else json.dumps(lines)
    return put(root / "valid" / "labels" / "a.lines.json", text)


def test_texts_become_points_and_lanes_of_one_point_are_none(tmp_path: Path) -> None:
    corpus(tmp_path, {"Lines": [POINTS, POINTS[:1]]})
    item = Item("valid/images/a.jpg", str(tmp_path / "valid" / "images" / "a.jpg"))
    label = Lanes(64, 48, (Lane(((-3.5, 48), (10, 30))),))
    assert list(read(f"curvelanes:{tmp_path}:valid")) == list(read(f"curvelanes:{tmp_path}")) == [(item, label)]


@pytest.mark.parametrize(
    ("lines", "where", "message"),
    [
        ({"Lines": [POINTS, 3]}, "Lines[1]", "expected a list of points {x, y}, got 3"),
        ({"Lines": [POINTS, [{"x": "1"}]]}, "Lines[1]", "expected numbers in x and y, got ['1', None]"),
        ({"Lines": [[{"x": "1", "y": "two"}]]}, "Lines[0]", "expected numbers in x and y, got ['1', 'two']"),
        ({"Lines": None}, 1, "expected a list under 'Lines', got {'Lines': None}"),
        ([], 1, "expected a JSON object, got []"),
        (b'{\n"Lines": oops}', 2, "expected JSON, got 'Expecting value at column 10'"),
        (b'{"Lines": "\xff"}', 1, "expected UTF-8 text"),
    ],
)
def test_a_broken_label_file_is_named(tmp_path: Path, lines: Any, where: str | int, message: str) -> None:
    expect_broken(f"curvelanes:{tmp_path}", corpus(tmp_path, lines), where, message)


def test_a_broken_list_is_named_with_its_line(tmp_path: Path) -> None:
    corpus(tmp_path, {"Lines": []}, "images/a.jpg\nimages/b.jpg\n")
    listing = tmp_path / "valid" / "valid.txt"
    expect_broken(f"curvelanes:{tmp_path}", listing, 2, "expected a file that exists, got")
    photo(tmp_path / "valid" / "images" / "b.jpg")
    expect_broken(
        f"curvelanes:{tmp_path}", listing, 2, f"expected a file that exists, got '{tmp_path}/valid/labels/b.l"
    )
