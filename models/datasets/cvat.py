"""CVAT's own XML, for images 1.1 and for video 1.1, boxes and lines. Source: docs.cvat.ai, "XML annotation format".

One document holds all images of a task, or of a project, which it parts by ``subset``, or the tracks of a video.
Datumaro writes one a split, ``SPLIT.xml``, FiftyOne ``labels.xml`` and the images below ``data/``.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from models.datasets import cvat_video
from models.datasets.cvat_xml import BOX, ELLIPSE, LINE, MASK, NO_SUBSET, OUTLINE, Image, Shape, images, tracked
from models.datasets.layout import below, broken, chosen_split, clipped, finite, picture, split_file, splits_in
from models.errors import NotFound
from models.media import image_size
from models.records import Box, Boxes, Item, Lane, Lanes, Pixels

_Sides: TypeAlias = tuple[Pixels, Pixels, Pixels, Pixels]  # left, top, right, bottom

_FILE, _IMAGES = "annotations.xml", "images"


def read_boxes(root: Path, split: str | None = None) -> Iterator[tuple[Item, Boxes]]:
    """Every image of ``annotations.xml``, or of a file of another name, with its boxes, clipped to the image.

    SPLIT is a subset of a project, or ``default``, or the file ``SPLIT.xml``. A turned box, a polygon, an ellipse and a
    mask stand for the upright boxes around them; shapes of other kinds are left out. Images are in ``images/``, perhaps
    in a folder a subset, or beside the file. Of a video they are called ``frame_000000.png`` and so on, all of them are
    read, and the group is its folder; each shape of a track is read where it stands, in every frame, as CVAT writes
    them.

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
        (item, Lanes(*size, tuple(Lane(_points(shape)) for shape in image.shapes if shape.kind == LINE)))
        for image, item, size in _read(root, split)
    )


def _read(root: Path, split: str | None) -> Iterator[tuple[Image, Item, tuple[int, int]]]:
    file, split = _file(root, split)
    subsets = sorted({image.subset for image in images(file)})
    if not subsets and (first := next(tracked(file), None)):
        chosen_split(file, [first[0].get("subset") or NO_SUBSET], split, "subset")
        return cvat_video.frames(file, file.parent / _IMAGES)
    if not subsets:
        broken(f"{file}:1", "an <image> or a <track>, as CVAT for images 1.1 or video 1.1 has them", "none")
    chosen = chosen_split(file, subsets, split, "subset")
    return (
        (image, Item(below(file.parent, path), str(path)), _size(image, path))
        for image in images(file)
        if image.subset == chosen
        for path in [_path(file.parent, image)]
    )


def _file(root: Path, split: str | None) -> tuple[Path, str | None]:
    """The document, and which of its subsets is asked for."""
    file = root if root.is_file() else root / _FILE
    if file.is_file():
        return file, split
    others = splits_in(root, "", ".xml")
    if not others:
        raise NotFound(f"{root}: expected {_FILE} or SPLIT.xml in it, got none")
    if len(others) == 1 and split not in others:
        return root / f"{others[0]}.xml", split
    return split_file(root, "", split, ".xml")[0], None


def _path(folder: Path, image: Image) -> Path:
    """The picture; CVAT names frames of videos without a suffix."""
    name = image.told.get("name") or broken(image.where, "a name", image.told.get("name"))
    places = (folder / _IMAGES, folder / _IMAGES / image.subset, folder / image.subset, folder, folder / "data")
    return picture(image.where, "", *(place / name for place in places))


def _size(image: Image, path: Path) -> tuple[int, int]:
    sides = [image.told.get(side) or "0" for side in ("width", "height")]
    width, height = finite(image.where, "width and height in whole pixels", sides)
    if not width or not height:
        return image_size(path)
    if min(width, height) < 1 or not width.is_integer() or not height.is_integer():
        broken(image.where, "width and height in whole pixels", sides)
    return int(width), int(height)


def _boxes(image: Image, width: int, height: int) -> Iterator[Box | None]:
    for shape in image.shapes:
        if shape.kind != LINE:
            sides = {BOX: _upright, OUTLINE: _around, ELLIPSE: _ellipse, MASK: _mask}[shape.kind](shape)
            category = shape.told.get("label", "").strip() or broken(shape.where, "a label", shape.told.get("label"))
            yield clipped(*sides, width, height, category)


def _upright(shape: Shape) -> _Sides:
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


def _around(shape: Shape) -> _Sides:
    xs, ys = zip(*_points(shape), strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _ellipse(shape: Shape) -> _Sides:
    x, y, radius_x, radius_y = _numbers(shape, "cx", "cy", "rx", "ry")
    across, along = _turn(shape)
    half_x = math.hypot(radius_x * across, radius_y * along)
    half_y = math.hypot(radius_x * along, radius_y * across)
    return x - half_x, y - half_y, x + half_x, y + half_y


def _mask(shape: Shape) -> _Sides:
    left, top, width, height = _numbers(shape, "left", "top", "width", "height")
    return left, top, left + width, top + height


def _numbers(shape: Shape, *names: str) -> list[float]:
    return finite(shape.where, f"numbers in {', '.join(names)}", [shape.told.get(name, "") for name in names])


def _turn(shape: Shape) -> tuple[float, float]:
    """Cosine and sine of the angle, told in degrees, without their signs."""
    (turn,) = finite(shape.where, "degrees in rotation", [shape.told.get("rotation", "0")])
    return abs(math.cos(math.radians(turn))), abs(math.sin(math.radians(turn)))


def _points(shape: Shape) -> tuple[tuple[Pixels, Pixels], ...]:
    text = shape.told.get("points", "")
    pairs = [pair.split(",") for pair in text.split(";")]
    if len(pairs) < 2 or any(len(pair) != 2 for pair in pairs):
        broken(shape.where, "two points or more, x,y;x,y", text)
    numbers = finite(shape.where, "numbers in points", [number for pair in pairs for number in pair])
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))
