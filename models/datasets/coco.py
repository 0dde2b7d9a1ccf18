"""COCO detection: ``annotations/instances_SPLIT.json`` and the images. Source: cocodataset.org, "Data format".

Annotation tools call the document otherwise: Roboflow puts ``_annotations.coco.json`` beside the images of a split,
others write one file, with the images beside it, in ``images/`` or in ``data/``; a file may be named in any layout, and
must be where a folder holds several.

The format is one JSON document, of hundreds of megabytes, whose annotations come in any order: they wait on disk.
"""

import json
import os
import shutil
from collections.abc import Container, Iterable, Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TextIO, TypeAlias

from models.datasets.coco_masks import box_around
from models.datasets.documents import lists_of
from models.datasets.layout import (
    below,
    broken,
    chosen_split,
    clipped,
    existing,
    finite,
    split_file,
    splits_in,
    text_field,
)
from models.datasets.output import SPLIT, file_name, new_folder, place
from models.datasets.shelf import Shelf
from models.marks import Ignored
from models.media import image_size
from models.records import LARGEST, Box, Boxes, Item

_Json: TypeAlias = dict[str, Any]

_PREFIX, _ROBOFLOW = "instances_", "_annotations.coco.json"
_NOTHING = "empty"  # the category by which COCO Camera Traps says that an image shows nothing; there is no box then


def read(root: Path, split: str | None = None) -> Iterator[tuple[Item, Boxes]]:
    """Every image of a split, or of a file, with its boxes, those without any included.

    ``bbox`` (x, y, width, height) becomes corners clipped to the image. Crowds are left out, as are boxes that cover
    nothing of the image: the official annotations hold a few of zero width or height. Where ``bbox`` is empty or
    missing, it is the box around the polygons or the mask of ``segmentation``; without those, the category must be
    ``empty``, and there is none. Where the size of an image is 0 or missing it is the picture's own.

    Raises:
        InvalidDataset: a broken document, naming the entry.
        NotFound: no such split.
        UnreadableMedia: an image whose header does not give its size, where that is asked.
    """
    return ((item, label) for item, label, _ in read_marked(root, split))


def read_marked(root: Path, split: str | None = None) -> Iterator[tuple[Item, Boxes, Ignored]]:
    """The same, each image with its crowds."""
    if root.is_file():
        above, split = root.parent, chosen_split(root, [root.stem.removeprefix(_PREFIX)], split, root.name)
        above = above.parent if above.name == "annotations" else above
        return _read(above, root, _places(above, "", "images", "data", split, f"images/{split}"))
    if roboflow := sorted(path.parent.name for path in root.glob(f"*/{_ROBOFLOW}")):
        chosen = chosen_split(root, roboflow, split, f"SPLIT/{_ROBOFLOW}")
        return _read(root, root / chosen / _ROBOFLOW, [root / chosen])
    if not (root / "annotations").is_dir():
        return read_marked(split_file(root, "", split, ".json")[0])
    prefix = _PREFIX if splits_in(root / "annotations", _PREFIX, ".json") else ""
    file, chosen = split_file(root / "annotations", prefix, split, ".json")
    return _read(root, file, _places(root, "images", f"images/{chosen}", chosen, "data", ""))


def _places(root: Path, *names: str) -> list[Path]:
    """Where images may be; the first of two that are called the same counts."""
    return [folder for folder in (root / name for name in names) if folder.is_dir()]


def _read(root: Path, file: Path, folders: list[Path]) -> Iterator[tuple[Item, Boxes, Ignored]]:
    document = _Document(file)
    for where, image in document.images():
        name = text_field(where, image, "file_name")
        places = [folder / called for called in (name, name.replace("\\", "/")) for folder in folders]  # Windows' too
        path = existing(where, next(filter(os.path.isfile, places), places[0]))
        width, height = _size(where, image) or image_size(path)
        found = [*document.boxes(image["id"], width, height)]
        boxes, crowds = (tuple(box for box, is_crowd in found if is_crowd == crowd) for crowd in (False, True))
        yield Item(below(root, path), str(path)), Boxes(width, height, boxes), Ignored(crowds=crowds)


class _Document:
    """The entries of one file: its categories in memory, its images and annotations on disk."""

    def __init__(self, file: Path) -> None:
        self._images, self._annotations = Shelf(), Shelf()
        self._categories: dict[str, str] = {}
        for name, where, entry in lists_of(file, "images", "annotations", "categories"):
            if name == "annotations":
                self._annotations.add(_key(entry.get("image_id")), (where, _needed(where, entry)))
            elif name == "images":
                self._images.add(_key(_identity(where, entry, self._images)), (where, entry))
            else:
                identity = _key(_identity(where, entry, self._categories))
                self._categories[identity] = text_field(where, entry, "name") or broken(f"{where}.name", "a name", "")
        for image_id, (where, _) in self._annotations.in_order():
            if image_id not in self._images:
                broken(f"{where}.image_id", "the id of an image", json.loads(image_id))

    def images(self) -> Iterator[tuple[str, _Json]]:
        for _, (where, image) in self._images.as_added():
            yield where, image

    def boxes(self, image_id: int | str, width: int, height: int) -> Iterator[tuple[Box, bool]]:
        """Each box of an image, and whether it is a crowd."""
        for where, annotation in self._annotations.values(_key(image_id)):
            category_id = _key(annotation["category_id"])
            if category_id not in self._categories:
                broken(f"{where}.category_id", "the id of a category", annotation["category_id"])
            category = self._categories[category_id]
            if annotation["bbox"] in (None, []) and not annotation["outlined"] and category == _NOTHING:
                continue
            x, y, w, h = _bbox(where, annotation)
            box = clipped(x, y, x + w, y + h, width, height, category)
            if annotation["iscrowd"] not in (0, 1, None):
                broken(f"{where}.iscrowd", "0 or 1", annotation["iscrowd"])
            if box is not None:
                yield box, bool(annotation["iscrowd"])


