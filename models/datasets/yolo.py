"""YOLO detection: ``data.yaml``, and one text file an image. Source: docs.ultralytics.com, "Object detection datasets".

A line is ``class x y width height``: the class counted from 0, the centre and the size as shares of the image. An
outline ``class x y x y x y ..``, as COCO comes for Ultralytics, stands for the box around it; the points of a pose,
which ``kpt_shape`` counts, stand behind the box and are left out.

supervision names no split in ``data.yaml``. Annotation tools write other files where it stands: FiftyOne
``dataset.yaml``, or ``obj.names`` alone, CVAT ``obj.data`` and ``obj.names`` as darknet has them, Label Studio
``classes.txt`` beside one folder of images, LabelImg among them or among the labels, as Roboflow ``_darknet.labels``
among the images.
"""

import math
import os
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from models.datasets.layout import (
    PICTURES,
    below,
    broken,
    chosen_split,
    clipped,
    existing,
    files_below,
    finite,
    numbered_lines,
    require_labels,
)
from models.datasets.output import SPLIT, file_name, new_folder, number, place
from models.errors import NotFound
from models.media import image_size
from models.records import Box, Boxes, Item

_SPLITS = ("train", "val", "test")
_LISTS = (("train", "train"), ("val", "valid"), ("val", "val"), ("test", "test"))
_YAML, _DARKNET, _NAMES = "data.yaml", "obj.data", "obj.names"
_CLASSES = ("classes.txt", "_darknet.labels", _NAMES)
_FILES = (_YAML, "dataset.yaml", _DARKNET, *_CLASSES, "labels/classes.txt")
_MOST_ALIASES = 9  # of YAML; they make no more than 27 of one list
_SLACK = 0.01  # of the image, by which Ultralytics lets numbers reach beyond it


def read(root: Path, split: str | None = None) -> Iterator[tuple[Item, Boxes]]:
    """Every image of a split of ``data.yaml``, in a folder of images or a text file that lists them. Where it names no
    split, or a file of classes stands in its place, a split is the folder of images of that name, and beside
    ``obj.names`` the list ``train.txt``, ``valid.txt``, ``val.txt`` or ``test.txt``.

    ROOT may be that file, of any name. The labels of ``images/../a.jpg`` are in ``labels/../a.txt``, or beside it;
    without that file the image shows nothing, unless no image has one. Boxes are clipped to the image; those that cover
    nothing of it, as after rounding, are left out.

    Raises:
        InvalidDataset: a broken ``data.yaml``, list or label file, naming file and line.
        NotFound: no ``data.yaml`` or file in its place, or no such split in it.
        UnreadableMedia: an image whose header does not give its size.
    """
    file = root if root.is_file() else next((root / name for name in _FILES if (root / name).is_file()), None)
    if file is None:
        raise NotFound(f"{root}: expected one of {', '.join(_FILES)} in it, got none")
    values = _told(file)
    if not any(values.get(name) for name in _SPLITS):
        values |= _lists(file) or _folders(file, split)
    splits = [name for name in _SPLITS if values.get(name)]
    if split is None and all(values[name] == values[splits[0]] for name in splits):
        splits = splits[:1]  # the same images under each name
    chosen = chosen_split(file, splits, split, "train, val or test")
    folder = _folder(file)
    above = folder / str(values.get("path") or "")
    if not os.path.isdir(above):  # where the data lay on the machine that wrote the file
        above = folder
    sources = values[chosen] if isinstance(values[chosen], list) else [values[chosen]]
    images = partial(_images, file, [_source(above, str(name)) for name in sources])
    return _read(folder, file, _names(file, values.get("names")), images, _pose(file, values.get("kpt_shape")))


