"""BDD100K, boxes and lanes: JSON lists of frames. Source: doc.bdd100k.com, "Label format" and "Data download".

The labels of 2020 are used where they are there, otherwise those of 2018, which hold boxes and lanes in one file of all
images, or as they came first in one of each: ``labels/100k/SPLIT/A.json``, by ``format.md`` of the toolkit then. A list
may stand under ``frames``, as Scalabel exports it.
"""

from collections.abc import Iterator
from operator import mul
from pathlib import Path
from typing import Any, TypeAlias

from models.datasets.documents import list_of
from models.datasets.layout import below, broken, chosen_split, clipped, existing, files_below, finite, text_field
from models.marks import Ignored
from models.media import image_size
from models.records import Box, Boxes, Item, Lane, Lanes, Pixels

_Json: TypeAlias = dict[str, Any]
_Frame: TypeAlias = tuple[str, Path, _Json]  # where, image, its entry

_BOXES_2020, _LANES_2020 = "labels/det_20/det_", "labels/lane/polygons/lane_"
_BOTH_2018, _EACH_2018 = "labels/bdd100k_labels_images_", "labels/100k/"
_NAMES = {"bike": "bicycle", "caravan": "car", "motor": "motorcycle", "person": "pedestrian", "van": "car"}
_UNCERTAIN = {"other person": "pedestrian", "other vehicle": "car", "trailer": "truck"}
_NO_LINES = ("crosswalk", "road curb")
_KIND_2018 = ("laneTypes", "laneType")  # attributes: the documented name, and one that is met
_DIRECTION = ("laneDirection", "direction")  # the latter in a file of one image
_STEPS = 8  # straight pieces that stand for one curve


def read_boxes(root: Path, split: str | None = None) -> Iterator[tuple[Item, Boxes]]:
    """The images of a split with their boxes, clipped to the image; crowds and what is uncertain are left out.

    The last pixel belongs to a box, and categories of 2018 have the names of 2020 ("person" is "pedestrian", "van" is
    "car"), as in the official evaluation. Source: ``bdd100k/configs/det.toml`` of its toolkit.

    Raises:
        InvalidDataset: a broken document, naming the entry.
        NotFound: no such split.
        UnreadableMedia: an image whose header does not give its size.
    """
    return ((item, label) for item, label, _ in read_marked_boxes(root, split))


def read_marked_boxes(root: Path, split: str | None = None) -> Iterator[tuple[Item, Boxes, Ignored]]:
    """The same, each image with its crowds: what is so marked, and what may be of a category or not, an "other vehicle"
    for a car, an "other person" for a pedestrian, a trailer for a truck. Source: ``scalabel/label/to_coco.py``."""
    return _boxes(root, _frames(root, _file(root, _BOXES_2020, split)))


def read_lanes(root: Path, split: str | None = None) -> Iterator[tuple[Item, Lanes]]:
    """The images of a split with the lane markings along the road, curves as short straight pieces.

    Crosswalks, curbs and markings across the road are left out. The corpus draws both edges of a broad marking: each
    is a lane here.

    Raises:
        InvalidDataset: a broken document, naming the entry.
        NotFound: no such split.
        UnreadableMedia: an image whose header does not give its size.
    """
    return _lanes(root, _frames(root, _file(root, _LANES_2020, split)))


def _file(root: Path, newest: str, split: str | None) -> Path:
    found = dict[str, Path]()
    for prefix in (_BOTH_2018, newest):  # the later of two wins
        for path in sorted(root.glob(f"{prefix}*.json")):
            found[str(path.relative_to(root)).removeprefix(prefix).removesuffix(".json")] = path
    found = found or {path.name: path for path in sorted((root / _EACH_2018).glob("*")) if path.is_dir()}
    return found[chosen_split(root, list(found), split, f"{newest}*.json, {_BOTH_2018}*.json or {_EACH_2018}*/")]


def _frames(root: Path, file: Path) -> Iterator[_Frame]:
    images = root / "images" / "100k" / (file.name if file.is_dir() else file.stem.rpartition("_")[2])
    for where, name, frame in _of_each(file) if file.is_dir() else _of_all(file):
        yield where, existing(where, images / name), frame


def _of_all(file: Path) -> Iterator[tuple[str, str, _Json]]:
    """(where, name of the image, frame) of a file of all images."""
    return ((where, text_field(where, frame, "name"), frame) for where, frame in list_of(file, "frames"))


def _of_each(folder: Path) -> Iterator[tuple[str, str, _Json]]:
    """The same of files of one image, whose only frame calls its labels objects."""
    for file in files_below(folder, (".json",)):
        frames = [*list_of(file, "frames")]
        if len(frames) != 1:
            broken(f"{file}:frames", "one frame", len(frames))
        where, frame = frames[0]
        yield where, f"{file.stem}.jpg", frame


