"""CVAT's own XML of images, "CVAT for images 1.1", boxes and lines. Source: docs.cvat.ai, "XML annotation format".

One document holds all images of a task, or of a project, which it parts by ``subset``.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from xml.parsers import expat

from models.datasets.layout import below, broken, chosen_split, clipped, finite, picture
from models.errors import NotFound
from models.media import image_size
from models.records import Box, Boxes, Item, Lane, Lanes, Pixels

_Told: TypeAlias = dict[str, str]
_Sides: TypeAlias = tuple[Pixels, Pixels, Pixels, Pixels]  # left, top, right, bottom

_FILE, _IMAGES = "annotations.xml", "images"
_NO_SUBSET = "default"  # what CVAT calls it in other formats
_BOX, _OUTLINE, _ELLIPSE, _MASK, _LINE = _SHAPES = "box", "polygon", "ellipse", "mask", "polyline"
_CHUNK = 1 << 12  # bytes


def read_boxes(root: Path, split: str | None = None) -> Iterator[tuple[Item, Boxes]]:
    """Every image of ``annotations.xml``, or of a file of another name, with its boxes, clipped to the image.

    SPLIT is a subset of a project, or ``default``. A turned box, a polygon, an ellipse and a mask stand for the upright
    boxes around them; shapes of other kinds are left out. Images are in ``images/``, perhaps in a folder a subset, or
    beside the file.

    Raises:
        InvalidDataset: a broken document, naming file and line.
        NotFound: no such file or subset.
        UnreadableMedia: an image whose header does not give its size, where the document does not.
    """
    return (
        (item, Boxes(width, height, tuple(box for box in _boxes(image, width, height) if box)))
        for image, item, (width, height) in _read(root, split)
    )


def read_lanes(root: Path, split: str | None = None) -> Iterator[tuple[Item, Lanes]]:
    """The same images with their polylines, whatever they are labelled; points may lie outside the image.

    Raises:
        InvalidDataset, NotFound, UnreadableMedia: as ``read_boxes``.
    """
    return (
        (item, Lanes(*size, tuple(Lane(_points(shape)) for shape in image.shapes if shape.kind == _LINE)))
        for image, item, size in _read(root, split)
    )


@dataclass(frozen=True)
class _Shape:
    where: str
    kind: str
    told: _Told


@dataclass(frozen=True)
class _Image:
    where: str
    told: _Told
    shapes: list[_Shape] = field(default_factory=list)

    @property
    def subset(self) -> str:
        return self.told.get("subset") or _NO_SUBSET


def _read(root: Path, split: str | None) -> Iterator[tuple[_Image, Item, tuple[int, int]]]:
    file = root if root.is_file() else root / _FILE
    if not file.is_file():
        raise NotFound(f"{root}: expected {_FILE} in it, got none")
    subsets = sorted({image.subset for image in _images(file)})
    if not subsets:
        broken(f"{file}:1", "an <image>, as CVAT for images 1.1 has them", "none")
    chosen = chosen_split(file, subsets, split, "subset")
    return (
        (image, Item(below(file.parent, path), str(path)), _size(image, path))
        for image in _images(file)
        if image.subset == chosen
        for path in [_path(file.parent, image)]
    )


def _images(file: Path) -> Iterator[_Image]:
    """The images of a document with their shapes, each as soon as it has been read."""
    parser = expat.ParserCreate()
    begun, ended = list[_Image](), list[_Image]()

    def start(name: str, told: _Told) -> None:
        where = f"{file}:{parser.CurrentLineNumber}"
        if name == "image":
            begun.append(_Image(where, told))
        elif begun and name in _SHAPES:
            begun[-1].shapes.append(_Shape(where, name, told))

    def end(name: str) -> None:
        if name == "image":
            ended.append(begun.pop())

    parser.StartElementHandler, parser.EndElementHandler = start, end
    with file.open("rb") as xml:
        chunk = None
        while chunk != b"":
            chunk = xml.read(_CHUNK)
            try:
                parser.Parse(chunk, not chunk)
            except expat.ExpatError as error:
                broken(f"{file}:{error.lineno}", "XML", str(error))
            except (LookupError, ValueError) as error:  # its first line names an encoding that Python's parser has not
                broken(f"{file}:1", "XML in UTF-8, UTF-16 or an encoding of a byte a character", str(error))
            yield from ended
            ended.clear()


def _path(folder: Path, image: _Image) -> Path:
    """The picture; CVAT names frames of videos without a suffix."""
    name = image.told.get("name") or broken(image.where, "a name", image.told.get("name"))
    places = (folder / _IMAGES, folder / _IMAGES / image.subset, folder / image.subset, folder)
    return picture(image.where, "", *(place / name for place in places))


def _size(image: _Image, path: Path) -> tuple[int, int]:
    sides = [image.told.get(side) or "0" for side in ("width", "height")]
    width, height = finite(image.where, "width and height in whole pixels", sides)
    if not width or not height:
        return image_size(path)
    if min(width, height) < 1 or not width.is_integer() or not height.is_integer():
        broken(image.where, "width and height in whole pixels", sides)
    return int(width), int(height)


def _boxes(image: _Image, width: int, height: int) -> Iterator[Box | None]:
    for shape in image.shapes:
        if shape.kind != _LINE:
            sides = {_BOX: _upright, _OUTLINE: _around, _ELLIPSE: _ellipse, _MASK: _mask}[shape.kind](shape)
            category = shape.told.get("label", "").strip() or broken(shape.where, "a label", shape.told.get("label"))
            yield clipped(*sides, width, height, category)


def _upright(shape: _Shape) -> _Sides:
    """Around a box, which may be turned about its middle."""
    x1, y1, x2, y2 = _numbers(shape, "xtl", "ytl", "xbr", "ybr")
    if x1 > x2 or y1 > y2:
        broken(shape.where, "xtl <= xbr and ytl <= ybr", [x1, y1, x2, y2])
    across, along = _turn(shape)
    if not along:
        return x1, y1, x2, y2
    half_x = ((x2 - x1) * across + (y2 - y1) * along) / 2
    half_y = ((x2 - x1) * along + (y2 - y1) * across) / 2
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    return x - half_x, y - half_y, x + half_x, y + half_y


def _around(shape: _Shape) -> _Sides:
    xs, ys = zip(*_points(shape), strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _ellipse(shape: _Shape) -> _Sides:
    x, y, radius_x, radius_y = _numbers(shape, "cx", "cy", "rx", "ry")
    across, along = _turn(shape)
    half_x = math.hypot(radius_x * across, radius_y * along)
    half_y = math.hypot(radius_x * along, radius_y * across)
    return x - half_x, y - half_y, x + half_x, y + half_y


def _mask(shape: _Shape) -> _Sides:
    left, top, width, height = _numbers(shape, "left", "top", "width", "height")
    return left, top, left + width, top + height


def _numbers(shape: _Shape, *names: str) -> list[float]:
    return finite(shape.where, f"numbers in {', '.join(names)}", [shape.told.get(name, "") for name in names])


def _turn(shape: _Shape) -> tuple[float, float]:
    """Cosine and sine of the angle, told in degrees, without their signs."""
    (turn,) = finite(shape.where, "degrees in rotation", [shape.told.get("rotation", "0")])
    return abs(math.cos(math.radians(turn))), abs(math.sin(math.radians(turn)))


def _points(shape: _Shape) -> tuple[tuple[Pixels, Pixels], ...]:
    text = shape.told.get("points", "")
    pairs = [pair.split(",") for pair in text.split(";")]
    if len(pairs) < 2 or any(len(pair) != 2 for pair in pairs):
        broken(shape.where, "two points or more, x,y;x,y", text)
    numbers = finite(shape.where, "numbers in points", [number for pair in pairs for number in pair])
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))