def _told(file: Path) -> dict[str, Any]:
    if file.name in _CLASSES:
        return {"names": _lines(file)}
    return _darknet(file) if file.name == _DARKNET else _values(file)


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Takes few aliases: lists that name other lists, and these others again, are a few lines and fill any memory."""

    aliases = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            self.aliases += 1
            if self.aliases > _MOST_ALIASES:
                told = f"more than {_MOST_ALIASES} aliases"
                raise yaml.composer.ComposerError(None, None, told, self.peek_event().start_mark)
        return super().compose_node(parent, index)


def _values(file: Path) -> dict[str, Any]:
    try:
        values = yaml.load(file.read_bytes(), _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        broken(f"{file}:{mark.line + 1 if mark else 1}", "YAML", getattr(error, "problem", None) or str(error))
    except (ValueError, RecursionError) as error:  # a day that no month has; lists in lists without end
        broken(f"{file}:1", "YAML", str(error))
    if not isinstance(values, dict):
        broken(f"{file}:1", "names and paths", values)
    return values


def _darknet(file: Path) -> dict[str, Any]:
    """The same of lines ``train = data/train.txt``; ``names`` is a file with a class a line."""
    told = {}
    for where, line in numbered_lines(file):
        key, equals, value = line.partition("=")
        if not equals:
            broken(where, "NAME = VALUE", line)
        told["val" if key.strip() == "valid" else key.strip()] = value.strip()
    names = existing(f"{file}:1", _source(file.parent, told.get("names", "obj.names")))
    return {**told, "names": _lines(names), "path": None}


def _lists(file: Path) -> dict[str, Any]:
    """Lists of images that lie beside darknet's names."""
    names = {name: f"{called}.txt" for name, called in _LISTS if (file.parent / f"{called}.txt").is_file()}
    return names if file.name == _NAMES else {}


def _folders(file: Path, split: str | None) -> dict[str, Any]:
    """All images there are or, of folders of it that are called as splits, the one that is asked for."""
    images = "images" if (_folder(file) / "images").is_dir() else "."
    parts = {name: f"{images}/{name}" for name in _SPLITS if split and (_folder(file) / images / name).is_dir()}
    return parts or {_SPLITS[0]: images}


def _folder(file: Path) -> Path:
    """In which the images lie, one up from classes that stand among the labels."""
    is_apart = file.name in _CLASSES and file.parent.name == "labels" and (file.parent.parent / "images").is_dir()
    return file.parent.parent if is_apart else file.parent


def _lines(file: Path) -> list[str]:
    try:
        return [line.strip() for line in file.read_text(encoding="utf-8-sig").rstrip().splitlines()]
    except UnicodeDecodeError as error:
        broken(f"{file}:1", "UTF-8 text", error.object[error.start : error.start + 10])


def _source(above: Path, name: str) -> Path:
    """The path that a file names; Roboflow writes one step too many up, which Ultralytics forgives too, and CVAT the
    folder ``data`` in which its files are meant to lie."""
    path, less = above / name, name.removeprefix("../").removeprefix("data/")
    return path if os.path.exists(path) or less == name else above / less


def _names(file: Path, names: object) -> dict[int, str]:
    """The categories by number: YAML gives them as a list, or by number already, which may be text."""
    numbered = dict(enumerate(names)) if isinstance(names, list) else names
    if isinstance(numbered, dict):
        numbered = {int(key) if re.fullmatch("[0-9]{1,9}", str(key)) else key: name for key, name in numbered.items()}
    if not isinstance(numbered, dict) or not all(type(key) is int for key in numbered):
        broken(f"{file}:1", "a list under 'names', or names by their number", names)
    if nameless := [key for key, name in numbered.items() if name in (None, "")]:
        broken(f"{file}:1", "a name for each class", f"none for {nameless[0]}")
    return {key: str(name) for key, name in numbered.items()}


def _images(file: Path, sources: list[Path]) -> Iterator[Path]:
    for source in sources:
        if os.path.isdir(source):
            yield from files_below(source, PICTURES)
        elif os.path.isfile(source):
            for where, line in numbered_lines(source):
                yield existing(where, _source(source.parent, line.strip()))
        else:
            broken(f"{file}:1", "a folder of images or a list of them", str(source))