def _labels(where: str, frame: _Json) -> Iterator[tuple[str, str, _Json]]:
    """(where, category, label) of a frame; a frame without any may say null, or nothing."""
    name = "objects" if "objects" in frame else "labels"
    labels = frame.get(name) or []
    if not isinstance(labels, list) or not all(isinstance(label, dict) for label in labels):
        broken(f"{where}.{name}", "a list of objects", labels)
    for index, label in enumerate(labels):
        category = text_field(f"{where}.{name}[{index}]", label, "category")
        yield f"{where}.{name}[{index}]", category.removeprefix("lane/"), label


def _boxes(root: Path, frames: Iterator[_Frame]) -> Iterator[tuple[Item, Boxes, Ignored]]:
    for where, image, frame in frames:
        width, height = image_size(image)
        found = [
            (
                _box(at, _UNCERTAIN.get(category) or _NAMES.get(category, category), label["box2d"], width, height),
                category in _UNCERTAIN or _is_crowd(at, label),
            )
            for at, category, label in _labels(where, frame)
            if label.get("box2d") is not None
        ]
        boxes, crowds = (tuple(box for box, is_crowd in found if box and is_crowd == crowd) for crowd in (False, True))
        yield Item(below(root, image), str(image)), Boxes(width, height, boxes), Ignored(crowds=crowds)


def _box(where: str, category: str, box: Any, width: int, height: int) -> Box | None:
    values = [box.get(key) for key in ("x1", "y1", "x2", "y2")] if isinstance(box, dict) else [box]
    x1, y1, x2, y2 = finite(f"{where}.box2d", "numbers in x1, y1, x2, y2", values, (int, float))
    if not category or x1 > x2 or y1 > y2:
        broken(where, "a category, x1 <= x2 and y1 <= y2", (category, x1, y1, x2, y2))
    return clipped(x1, y1, x2 + 1, y2 + 1, width, height, category)


def _lanes(root: Path, frames: Iterator[_Frame]) -> Iterator[tuple[Item, Lanes]]:
    for where, image, frame in frames:
        lanes = [
            lane
            for at, category, label in _labels(where, frame)
            if label.get("poly2d") is not None and _runs_along(category, label)
            for lane in _polylines(f"{at}.poly2d", label["poly2d"])
        ]
        yield Item(below(root, image), str(image)), Lanes(*image_size(image), tuple(lanes))


def _is_crowd(where: str, label: _Json) -> bool:
    marked = _attribute(label, "crowd")
    if marked not in (None, True, False):
        broken(f"{where}.attributes.crowd", "true or false", marked)
    return bool(marked)


def _attribute(label: _Json, name: str) -> Any:
    attributes = label.get("attributes")
    return attributes.get(name) if isinstance(attributes, dict) else None


def _runs_along(category: str, label: _Json) -> bool:
    """The category of 2020 says what a marking is; in 2018 all were a "lane", and an attribute said it."""
    kinds = (category, *(_attribute(label, name) for name in _KIND_2018))
    along = "parallel" in (_attribute(label, name) for name in _DIRECTION)
    return along and not any(kind in _NO_LINES for kind in kinds)


def _polylines(where: str, poly2d: Any) -> Iterator[Lane]:
    if isinstance(poly2d, list) and poly2d and all(isinstance(p, list) and len(p) == 3 for p in poly2d):
        poly2d = [{"vertices": [p[:2] for p in poly2d], "types": "".join(str(p[2]) for p in poly2d)}]  # [x, y, type]
    if not isinstance(poly2d, list) or not all(isinstance(poly, dict) for poly in poly2d):
        broken(where, "a list of objects with vertices and types", poly2d)
    for poly in poly2d:
        vertices, types = poly.get("vertices"), poly.get("types")
        if not isinstance(vertices, list) or not all(isinstance(v, list) and len(v) == 2 for v in vertices):
            broken(where, "vertices [x, y]", vertices)
        points = [tuple(finite(where, "vertices [x, y]", vertex, (int, float))) for vertex in vertices]
        if not isinstance(types, str) or len(types) != len(points) or set(types) - {"L", "C"}:
            broken(where, f"{len(points)} types, each L or C", types)
        if len(points) >= 2:
            yield Lane(tuple(_straightened(where, points, types)))


def _straightened(where: str, points: Any, types: str) -> Iterator[tuple[Pixels, Pixels]]:
    """The points of a path: a vertex L ends a straight line, three C are the controls and the end of a cubic curve."""
    yield points[0]
    at = 1
    while at < len(points):
        if types[at] == "L":
            yield points[at]
            at += 1
        elif types[at : at + 3] == "CCC":
            yield from _cubic(*points[at - 1 : at + 3])
            at += 3
        else:
            broken(where, "C in threes", types)


def _cubic(*controls: tuple[Pixels, Pixels]) -> Iterator[tuple[Pixels, Pixels]]:
    """Points along a Bézier curve of four controls, its start left out."""
    for step in range(1, _STEPS + 1):
        t = step / _STEPS
        weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
        x, y = (sum(map(mul, weights, along)) for along in zip(*controls, strict=True))
        yield x, y
