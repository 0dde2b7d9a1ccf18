"""Labels as CVAT's shapes: rectangles and polylines in pixels of the picture."""

from typing import Any, TypeAlias

from models.errors import NotFound
from models.records import Boxes, Label, Lanes, Task
from serving.label_names import LANE, Names

Shape: TypeAlias = dict[str, Any]

KINDS: dict[Task, str] = {"detection": "rectangle", "lane": "polyline"}  # what is drawn for each task


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