def _pose(file: Path, shape: object) -> int:
    """How many numbers stand behind each box: so many points of a pose, of so many numbers each."""
    if shape is None:
        return 0
    if not isinstance(shape, list) or len(shape) != 2 or not all(type(side) is int and side > 0 for side in shape):
        broken(f"{file}:1", "two whole numbers under 'kpt_shape'", shape)
    return int(math.prod(shape))


def _read(
    root: Path, file: Path, names: dict[int, str], images: Callable[[], Iterator[Path]], behind: int
) -> Iterator[tuple[Item, Boxes]]:
    require_labels(str(file), "labels/../*.txt", map(_labels_of, images()))
    for image in images():
        width, height = image_size(image)
        lines = numbered_lines(labels) if (labels := _labels_of(image)).is_file() else ()
        boxes = (_box(where, line, names, width, height, behind) for where, line in lines)
        yield Item(below(root, image), str(image)), Boxes(width, height, tuple(box for box in boxes if box))


def _labels_of(image: Path) -> Path:
    """The label file of an image: the last folder called ``images`` in its path becomes ``labels``, or it is beside."""
    beside = image.absolute().with_suffix(".txt")
    before, found, after = str(beside).rpartition("/images/")
    apart = Path(f"{before}/labels/{after}")
    return apart if found and apart.is_file() else beside


def _box(where: str, line: str, names: dict[int, str], width: int, height: int, behind: int) -> Box | None:
    columns = line.split()
    if behind and len(columns) == 5 + behind:
        columns = columns[:5]
    is_outline = not behind and len(columns) >= 7 and len(columns) % 2 == 1
    if len(columns) != 5 and not is_outline:
        broken(where, "5 columns: class x y width height", line)
    category = names.get(int(float(columns[0]))) if re.fullmatch(r"[0-9]{1,9}(\.0*)?", columns[0]) else None
    if category is None:
        broken(where, f"a class that has a name, one of {', '.join(map(str, names))}", columns[0])
    shares = finite(where, "numbers: class x y width height", columns[1:])
    if not all(-_SLACK <= share <= 1 + _SLACK for share in shares):
        broken(where, "shares of the image, from 0 to 1", line)
    if is_outline:
        xs, ys = shares[::2], shares[1::2]
        left, top, right, bottom = min(xs), min(ys), max(xs), max(ys)
    else:
        x, y, w, h = shares
        if w < 0 or h < 0:
            broken(where, "shares of the image, from 0 to 1", line)
        left, top, right, bottom = x - w / 2, y - h / 2, x + w / 2, y + h / 2
    return clipped(left * width, top * height, right * width, bottom * height, width, height, category)


def write(root: Path, pairs: Iterable[tuple[Item, Boxes]]) -> None:
    """Writes ``images/train/``, ``labels/train/`` and, last, ``data.yaml``; classes are numbered as they come.

    Ultralytics refuses a ``data.yaml`` without ``val``, so that names the same images.

    Raises:
        InvalidInput, NotFound: as ``new_folder`` and ``place``.
    """
    classes: dict[str, int] = {}
    with new_folder(root) as out:
        (out / "labels" / SPLIT).mkdir(parents=True)
        for item, label in pairs:
            name = file_name(item)
            place(item, out / "images" / SPLIT, name)
            with (out / "labels" / SPLIT / f"{name}.txt").open("x", encoding="utf-8") as file:
                for box in label.boxes:
                    file.write(f"{classes.setdefault(box.category, len(classes))} {_shares(box, label)}\n")
        names = {index: name for name, index in classes.items()}
        values = {SPLIT: f"images/{SPLIT}", "val": f"images/{SPLIT}", "names": names}
        (out / _YAML).write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _shares(box: Box, label: Boxes) -> str:
    x1, y1, x2, y2 = box.xyxy
    x, y = (x1 + x2) / 2 / label.width, (y1 + y2) / 2 / label.height
    return " ".join(map(number, (x, y, (x2 - x1) / label.width, (y2 - y1) / label.height)))
