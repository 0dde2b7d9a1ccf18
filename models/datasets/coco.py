"""COCO detection: ``annotations/instances_SPLIT.json`` and the images. Source: cocodataset.org, "Data format".

The format is one JSON document whose annotations come in any order, so its boxes (not its masks) are held in memory.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias, cast

from models.datasets.layout import below, broken, existing, split_file, text_field
from models.records import Box, Boxes, Item

_Json: TypeAlias = dict[str, Any]


def read(root: Path, split: str | None = None) -> Iterator[tuple[Item, Boxes]]:
    """Every image with its boxes, those without any included.

    ``bbox`` (x, y, width, height) becomes corners clipped to the image. Crowds are left out, as are boxes that cover
    nothing of the image: the official annotations hold a few of zero width or height.

    Raises:
        InvalidDataset: a broken document, naming the entry.
        NotFound: no such split.
    """
    file, chosen = split_file(root / "annotations", "instances_", split, ".json")
    return _read(root, file, root / "images" if (root / "images").is_dir() else root / chosen)


def _read(root: Path, file: Path, folder: Path) -> Iterator[tuple[Item, Boxes]]:
    document = _document(file)
    images = _by_id(_entries(file, document, "images"))
    sizes = {image_id: _size(where, image) for image_id, (where, image) in images.items()}
    boxes = _boxes(file, document, sizes)
    for image_id, (where, image) in images.items():
        path = existing(where, folder / text_field(where, image, "file_name"))
        yield Item(below(root, path), str(path)), Boxes(*sizes[image_id], tuple(boxes.pop(image_id, ())))


def _document(file: Path) -> _Json:
    try:
        with file.open(encoding="utf-8") as text:
            document = json.load(text, object_hook=_without_mask)
    except json.JSONDecodeError as error:
        broken(f"{file}:{error.lineno}", "JSON", f"{error.msg} at column {error.colno}")
    except UnicodeDecodeError as error:
        broken(f"{file}:1", "UTF-8 text", error.object[error.start : error.start + 10])
    if not isinstance(document, dict):
        broken(f"{file}:1", "a JSON object", document)
    return document


def _without_mask(values: _Json) -> _Json:
    values.pop("segmentation", None)
    return values


def _entries(file: Path, document: _Json, key: str) -> Iterator[tuple[str, _Json]]:
    """The objects listed under ``key``, each behind its place in the file."""
    entries = document.get(key)
    if not isinstance(entries, list):
        broken(f"{file}:1", f"a list under {key!r}", entries)
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            broken(f"{file}:{key}[{index}]", "an object", entry)
        yield f"{file}:{key}[{index}]", entry


def _by_id(entries: Iterator[tuple[str, _Json]]) -> dict[int, tuple[str, _Json]]:
    found: dict[int, tuple[str, _Json]] = {}
    for where, entry in entries:
        identity = entry.get("id")
        if not isinstance(identity, int) or identity in found:
            broken(f"{where}.id", "a whole number that no other entry has", identity)
        found[identity] = (where, entry)
    return found


def _size(where: str, image: _Json) -> tuple[int, int]:
    size = (image.get("width"), image.get("height"))
    if not all(isinstance(side, int) and side >= 1 for side in size):
        broken(where, "width and height in whole pixels", size)
    return cast(tuple[int, int], size)


def _boxes(file: Path, document: _Json, sizes: dict[int, tuple[int, int]]) -> dict[int, list[Box]]:
    """The boxes of every image, by its id."""
    categories = _by_id(_entries(file, document, "categories"))
    names = {identity: text_field(where, category, "name") for identity, (where, category) in categories.items()}
    boxes: dict[int, list[Box]] = {}
    for where, annotation in _entries(file, document, "annotations"):
        image_id, category_id = annotation.get("image_id"), annotation.get("category_id")
        if image_id not in sizes:
            broken(f"{where}.image_id", "the id of an image", image_id)
        if category_id not in names:
            broken(f"{where}.category_id", "the id of a category", category_id)
        xyxy = _xyxy(f"{where}.bbox", annotation.get("bbox"), *sizes[image_id])
        if xyxy is not None and not annotation.get("iscrowd"):
            boxes.setdefault(image_id, []).append(Box(xyxy, names[category_id]))
    return boxes


def _xyxy(where: str, bbox: object, width: int, height: int) -> tuple[float, float, float, float] | None:
    """Corners clipped to the image, or None where nothing is left between them."""
    numbers = bbox if isinstance(bbox, list) else []
    if len(numbers) != 4 or not all(type(value) in (int, float) and math.isfinite(value) for value in numbers):
        broken(where, "4 numbers: x, y, width, height", bbox)
    x, y, w, h = map(float, numbers)
    if w < 0 or h < 0:
        broken(where, "width and height >= 0", bbox)
    x1, y1, x2, y2 = max(x, 0.0), max(y, 0.0), min(x + w, float(width)), min(y + h, float(height))
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None
