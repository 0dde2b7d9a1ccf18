"""Pascal VOC detection: one XML file an image. Source: the VOC2012 development kit, section 4.

Corners there are 1-based and belong to the box, so the box (1, 1, 640, 480) is a whole image of 640 x 480 pixels.
Tools that count pixels from 0, as Datumaro and FiftyOne, do not say so: their boxes begin a pixel further left and up.

Annotation tools leave out the lists: Roboflow puts each file beside its image, in a folder a split. Datumaro writes
no file for an image that shows nothing.
"""

import math
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from models.datasets.layout import (
    below,
    broken,
    chosen_split,
    clipped,
    files_below,
    names_below,
    numbered_lines,
    picture,
    require_labels,
    split_file,
)
from models.datasets.output import SPLIT, file_name, new_folder, number, place
from models.marks import Ignored
from models.media import image_size
from models.records import Box, Boxes, Item

_IMAGES = ("JPEGImages", "images", "Images", "data")  # the latter three where there are no lists
# where files are that lie apart from their images
_APART = ("Annotations", "labels", "annotations/xmls", "annotations")
_BESIDE = "."  # the split of what lies in ROOT itself
_OF_A_CLASS = re.compile(r"\s(-1|0|1)$")  # how lines of the lists end that say which images show a class


def read(root: Path, split: str | None = None) -> Iterator[tuple[Item, Boxes]]:
    """Every image that ``ImageSets/Main/SPLIT.txt`` names, with its boxes clipped to the image; one without a file
    shows nothing, unless no image has one. Without such lists it is every image with a file in ``Annotations/``,
    ``labels/``, ``annotations/xmls/`` or ``annotations/``, or in a folder SPLIT of one of these, or beside it in
    ``SPLIT/`` or ROOT itself. Where there are files in ROOT and in folders of it, the former are the split ``.``.

    Objects marked ``difficult`` are left out: the official evaluation neither asks for nor counts them. Where the size
    is 0 or missing it is the picture's own.

    Raises:
        InvalidDataset: a broken list or XML file, naming file and line.
        NotFound: no such split.
        UnreadableMedia: an image whose header does not give its size, where that is asked.
    """
    return ((item, label) for item, label, _ in read_marked(root, split))


def read_marked(root: Path, split: str | None = None) -> Iterator[tuple[Item, Boxes, Ignored]]:
    """The same, each image with its difficult objects."""
    if not (root / "ImageSets" / "Main").is_dir() and _has_files(root):
        return _unlisted(root, split)
    file, _ = split_file(root / "ImageSets" / "Main", "", split, ".txt")
    return _listed(root, file)


def _unlisted(root: Path, split: str | None) -> Iterator[tuple[Item, Boxes, Ignored]]:
    apart = [folder for folder in (root / name for name in _APART) if _has_files(folder)]
    if apart and split is None:
        return _of_folder(root, apart[0])
    near = (PurePath(name).parent for name in names_below(root) if name.endswith(".xml") and name.count("/") < 2)
    splits = {str(folder) for folder in near}
    if apart and split and split not in splits and _has_files(apart[0] / split):
        return _of_folder(root, apart[0], split)
    chosen = chosen_split(root, sorted(splits), split, "ImageSets/Main/SPLIT.txt or SPLIT/*.xml")
    return _of_folder(root, root / chosen, deep=chosen != _BESIDE or len(splits) == 1)


def _has_files(folder: Path) -> bool:
    return folder.is_dir() and any(name.endswith(".xml") for name in names_below(folder))


def _of_folder(
    root: Path, folder: Path, within: str = "", *, deep: bool = True
) -> Iterator[tuple[Item, Boxes, Ignored]]:
    for annotation in files_below(folder / within, (".xml",)):
        if not deep and annotation.parent != folder:
            continue
        name = annotation.relative_to(folder).with_suffix("")
        document = _Annotation(annotation)
        places = [place / name for place in (folder, *(root / images for images in _IMAGES))]
        image = picture(str(annotation), document.suffix, *places)
        yield Item(below(root, image), str(image)), *document.boxes(image)


def _listed(root: Path, file: Path) -> Iterator[tuple[Item, Boxes, Ignored]]:
    require_labels(str(file), "Annotations/*.xml", (annotation for _, _, annotation in _names(root, file)))
    for where, name, annotation in _names(root, file):
        document = _Annotation(annotation)
        image = picture(where, document.suffix, root / "JPEGImages" / name)
        yield Item(below(root, image), str(image)), *document.boxes(image)


def _names(root: Path, file: Path) -> Iterator[tuple[str, str, Path]]:
    """Each image of a list, behind its place and before its annotation, as far as there is one."""
    for where, line in numbered_lines(file):
        name = line.strip().strip('"')  # in which CVAT puts names with blanks
        annotation = root / "Annotations" / f"{name}.xml"
        shown = root / "Annotations" / f"{_OF_A_CLASS.sub('', name)}.xml"
        if shown != annotation and os.path.isfile(shown) and not os.path.isfile(annotation):
            broken(where, "1 column, the name of an image", line)
        yield where, name, annotation


