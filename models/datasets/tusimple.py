"""TuSimple lanes: one JSON object a line. Source: github.com/TuSimple/tusimple-benchmark, lane_detection/readme.md."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from models.datasets.layout import below, broken, json_lines, split_file, text_field
from models.media import image_size
from models.records import Item, Lane, Lanes

_FRAME_SIZE = (1280, 720)  # pixels, of every frame of the benchmark


def read(root: Path, split: str | None = None) -> Iterator[tuple[Item, Lanes]]:
    """Every labelled frame of a file, or of ``label_data_SPLIT.json`` in a folder.

    Each lane gives an x for every row of ``h_samples``, negative where it is not there; lanes seen on fewer than two
    rows are left out. The images may be missing (labels alone are worth having): the size is then the benchmark's,
    1280 x 720. The group is the clip, the folder of the frame.

    Raises:
        InvalidDataset: a broken line, naming file and line.
        NotFound: no such split.
    """
    if root.is_file():
        return _read(root.parent, root)
    file, _ = split_file(root, "label_data_", split, ".json")
    return _read(root, file)


def _read(root: Path, file: Path) -> Iterator[tuple[Item, Lanes]]:
    for where, values in json_lines(file):
        image = (root / text_field(where, values, "raw_file")).absolute()
        rows = _whole_numbers(where, "h_samples", values.get("h_samples"))
        lanes = values.get("lanes")
        if not isinstance(lanes, list):
            broken(where, "a list under 'lanes'", lanes)
        found = [_lane(f"{where}: lanes[{index}]", columns, rows) for index, columns in enumerate(lanes)]
        size = image_size(image) if image.is_file() else _FRAME_SIZE
        item = Item(below(root, image), str(image), below(root, image.parent))
        yield item, Lanes(*size, tuple(lane for lane in found if lane is not None))


def _lane(where: str, columns: Any, rows: list[int]) -> Lane | None:
    xs = _whole_numbers(where, "lane", columns)
    if len(xs) != len(rows):
        broken(where, f"{len(rows)} columns, one for each of h_samples", len(xs))
    points = tuple((float(x), float(y)) for x, y in zip(xs, rows, strict=True) if x >= 0)
    return Lane(points) if len(points) >= 2 else None


def _whole_numbers(where: str, name: str, values: Any) -> list[int]:
    if not isinstance(values, list) or not all(type(value) is int for value in values):
        broken(where, f"whole numbers in {name}", values)
    return values
