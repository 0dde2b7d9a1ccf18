"""Supervisely: ``DATASET/img/`` with a JSON file an image in ``DATASET/ann/``. Source: developer.supervisely.com,
"Supervisely annotation format", and ``geometry/rectangle.py`` and ``geometry/bitmap.py`` of its SDK.

The SDK writes whole pixels, of which the last belong to the object; the labelling tool writes edges, with decimals.
"""

import base64
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

from models.datasets.documents import list_of
from models.datasets.layout import (
    PICTURES,
    below,
    broken,
    chosen_split,
    clipped,
    existing,
    files_below,
    finite,
    outlined,
    text_field,
)
from models.media import drawn_box, image_size
from models.records import Box, Boxes, Item, Pixels

_Json: TypeAlias = dict[str, Any]
_Sides: TypeAlias = tuple[Pixels, Pixels, Pixels, Pixels]  # left, top, right, bottom

_LABELS, _IMAGES = "ann", "img"
_WITHIN = "datasets"  # the folder with the datasets within one
_OUTLINES, _MASK = ("rectangle", "polygon"), "bitmap"
_MOST = 1 << 26  # bytes of a mask when it is unpacked


def read(root: Path, split: str | None = None) -> Iterator[tuple[Item, Boxes]]:
    """Every image of a dataset of a project with its boxes, clipped to the image; SPLIT is the dataset, or ROOT itself.
    One within another is apart from it, and called ``OUTER/datasets/INNER``.

    A polygon and what is drawn in a bitmap stand for the boxes around them; figures of other kinds are left out.

    Raises:
        InvalidDataset: a broken file, naming the figure.
        NotFound: no such dataset.
        UnreadableMedia: an image whose header does not give its size, or a bitmap that is no whole PNG.
        TooLarge: a bitmap with more pixels than an image may have.
    """
    if split is None and (root / _LABELS).is_dir():
        return _read(root, root)
    splits = sorted(_datasets(root))
    return _read(root, root / chosen_split(root, splits, split, f"DATASET/{_LABELS}/*.json"))


def _datasets(folder: Path, above: str = "") -> Iterator[str]:
    for path in folder.glob("*"):
        if (path / _LABELS).is_dir():
            yield f"{above}{path.name}"
        yield from _datasets(path / _WITHIN, f"{above}{path.name}/{_WITHIN}/")


def _read(root: Path, folder: Path) -> Iterator[tuple[Item, Boxes]]:
    for image in files_below(folder / _IMAGES, PICTURES):
        width, height = image_size(image)
        figures = list_of(_labels_of(image, folder), "objects")
        boxes = (_box(where, figure, width, height) for where, figure in figures)
        yield Item(below(root, image), str(image)), Boxes(width, height, tuple(box for box in boxes if box))


def _labels_of(image: Path, folder: Path) -> Path:
    """The file named like the image, ``a.jpg.json``, or as it was first, ``a.json``."""
    labels = folder / _LABELS / image.relative_to(folder / _IMAGES)
    whole, first = labels.with_name(f"{labels.name}.json"), labels.with_suffix(".json")
    return existing(str(image), first if first.is_file() and not whole.is_file() else whole)


def _box(where: str, figure: _Json, width: int, height: int) -> Box | None:
    kind = text_field(where, figure, "geometryType")
    if kind != _MASK and kind not in _OUTLINES:
        return None
    category = text_field(where, figure, "classTitle").strip() or broken(f"{where}.classTitle", "a class", "")
    sides = _mask if kind == _MASK else _outline
    return clipped(*sides(where, figure), width, height, category)


def _outline(where: str, figure: _Json) -> _Sides:
    points, expected = figure.get("points"), "two points or more, [x, y], in points.exterior"
    if not isinstance(points, dict):
        broken(where, expected, points)
    exterior: Any = points.get("exterior")
    numbers = outlined(where, expected, exterior)
    last = 1 if all(type(number) is int for pair in exterior for number in pair) else 0
    xs, ys = numbers[::2], numbers[1::2]
    return min(xs), min(ys), max(xs) + last, max(ys) + last


def _mask(where: str, figure: _Json) -> _Sides:
    told = figure.get("bitmap")
    data, origin = (told.get("data"), told.get("origin")) if isinstance(told, dict) else (None, None)
    if not isinstance(origin, list) or len(origin) != 2:
        broken(where, "[x, y] in bitmap.origin", origin)
    x, y = finite(where, "[x, y] in bitmap.origin", origin, (int, float))
    try:
        png = zlib.decompressobj().decompress(base64.b64decode(str(data), validate=True), _MOST)
    except (ValueError, zlib.error):
        broken(where, "a packed PNG in bitmap.data", data)
    left, top, right, bottom = drawn_box(png, where) or (0, 0, 0, 0)
    return x + left, y + top, x + right, y + bottom
