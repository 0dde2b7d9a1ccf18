"""Frames of a video with what CVAT's tracks show in each: "CVAT for video 1.1", which goes track by track."""

import re
from collections.abc import Iterator
from pathlib import Path

from models.datasets.cvat_xml import Image, Shape, last_frame, tracked
from models.datasets.layout import PICTURES, below, broken, files_below
from models.datasets.shelf import Shelf
from models.media import image_size
from models.records import Item

_FRAME = re.compile(r"frame_([0-9]{6,9})")
_NUMBER = re.compile(r"[0-9]{1,9}")


def frames(file: Path, images: Path) -> Iterator[tuple[Image, Item, tuple[int, int]]]:
    """Every picture below ``images``, or beside the file where there is no such folder, with the shapes that are inside
    of it, and its size in pixels.

    Raises:
        InvalidDataset: a broken shape or a picture that is no frame of the video, naming it.
    """
    folder = images if images.is_dir() else file.parent
    pictures = _pictures(folder, last_frame(file))
    shapes = Shelf(_shown(file, pictures, max((int(frame) for frame, _ in pictures.as_added()), default=0)))
    for frame, name in pictures.as_added():
        path = folder / name
        item = Item(below(file.parent, path), str(path), file.parent.name)
        yield Image(str(path), {}, [Shape(*told) for told in shapes.values(frame)]), item, image_size(path)


def _pictures(folder: Path, last: int | None) -> Shelf:
    """The number and the name of each frame's picture."""
    pictures = Shelf()
    for path in files_below(folder, PICTURES):
        found = _FRAME.fullmatch(path.stem)
        if not found:  # their order need not be that of the frames
            broken(str(path), "a frame of a video, frame_NUMBER; images are exported as CVAT for images 1.1", path.name)
        frame = int(found[1])
        if last is not None and frame > last:
            broken(str(path), f"a frame of the video, which ends with {last}", path.name)
        if str(frame) in pictures:
            broken(str(path), "the only picture of a frame, of one task", path.name)
        pictures.add(str(frame), str(path.relative_to(folder)))
    return pictures


def _shown(file: Path, pictures: Shelf, highest: int) -> Iterator[tuple[str, tuple[str, str, dict[str, str]]]]:
    """Each shape that is not outside, behind the number of its frame."""
    track: dict[str, str] = {}
    before = None  # the frame in which the track was last seen, unless it left since
    for told, shape in tracked(file):
        if track and told.get("task_id") != track.get("task_id"):
            broken(shape.where, f"tracks of task {track.get('task_id')} alone", f"one of task {told.get('task_id')}")
        if told is not track:
            track, before = told, None
        number, is_outside = shape.told.get("frame", ""), shape.told.get("outside") == "1"
        if not _NUMBER.fullmatch(number):
            broken(shape.where, "a whole number in frame", number)
        if before is not None and int(number) <= before:
            broken(shape.where, f"one shape a frame in a track, behind frame {before}", number)
        passed = range(0) if before is None else range(before + 1, min(int(number), highest + 1))
        if (missed := next((frame for frame in passed if str(frame) in pictures), None)) is not None:
            broken(shape.where, f"a shape in each frame of the track, as CVAT writes them, in {missed} next", number)
        before = None if is_outside else int(number)
        if not is_outside and str(before) not in pictures:
            broken(shape.where, f"a frame with a picture, frame_{before:06d}", "none")
        if not is_outside:
            yield str(before), (shape.where, shape.kind, shape.told)