class _Annotation:
    """One parsed XML file, or none, which knows the line of each of its objects."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.root = ElementTree.fromstring(path.read_bytes() if os.path.isfile(path) else b"<annotation/>")
        except ElementTree.ParseError as error:
            broken(f"{path}:{error.position[0]}", "XML", str(error))
        except (LookupError, ValueError) as error:  # its first line names an encoding that Python's parser has not
            broken(f"{path}:1", "XML in UTF-8, UTF-16 or an encoding of a byte a character", str(error))

    def boxes(self, image: Path) -> tuple[Boxes, Ignored]:
        """The objects, and apart from them the difficult ones."""
        width, height = self._whole("size/width"), self._whole("size/height")
        if not width or not height:
            width, height = image_size(image)
        objects = [*enumerate(self.root.iterfind("object"))]
        plain, difficult = (
            tuple(self._box(index, element, width, height) for index, element in objects if _difficult(element) == hard)
            for hard in (False, True)
        )
        return Boxes(width, height, plain), Ignored(objects=difficult)

    @property
    def suffix(self) -> str:
        """Of the image, as far as it is told."""
        return Path(self.text("filename")).suffix or ".jpg"

    def text(self, tag: str) -> str:
        return (self.root.findtext(tag) or "").strip()

    def _whole(self, tag: str) -> int:
        """A side in pixels; 0, or nothing at all, is what tools write that did not look."""
        text = self.text(tag) or "0"
        if not re.fullmatch(r"[0-9]{1,9}(\.0*)?", text):
            broken(f"{self.path}:1", f"a whole number in <{tag}>", text)
        return int(float(text))

    def _box(self, index: int, element: ElementTree.Element, width: int, height: int) -> Box:
        name = (element.findtext("name") or "").strip()
        if not name:
            broken(self._where(index), "a <name>", name)
        texts = [element.findtext(f"bndbox/{tag}") for tag in ("xmin", "ymin", "xmax", "ymax")]
        try:
            x1, y1, x2, y2 = (float(text or "nan") for text in texts)
        except ValueError:
            broken(self._where(index), "numbers in <bndbox>", texts)
        if not all(map(math.isfinite, (x1, y1, x2, y2))):
            broken(self._where(index), "xmin, ymin, xmax and ymax in <bndbox>", texts)
        box = clipped(x1 - 1, y1 - 1, x2, y2, width, height, name)
        return box or broken(self._where(index), f"a box inside 1..{width}, 1..{height}", (x1, y1, x2, y2))

    def _where(self, index: int) -> str:
        """``file:line`` of an object: ElementTree keeps no lines, so the text is searched, and only for an error."""
        text = self.path.read_bytes()
        starts = [match.start() for match in re.finditer(rb"<object[\s/>]", text)]
        line = text.count(b"\n", 0, starts[index]) + 1 if index < len(starts) else 1  # another encoding than UTF-8
        return f"{self.path}:{line}"


def _difficult(element: ElementTree.Element) -> bool:
    return (element.findtext("difficult") or "").strip() == "1"


def write(root: Path, pairs: Iterable[tuple[Item, Boxes]]) -> None:
    """Writes ``ImageSets/Main/train.txt``, ``Annotations/`` and ``JPEGImages/``, and ``labelmap.txt``, without which
    Datumaro knows no categories but the 20 of the challenge.

    Raises:
        InvalidDataset: a category that XML cannot hold.
        InvalidInput, NotFound: as ``new_folder`` and ``place``.
    """
    categories: dict[str, None] = {}
    with new_folder(root) as out:
        (out / "Annotations").mkdir()
        (out / "ImageSets" / "Main").mkdir(parents=True)
        with (out / "ImageSets" / "Main" / f"{SPLIT}.txt").open("w", encoding="utf-8") as listing:
            for item, label in pairs:
                name = file_name(item)
                image = place(item, out / "JPEGImages", name)
                with (out / "Annotations" / f"{name}.xml").open("x", encoding="utf-8") as file:
                    objects = "".join(_object(item, box) for box in label.boxes)
                    file.write(_XML.format(escape(image.name), label.width, label.height, objects))
                listing.write(f"{name}\n")
                categories |= {box.category: None for box in label.boxes}
        (out / "labelmap.txt").write_text("".join(f"{name}:::\n" for name in categories), encoding="utf-8")


_XML = """\
<annotation>
  <folder>JPEGImages</folder>
  <filename>{}</filename>
  <size><width>{}</width><height>{}</height><depth>3</depth></size>
  <segmented>0</segmented>
{}</annotation>
"""
_OBJECT = """\
  <object>
    <name>{}</name>
    <pose>Unspecified</pose>
    <truncated>0</truncated>
    <difficult>0</difficult>
    <bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>
  </object>
"""


def _object(item: Item, box: Box) -> str:
    if box.category != box.category.strip() or not box.category.isprintable():
        broken(item.id, "a category that XML keeps as it is", box.category)
    x1, y1, x2, y2 = box.xyxy
    return _OBJECT.format(escape(box.category), *map(number, (x1 + 1, y1 + 1, x2, y2)))
