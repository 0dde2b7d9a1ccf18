"""LabelMe: a JSON file an image, beside it or in a folder of its own. Source: labelme 6.3, ``_label_file.py`` and
``utils/shape.py``."""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any, TypeAlias

from models.datasets.layout import (
    below,
    broken,
    chosen_split,
    clipped,
    files_below,
    json_object,
    names_below,
    outlined,
    picture,
    text_field,
)
from models.media import image_size
from models.records import Box, Boxes, Item, Pixels

_Json: TypeAlias = dict[str, Any]

_ROOT = "."  # the split of what lies in ROOT itself
_OUTLINES, _CIRCLE, _MASK = ("polygon", "rectangle", "oriented_rectangle"), "circle", "mask"


def read(root: Path, split: str | None = None) -> Iterator[tuple[Item, Boxes]]:
    """Every image that has a file, with its boxes, clipped to the image; SPLIT is a folder of ROOT with files at any
    depth, or ``.`` for those in ROOT itself. An image without a file is not labelled, and left out.

    A polygon, a turned rectangle, a circle and a mask stand for the upright boxes around them; shapes of other kinds
    are left out. The image is where ``imagePath`` says, or beside the file, called as it is.

    Raises:
        InvalidDataset: a broken file, naming the shape, or an image of another size than the file's.
        NotFound: no such split.
        UnreadableMedia: an image whose header does not give its size.
    """
    names = (name for name in (names_below(root) if root.is_dir() else ()) if name.endswith(".json"))
    splits = {name.partition("/")[0] if "/" in name else _ROOT for name in names}
    chosen = chosen_split(root, sorted(splits), split, "IMAGE.json or SPLIT/IMAGE.json")
    files = files_below(root / chosen, (".json",))
    return _read(root, (file for file in files if chosen != _ROOT or file.parent == root))


def _read(root: Path, files: Iterator[Path]) -> Iterator[tuple[Item, Boxes]]:
    for file in files:
        document = json_object(file)
        image = _image(file, document)
        width, height = image_size(image)
        told = [document.get("imageWidth") or width, document.get("imageHeight") or height]
        if told != [width, height]:
            broken(f"{file}:1", f"the size of the image, {width} x {height}", told)
        shapes = document.get("shapes")
        if not isinstance(shapes, list) or not all(isinstance(shape, dict) for shape in shapes):
            broken(f"{file}:1", "a list of objects under 'shapes'", shapes)
        boxes = (_box(f"{file}:shapes[{index}]", shape, width, height) for index, shape in enumerate(shapes))
        yield Item(below(root, image), str(image)), Boxes(width, height, tuple(box for box in boxes if box))


def _image(file: Path, document: _Json) -> Path:
    name = text_field(f"{file}:1", document, "imagePath").replace("\\", "/")  # as Windows has it
    places = (file.parent / name, file.parent / PurePath(name).name)
    found = next(filter(os.path.isfile, places), None)
    return found.absolute() if found else picture(str(file), PurePath(name).suffix, file.with_suffix(""))


def _box(where: str, shape: _Json, width: int, height: int) -> Box | None:
    kind = shape.get("shape_type") or _OUTLINES[0]  # which early versions did not tell
    if kind not in (*_OUTLINES, _CIRCLE, _MASK):
        return None
    category = text_field(where, shape, "label").strip() or broken(f"{where}.label", "a label", "")
    (xs, ys), last = _points(f"{where}.points", shape), 1 if kind == _MASK else 0  # whose last pixels belong to it
    if kind == _CIRCLE:  # its middle, and a point on it
        radius = math.dist((xs[0], ys[0]), (xs[1], ys[1]))
        xs, ys = [xs[0] - radius, xs[0] + radius], [ys[0] - radius, ys[0] + radius]
    return clipped(min(xs), min(ys), max(xs) + last, max(ys) + last, width, height, category)


def _points(where: str, shape: _Json) -> tuple[list[Pixels], list[Pixels]]:
    """The columns and the rows of the points."""
    numbers = outlined(where, "two points or more, [x, y]", shape.get("points"))
    return numbers[::2], numbers[1::2]