def _needed(where: str, annotation: _Json) -> _Json:
    needed = {key: annotation.get(key) for key in ("id", "category_id", "bbox", "iscrowd")}
    outlines = annotation.get("segmentation")
    if needed["bbox"] in (None, []) and outlines and isinstance(outlines, list):
        needed["bbox"] = _around(f"{where}.segmentation", outlines)
    if needed["bbox"] in (None, []) and outlines and isinstance(outlines, dict):
        needed["bbox"] = box_around(f"{where}.segmentation", outlines)
    return {**needed, "outlined": bool(outlines)}


def _around(where: str, outlines: list[Any]) -> list[float]:
    """x, y, width and height of the box around polygons; some tools write the only one without a list around it."""
    polygons = outlines if isinstance(outlines[0], list) else [outlines]
    expected = "polygons of 3 points or more: x, y, x, y, .."
    if not all(isinstance(points, list) and len(points) >= 6 and len(points) % 2 == 0 for points in polygons):
        broken(where, expected, outlines)
    numbers = finite(where, expected, [number for points in polygons for number in points], (int, float))
    xs, ys = numbers[::2], numbers[1::2]
    return [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]


def _key(identity: object) -> str:
    return json.dumps(_whole(identity))


def _whole(value: Any) -> Any:
    """A whole number as such where a table of floats wrote 7.0."""
    return int(value) if type(value) is float and value.is_integer() else value


def _identity(where: str, entry: _Json, known: Container[str]) -> int | str:
    """A whole number or, as camera traps have them, text."""
    identity = _whole(entry.get("id"))
    if not isinstance(identity, int | str) or isinstance(identity, bool) or _key(identity) in known:
        broken(f"{where}.id", "a whole number or text that no other entry has", identity)
    return identity


def _size(where: str, image: _Json) -> tuple[int, int] | None:
    """Width and height in pixels, if somebody looked: tools write 0 or nothing, for one of them, too."""
    width, height = _whole(image.get("width")), _whole(image.get("height"))
    if not width or not height:
        return None
    if type(width) is not int or type(height) is not int or min(width, height) < 1 or max(width, height) > LARGEST:
        broken(where, "width and height in whole pixels", (width, height))
    return width, height


def _bbox(where: str, annotation: _Json) -> list[float]:
    where, bbox, expected = f"{where}.bbox", annotation["bbox"], "4 numbers: x, y, width, height"
    if bbox in (None, []):
        expected += f", or a segmentation of annotation {annotation['id']!r}"
    numbers = finite(where, expected, bbox if isinstance(bbox, list) else [bbox], (int, float))
    if len(numbers) != 4:
        broken(where, expected, bbox)
    if min(numbers[2:]) < 0:
        broken(where, "width and height >= 0", bbox)
    return numbers


def write(root: Path, pairs: Iterable[tuple[Item, Boxes]]) -> None:
    """Writes ``annotations/instances_train.json`` and ``images/``; categories are numbered as they come.

    Raises:
        InvalidInput, NotFound: as ``new_folder`` and ``place``.
    """
    with new_folder(root) as out, TemporaryFile("w+", encoding="utf-8") as annotations:
        (out / "annotations").mkdir()
        with (out / "annotations" / f"{_PREFIX}{SPLIT}.json").open("w", encoding="utf-8") as document:
            document.write('{"info": {}, "licenses": [],\n"images": [')  # some pycocotools (2.0.10) insist on the first
            categories = _write_images(out / "images", pairs, document, annotations)
            document.write('],\n"annotations": [')
            annotations.seek(0)
            shutil.copyfileobj(annotations, document)
            table = [{"id": identity, "name": name} for name, identity in categories.items()]
            document.write(f'],\n"categories": {json.dumps(table)}}}\n')


def _write_images(
    folder: Path, pairs: Iterable[tuple[Item, Boxes]], images: TextIO, annotations: TextIO
) -> dict[str, int]:
    """Writes the entries of both lists and returns the number of each category."""
    categories: dict[str, int] = {}
    drawn = count(1)
    for image_id, (item, label) in enumerate(pairs, 1):
        path = place(item, folder, file_name(item))
        _append(images, {"id": image_id, "file_name": path.name, "width": label.width, "height": label.height})
        for box in label.boxes:
            x1, y1, x2, y2 = box.xyxy
            category_id = categories.setdefault(box.category, len(categories) + 1)
            what = {"id": next(drawn), "image_id": image_id, "category_id": category_id, "iscrowd": 0}
            _append(annotations, what | {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)})
    return categories


def _append(entries: TextIO, entry: _Json) -> None:
    entries.write(("\n" if entry["id"] == 1 else ",\n") + json.dumps(entry))
