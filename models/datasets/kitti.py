"""KITTI object detection: one text file an image. Source: the object development kit, readme.txt.

A line has 15 columns, and of results a score behind them, of which the first is the category, the second and third say
how far the object is truncated and occluded, and the fifth to eighth are the box, in pixels from 0.

FiftyOne writes the same lines below ``labels/``, and the images below ``data/``. Datumaro writes no file for an image
that shows nothing.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeAlias

from models.datasets.layout import (
    PICTURES,
    below,
    broken,
    chosen_split,
    clipped,
    files_below,
    finite,
    numbered_lines,
    picture,
    require_labels,
)
from models.datasets.output import file_name, new_folder, number, place
from models.marks import KittiFrame, KittiObject
from models.media import image_size
from models.records import Boxes, Item

_Place: TypeAlias = tuple[Path, Path]  # an image, and where its labels should be

REGION = "DontCare"  # the category of what does not count
_ALL = "training"  # the folder, and the split of all that is in it
_FIFTYONE = "data", "labels"
_COLUMNS = (15, 16)  # the latter with a score
_UNKNOWN = "-1 -1 -10", "-1 -1 -1 -1000 -1000 -1000 -10"  # the kit's own values for all that is no 2D box


def read(root: Path, split: str | None = None) -> Iterator[tuple[Item, Boxes]]:
    """The images of ``training/image_2/`` with the boxes of ``training/label_2/``, clipped to the image.

    SPLIT is ``training``, all of them, another folder of that kind, such as CVAT's ``default``, or the name of a list
    ``ImageSets/SPLIT.txt`` of ``training``. An image without a label file shows nothing, unless no image has one. In
    FiftyOne's folders there is no split, and such an image is not labelled, and left out. ``DontCare`` regions are left
    out everywhere: the official evaluation neither asks for nor counts them.

    Raises:
        InvalidDataset: a broken line, naming file and line.
        NotFound: no such split.
        UnreadableMedia: an image whose header does not give its size.
    """
    return ((item, label) for item, label, _ in read_marked(root, split))


def read_marked(root: Path, split: str | None = None) -> Iterator[tuple[Item, Boxes, KittiFrame]]:
    """The same, each image with all that its label file says of how hard its objects are, regions included."""
    lists = sorted(path.stem for path in (root / "ImageSets").glob("*.txt"))
    folders = sorted(path.parent.name for path in root.glob("*/label_2"))
    if split is None and not folders and not lists and (root / _FIFTYONE[1]).is_dir():
        return _read(root, partial(_labelled, root))
    there = [_ALL] if _ALL in folders and split not in folders else folders
    chosen = chosen_split(root, [*there, *lists], split, "training/label_2 or ImageSets/*.txt")
    if chosen in there:
        return _read(root, partial(_shown, root / chosen))
    return _read(root, partial(_listed, root / "ImageSets" / f"{chosen}.txt", root / _ALL))


def _shown(folder: Path) -> Iterator[_Place]:
    for image in files_below(folder / "image_2", PICTURES):
        yield image, _labels_of(image, folder)


def _listed(file: Path, folder: Path) -> Iterator[_Place]:
    for where, line in numbered_lines(file):
        image = picture(where, ".png", folder / "image_2" / line.strip())
        yield image, _labels_of(image, folder)


def _labels_of(image: Path, folder: Path) -> Path:
    return (folder / "label_2" / below(folder / "image_2", image)).with_suffix(".txt")


def _labelled(root: Path) -> Iterator[_Place]:
    images, labels = (root / name for name in _FIFTYONE)
    for file in files_below(labels, (".txt",)):
        yield picture(str(file), ".png", images / file.relative_to(labels).with_suffix("")), file


def _read(root: Path, places: Callable[[], Iterator[_Place]]) -> Iterator[tuple[Item, Boxes, KittiFrame]]:
    require_labels(str(root), "label_2/*.txt", (labels for _, labels in places()))
    for image, labels in places():
        width, height = image_size(image)
        lines = numbered_lines(labels) if os.path.isfile(labels) else ()
        objects = tuple(_object(where, line) for where, line in lines)
        boxes = (clipped(*one.xyxy, width, height, one.category) for one in objects if one.category != REGION)
        label = Boxes(width, height, tuple(box for box in boxes if box))
        yield Item(below(root, image), str(image)), label, KittiFrame(objects)


def _object(where: str, line: str) -> KittiObject:
    columns = line.split()
    if len(columns) not in _COLUMNS:
        broken(where, "15 columns, or 16 with a score", line)
    truncation, occlusion = finite(where, "numbers in columns 2 and 3: truncation, occlusion", columns[1:3])
    x1, y1, x2, y2 = finite(where, "numbers in columns 5 to 8: left, top, right, bottom", columns[4:8])
    if x1 > x2 or y1 > y2:
        broken(where, "left <= right and top <= bottom", columns[4:8])
    return KittiObject(columns[0], (x1, y1, x2, y2), truncation, int(occlusion))


def write(root: Path, pairs: Iterable[tuple[Item, Boxes]]) -> None:
    """Writes ``training/image_2/`` and ``training/label_2/``; blanks in a category become ``_``.

    Raises:
        InvalidDataset: a category that is none in KITTI, ``DontCare``.
        InvalidInput, NotFound: as ``new_folder`` and ``place``.
    """
    with new_folder(root) as out:
        (out / _ALL / "label_2").mkdir(parents=True)
        for item, label in pairs:
            name = file_name(item)
            place(item, out / _ALL / "image_2", name)
            with (out / _ALL / "label_2" / f"{name}.txt").open("x", encoding="utf-8") as file:
                for box in label.boxes:
                    category = "_".join(box.category.split()) or "_"
                    if category == REGION:
                        broken(item.id, "a category that KITTI counts", category)
                    file.write(f"{category} {_UNKNOWN[0]} {' '.join(map(number, box.xyxy))} {_UNKNOWN[1]}\n")
