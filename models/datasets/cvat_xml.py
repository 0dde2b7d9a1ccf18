"""CVAT's own XML, element by element: a document may be larger than memory."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from xml.parsers import expat

from models.datasets.layout import broken

Told: TypeAlias = dict[str, str]

BOX, OUTLINE, ELLIPSE, MASK, LINE = _SHAPES = "box", "polygon", "ellipse", "mask", "polyline"
_LAST = "stop_frame"
_ENDS = ("image", "track", _LAST)
_WANTED = {*_SHAPES, *_ENDS}  # all others, such as the many attributes of shapes, are passed over
NO_SUBSET = "default"  # what CVAT calls it in other formats
_CHUNK = 1 << 12  # bytes


@dataclass(frozen=True)
class Shape:
    """One drawn shape: where it stands, its kind, and its attributes."""

    where: str
    kind: str
    told: Told


@dataclass(frozen=True)
class Image:
    """One picture: where it stands, its attributes, and what was drawn on it."""

    where: str
    told: Told
    shapes: list[Shape] = field(default_factory=list)

    @property
    def subset(self) -> str:
        return self.told.get("subset") or NO_SUBSET


@dataclass(frozen=True)
class _Tag:
    """Where an element of ``_WANTED`` begins, with its attributes, or one of ``_ENDS`` ends, with none but perhaps a
    text."""

    where: str
    name: str
    told: Told | None
    text: str = ""


def images(file: Path) -> Iterator[Image]:
    """The images of a document with their shapes, each as soon as it has been read."""
    image = None
    for tag in _tags(file):
        if tag.name == "image" and tag.told is not None:
            image = Image(tag.where, tag.told)
        elif image and tag.name == "image":
            yield image
            image = None
        elif image and tag.name in _SHAPES and tag.told is not None:
            image.shapes.append(Shape(tag.where, tag.name, tag.told))


def tracked(file: Path) -> Iterator[tuple[Told, Shape]]:
    """The shapes of all tracks, each behind the attributes of its track, whose label it has."""
    track = None
    for tag in _tags(file):
        if tag.name == "track":
            track = tag.told
        elif track is not None and tag.name in _SHAPES and tag.told is not None:
            yield track, Shape(tag.where, tag.name, {"label": track.get("label", ""), **tag.told})


def last_frame(file: Path) -> int | None:
    """The number of the last frame of a task, where the document tells it; early versions of CVAT told 0 of any."""
    for tag in _tags(file):
        if tag.name == _LAST and tag.text.strip().isdecimal():
            return int(tag.text.strip()[:9]) or None
        if tag.name == "track":
            break
    return None


def _tags(file: Path) -> Iterator[_Tag]:
    parser, tags, text, path = expat.ParserCreate(), list[_Tag](), list[str](), str(file)

    def start(name: str, told: Told) -> None:
        if name in _WANTED:
            tags.append(_Tag(f"{path}:{parser.CurrentLineNumber}", name, told))
        text.clear()

    def end(name: str) -> None:
        if name in _ENDS:
            tags.append(_Tag(f"{path}:{parser.CurrentLineNumber}", name, None, "".join(text)))

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text.append
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
            yield from tags
            tags.clear()
