"""Labels as CVAT's shapes, and back: rectangles and polylines in pixels of the picture.

Rectangles, also turned ones, mean boxes; polylines mean lanes; tracks of either are one on every frame. What a person
drew of another kind (polygon, mask, ellipse, cuboid, points, skeleton) with a label that means one of the model's
categories is refused, for the label would be less than was said. With other labels it is the project's own,
as are tags and attributes.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from models.errors import InvalidInput, NotFound
from models.records import Box, Boxes, Label, Lane, Lanes, Pixels, Task
from serving.cvat.polylines import between, length
from serving.label_names import LANE, Names
from serving.sizes import Size

Shape: TypeAlias = dict[str, Any]

KINDS: dict[Task, str] = {"detection": "rectangle", "lane": "polyline"}  # what is drawn for each task


@dataclass(frozen=True)
class Drawn:
    """A shape on one frame: its kind and label, x and y in turn, and the degrees that it is turned clockwise."""

    kind: str
    label: str
    points: tuple[Pixels, ...]
    rotation: float = 0.0


def kind_of(task: Task) -> str:
    """The kind of shape that a task is drawn with.

    Raises:
        NotFound: CVAT has none for it.
    """
    if task not in KINDS:
        raise NotFound(f"cvat: expected a task on pictures, {' or '.join(KINDS)}, got {task}")
    return KINDS[task]


def shapes_of(label: Label, names: Names, threshold: float) -> list[Shape]:
    """What a version found with at least this confidence, under the names of the labels that are asked for."""
    match label:
        case Boxes():
            found = [(box.category, box.confidence, list(box.xyxy)) for box in label.boxes]
        case Lanes():
            found = [(LANE, lane.confidence, [side for point in lane.points for side in point]) for lane in label.lanes]
        case _:
            raise AssertionError(f"no shapes for {type(label).__name__}")
    kind = "rectangle" if isinstance(label, Boxes) else "polyline"
    return [
        {"confidence": f"{confidence:.4f}", "label": names.to_label[category], "type": kind, "points": points}
        for category, confidence, points in found
        if confidence >= threshold and category in names.to_label
    ]


def drawn_on(
    annotations: Mapping[str, Any], labels: Mapping[int, str], last: int, deleted: Collection[int] = ()
) -> dict[int, list[Drawn]]:
    """The shapes on each frame that has some; ``labels`` by number, ``last`` is the last frame of the job. What tracks
    say on ``deleted`` frames counts no more than in CVAT: not at all.

    Raises:
        InvalidInput: they are not as CVAT writes them.
    """
    found: dict[int, list[Drawn]] = defaultdict(list)
    try:
        for shape in annotations["shapes"]:
            found[int(shape["frame"])].append(_drawn(shape, labels[shape["label_id"]]))
        for track in annotations["tracks"]:
            keys = [shape for shape in track["shapes"] if int(shape["frame"]) not in deleted]
            for frame, one in _tracked(keys, labels[track["label_id"]], last):
                found[frame].append(one)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidInput(f"annotations: expected them as CVAT writes them, got {error!r}") from error
    return found


def label_of(task: Task, drawn: Iterable[Drawn], names: Names, size: Size) -> Label:
    """What a person drew on a frame, as a label of the task.

    Raises:
        InvalidInput: a kind of shape that does not tell what its label asks for, or a label that means no category.
    """
    ours = [(one, names.to_category[one.label]) for one in drawn if _is_ours(task, one, names)]
    if task == "lane":
        return Lanes(*size, tuple(Lane(_pairs(one.points)) for one, _ in ours))
    boxes = ((_upright(one, size), category) for one, category in ours)
    return Boxes(*size, tuple(Box(sides, category) for sides, category in boxes if sides is not None))


def _is_ours(task: Task, drawn: Drawn, names: Names) -> bool:
    """Whether a shape speaks of the task. Lines that mean no lane are the project's own."""
    means = names.to_category.get(drawn.label)
    if means is None or (task == "lane" and means != LANE):
        return False
    if drawn.kind != KINDS[task]:
        raise InvalidInput(f"annotations: expected a {KINDS[task]} for label {drawn.label!r}, got a {drawn.kind}")
    return True


def _drawn(shape: Mapping[str, Any], label: str) -> Drawn:
    return Drawn(str(shape["type"]), label, tuple(map(float, shape["points"])), float(shape.get("rotation") or 0))


def _tracked(shapes: Iterable[Mapping[str, Any]], label: str, last: int) -> Iterator[tuple[int, Drawn]]:
    """The shape of a track with these keyframes on each frame up to ``last`` on which it is in the picture.

    Between keyframes sides and angle go evenly, the angle the shorter way round; after the last one nothing moves.
    """
    keys = sorted(shapes, key=lambda shape: int(shape["frame"]))
    for left, right in zip(keys, [*keys, None][1:], strict=True):
        begin, end = int(left["frame"]), last + 1 if right is None else int(right["frame"])
        here = _drawn(left, label)
        there = here if right is None else _drawn(right, label)
        for frame in () if left.get("outside") else range(begin, min(end, last + 1)):
            yield frame, _between(here, there, (frame - begin) / (end - begin))


def _between(one: Drawn, other: Drawn, share: float) -> Drawn:
    if one == other or share == 0:
        return one
    if one.kind == "polyline" and length(_pairs(one.points)) and length(_pairs(other.points)):
        moved = between(_pairs(one.points), _pairs(other.points), share)
        return replace(one, points=tuple(side for point in moved for side in point))
    if one.kind != "rectangle":
        return one
    points = tuple(a + share * (b - a) for a, b in zip(one.points, other.points, strict=True))
    turn = (other.rotation - one.rotation + 180) % 360 - 180
    return Drawn(one.kind, one.label, points, one.rotation + share * turn)


def _pairs(points: Sequence[Pixels]) -> tuple[tuple[Pixels, Pixels], ...]:
    return tuple(zip(points[::2], points[1::2], strict=True))


def _upright(drawn: Drawn, size: Size) -> tuple[Pixels, Pixels, Pixels, Pixels] | None:
    """The upright box around a rectangle, which CVAT turns about its middle, within the picture; None if it has no
    size there."""
    x1, y1, x2, y2 = drawn.points
    angle = math.radians(drawn.rotation)
    along, across = abs(math.cos(angle)), abs(math.sin(angle))
    width, height = abs(x2 - x1), abs(y2 - y1)
    half = (width * along + height * across) / 2, (width * across + height * along) / 2
    middle = (x1 + x2) / 2, (y1 + y2) / 2
    low = [max(0.0, round(centre - reach, 3)) for centre, reach in zip(middle, half, strict=True)]
    high = [min(float(most), round(c + r, 3)) for most, c, r in zip(size, middle, half, strict=True)]
    return (low[0], low[1], high[0], high[1]) if low[0] < high[0] and low[1] < high[1] else None
