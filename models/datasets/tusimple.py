"""TuSimple lanes: one JSON object a line. Source: github.com/TuSimple/tusimple-benchmark, lane_detection/readme.md."""

import json
import math
import os
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from models.datasets.layout import below, broken, chosen_split, json_lines, text_field
from models.datasets.output import SPLIT, file_name, names_in, new_folder, place
from models.marks import TusimpleFrame
from models.media import image_size
from models.records import LARGEST, Item, Lane, Lanes

_FRAME_SIZE = (1280, 720)  # pixels, of every frame of the benchmark
_STEP = 10  # rows from one to the next
_ABSENT = -2
_PREFIX, _TEST = "label_data_", "test_label.json"


def read(root: Path, split: str | None = None) -> Iterator[tuple[Item, Lanes]]:
    """Every labelled frame of a file, or of ``label_data_SPLIT.json`` in a folder, or of ``test_label.json``, the test.

    Each lane gives an x for every row of ``h_samples``, negative where it is not there; lanes seen on fewer than two
    rows are left out. The images may be missing (labels alone are worth having): the size is then the benchmark's,
    1280 x 720. The group is the clip, the folder of the frame.

    Raises:
        InvalidDataset: a broken line, naming file and line.
        NotFound: no such split.
    """
    return ((item, label) for item, label, _ in read_marked(root, split))


def read_marked(root: Path, split: str | None = None) -> Iterator[tuple[Item, Lanes, TusimpleFrame]]:
    """The same, each frame with its label as it stands."""
    if root.is_file():
        chosen_split(root, [root.stem.removeprefix(_PREFIX)], split, root.name)
        return _read(root.parent, root)
    files = {path.stem.removeprefix(_PREFIX): path for path in sorted(root.glob(f"{_PREFIX}*.json"))}
    if (root / _TEST).is_file() and (split == "test" or not files):
        files.setdefault("test", root / _TEST)
    return _read(root, files[chosen_split(root, list(files), split, f"{_PREFIX}*.json or {_TEST}")])


def _read(root: Path, file: Path) -> Iterator[tuple[Item, Lanes, TusimpleFrame]]:
    for where, values in json_lines(file):
        image = (root / text_field(where, values, "raw_file")).absolute()
        rows = _whole_numbers(where, "h_samples", values.get("h_samples"))
        lanes = values.get("lanes")
        if not isinstance(lanes, list):
            broken(where, "a list under 'lanes'", lanes)
        lines = [_columns_at(f"{where}: lanes[{index}]", columns, rows) for index, columns in enumerate(lanes)]
        found = [_lane(columns, rows) for columns in lines]
        size = image_size(image) if os.path.isfile(image) else _FRAME_SIZE
        item = Item(below(root, image), str(image), below(root, image.parent))
        label = Lanes(*size, tuple(lane for lane in found if lane is not None))
        yield item, label, TusimpleFrame(tuple(rows), tuple(map(tuple, lines)))


def _columns_at(where: str, columns: Any, rows: list[int]) -> list[int]:
    xs = _whole_numbers(where, "lane", columns)
    if len(xs) != len(rows):
        broken(where, f"{len(rows)} columns, one for each of h_samples", len(xs))
    return xs


def _lane(xs: list[int], rows: list[int]) -> Lane | None:
    points = tuple((float(x), float(y)) for x, y in zip(xs, rows, strict=True) if x >= 0)
    return Lane(points) if len(points) >= 2 else None


def _whole_numbers(where: str, name: str, values: Any) -> list[int]:
    if not isinstance(values, list) or not all(type(value) is int and abs(value) <= LARGEST for value in values):
        broken(where, f"whole numbers in {name}", values)
    return values


def write(root: Path, pairs: Iterable[tuple[Item, Lanes]]) -> None:
    """Writes ``label_data_train.json`` and ``clips/GROUP/`` with the images; where they are missing, the labels alone.

    The format knows a lane only where it crosses every tenth row, at whole pixels inside the image. The rows of an
    image begin where its highest lane does; a lane that crosses fewer than two of them is lost.

    Raises:
        InvalidInput: as ``new_folder``.
    """
    with new_folder(root) as out, (out / f"label_data_{SPLIT}.json").open("w", encoding="utf-8") as lines:
        for item, label in pairs:
            clip, name = names_in(item.group, item) if item.group else (file_name(item), file_name(item))
            folder = Path("clips", clip)
            if Path(item.uri).is_file():
                raw_file = folder / place(item, out / folder, name).name
            else:
                raw_file = folder / f"{name}.jpg"
            rows = _rows(label)
            lanes = [columns for lane in label.lanes if (columns := _columns(lane, rows, label.width))]
            lines.write(json.dumps({"lanes": lanes, "h_samples": list(rows), "raw_file": raw_file.as_posix()}) + "\n")


def _rows(label: Lanes) -> range:
    top = min((y for lane in label.lanes for _, y in lane.points), default=0)
    return range(max(0, _STEP * math.ceil(top / _STEP)), label.height, _STEP)


def _columns(lane: Lane, rows: range, width: int) -> list[int]:
    """Where the lane crosses each row; nothing where it does so fewer than twice."""
    columns = [_crossing(lane, row, width) for row in rows]
    return columns if sum(x != _ABSENT for x in columns) >= 2 else []


def _crossing(lane: Lane, row: int, width: int) -> int:
    for (x1, y1), (x2, y2) in pairwise(lane.points):
        if min(y1, y2) <= row <= max(y1, y2):
            x = x1 if y1 == y2 else x1 + (x2 - x1) * (row - y1) / (y2 - y1)
            return round(x) if 0 <= round(x) < width else _ABSENT
    return _ABSENT
