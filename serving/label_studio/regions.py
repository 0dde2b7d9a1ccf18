"""Labels as Label Studio's regions, and back. Places are percent of the picture there, pixels here.

Where the vocabulary has no place for it, doubt and route stand as a note (``meta``) on each region; the times of words
stand there too, and come back with the segment.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from models.errors import InvalidInput
from models.records import Box, Boxes, Label, Lane, Lanes, Pixels, Transcript, Word
from serving.label_names import LANE
from serving.label_studio.config import Control, View
from serving.sizes import Size
from serving.store.records import Answer

Region: TypeAlias = dict[str, Any]

BROKEN = (KeyError, TypeError, IndexError, ValueError, AttributeError)  # what reading such regions raises
PAUSE_S = 0.6  # silence that parts two segments


def regions_of(answer: Answer, shown: View) -> list[Region]:
    """What a version said, drawn with the project's own control."""
    label, note = answer.preannotation.label, note_of(answer)
    match label:
        case Boxes():
            drawn = _boxes(label, shown)
        case Lanes() if shown.control.kind == "KeyPointLabels":
            drawn = _points(label, shown.control)
        case Lanes():
            drawn = _vectors(label, shown)
        case Transcript() if shown.control.kind == "Segments":
            drawn = _segments(label, shown.control, answer.preannotation.features.get("duration_s"))
        case Transcript():
            drawn = _text(label, shown.control)
    return [region | {"meta": {**region.get("meta", {}), "text": [note]}} for region in drawn]


def label_of(result: Sequence[Mapping[str, Any]], shown: View, size: Callable[[], Size]) -> Label:
    """What a person drew, in pixels of a picture whose size is asked for only where it matters.

    Raises:
        InvalidInput: a region of the control is not as Label Studio writes it, or has a label unknown to the project.
    """
    control = shown.control
    try:
        match control.kind:
            case "RectangleLabels":
                return boxes_of(_of(result, control.from_name), shown, size())
            case "VectorLabels":
                return _lanes_of(_of(result, control.from_name), shown, size())
            case "KeyPointLabels":
                return _lanes_of_points(_of(result, control.from_name), size())
            case "TextArea":
                texts = [part for region in _of(result, control.from_name) for part in _texts(region["value"])]
                return Transcript(" ".join(" ".join(texts).split()))
            case "Segments":
                return _transcript_of(_of(result, control.from_name))
            case "VideoRectangle":
                raise AssertionError("of a video, ``boxes_at`` tells what is on each frame")
    except InvalidInput:  # ours, and a ValueError
        raise
    except BROKEN as error:
        raise broken(control.kind, error) from error


def broken(kind: str, error: Exception) -> InvalidInput:
    """The failure of regions that are not as Label Studio writes those of a control."""
    got = f"one without {error}" if isinstance(error, KeyError) else f"others: {error}"
    return InvalidInput(f"annotation: expected regions of {kind}, got {got}")


def require_known(result: Sequence[Mapping[str, Any]], shown: View) -> None:
    """Lets regions pass that the project's own controls made; relations between them have none.

    Raises:
        InvalidInput: another made one, so that nothing tells what was meant, nor that nothing was.
    """
    names = {str(region["from_name"]) for region in result if region.get("from_name")}
    others = {name for name in names if not shown.has(name)}
    if others:
        raise InvalidInput(f"annotation: expected regions of the project's controls, "
                           f"{', '.join(sorted(shown.controls))}, got some of {', '.join(sorted(others))}")  # fmt: skip


def _of(result: Sequence[Mapping[str, Any]], name: str) -> list[Mapping[str, Any]]:
    """The regions of one control; relations between regions have none."""
    return [region for region in result if region.get("from_name") == name]


def is_of(result: Sequence[Mapping[str, Any]], control: Control) -> bool:
    """Whether regions that were drawn once are of a control as it is now, by their names and labels."""
    for region in result:
        value = region.get("value") or {}
        labels = value.get(region.get("type")) or value.get("labels") or ()
        if region.get("from_name") not in (control.from_name, control.labels_name or control.from_name):
            return False
        if not set(labels) <= set(control.labels):
            return False
    return True


def drawn(result: Sequence[Mapping[str, Any]]) -> list[tuple[Any, Any]]:
    """What regions show, whoever made them and by whatever control."""
    return [(region.get("type"), region.get("value")) for region in result]


def note_of(answer: Answer) -> str:
    """The doubt and the route of an item, for people."""
    doubt, route = answer.preannotation.uncertainty, answer.decision
    otherwise = f"; {route.otherwise}" if route.otherwise else ""
    return f"p_error {doubt.p_error:.2f}, about {doubt.seconds:.0f} s; {route.decision}: {route.reason}{otherwise}"


def _region(control: Control, place: str, kind: str, value: dict[str, Any], score: float, size: Size | None) -> Region:
    of_picture = {"original_width": size[0], "original_height": size[1], "image_rotation": 0} if size else {}
    region = {"id": place, "from_name": control.from_name, "to_name": control.to_name, "type": kind}
    return region | of_picture | {"score": round(score, 4), "value": value}


# -- pictures


def _boxes(label: Boxes, shown: View) -> list[Region]:
    size = label.width, label.height
    drawn = []
    for number, box in enumerate(label.boxes):
        name = shown.names.to_label.get(box.category)
        if name is None:
            continue  # the project does not ask for it
        value = {**rectangle(box, size), "rectanglelabels": [name]}
        drawn.append(_region(shown.control, f"box-{number}", "rectanglelabels", value, box.confidence, size))
    return drawn


def rectangle(box: Box, size: Size) -> dict[str, float]:
    """A box as a rectangle of Label Studio."""
    (x1, y1), (x2, y2) = _percent(box.xyxy[:2], size), _percent(box.xyxy[2:], size)
    return {"x": x1, "y": y1, "width": x2 - x1, "height": y2 - y1, "rotation": 0}


def _vectors(label: Lanes, shown: View) -> list[Region]:
    size = label.width, label.height
    drawn = []
    for number, lane in enumerate(label.lanes):
        names = [f"lane-{number}-{index}" for index in range(len(lane.points))]
        places = [_percent(point, size) for point in lane.points]
        vertices = [
            {"id": name, "x": x, "y": y, "prevPointId": before, "isBezier": False}
            for name, before, (x, y) in zip(names, [None, *names], places, strict=False)
        ]
        value = {"closed": False, "vectorlabels": [shown.names.to_label[LANE]], "vertices": vertices}
        drawn.append(_region(shown.control, f"lane-{number}", "vectorlabels", value, lane.confidence, size))
    return drawn


def _points(label: Lanes, control: Control) -> list[Region]:
    """The surest lanes, as many as there are labels, from left to right where they are nearest."""
    size = label.width, label.height
    surest = sorted(label.lanes, key=lambda lane: -lane.confidence)[: len(control.labels)]
    drawn = []
    for name, lane in zip(control.labels, sorted(surest, key=_nearest_x), strict=False):
        for index, (x, y) in enumerate(_percent(point, size) for point in lane.points):
            value = {"x": x, "y": y, "width": 0.5, "keypointlabels": [name]}
            drawn.append(_region(control, f"{name}-{index}", "keypointlabels", value, lane.confidence, size))
    return drawn


def _nearest_x(lane: Lane) -> Pixels:
    return max(lane.points, key=lambda point: point[1])[0]


def _percent(point: tuple[Pixels, ...], size: Size) -> tuple[float, float]:
    return 100 * point[0] / size[0], 100 * point[1] / size[1]


def _pixels(x: float, y: float, size: Size) -> tuple[Pixels, Pixels]:
    """To a thousandth, so that what nobody moved stays what it was."""
    return round(x * size[0] / 100, 3), round(y * size[1] / 100, 3)


def boxes_of(regions: Sequence[Mapping[str, Any]], shown: View, size: Size) -> Boxes:
    """The boxes of rectangles within a picture.

    Raises:
        InvalidInput: a rectangle has a label unknown to the project.
    """
    boxes = []
    for region in regions:
        value = region["value"]
        (name,) = value["rectanglelabels"]
        if name not in shown.names.to_category:
            raise InvalidInput(f"annotation: expected a label of the project, "
                               f"{', '.join(shown.names.to_category)}, got {name!r}")  # fmt: skip
        xs, ys = zip(*_corners(value, size), strict=True)
        x1, y1 = (max(0.0, round(min(side), 3)) for side in (xs, ys))
        x2, y2 = (min(float(most), round(max(side), 3)) for side, most in zip((xs, ys), size, strict=True))
        if x1 < x2 and y1 < y2:  # a click without a drag leaves a box of no size
            boxes.append(Box((x1, y1, x2, y2), shown.names.to_category[name]))
    return Boxes(*size, tuple(boxes))


def _corners(value: Mapping[str, Any], size: Size) -> list[tuple[Pixels, Pixels]]:
    """The four corners of a rectangle, which Label Studio turns clockwise about the first of them."""
    (x, y), (width, height) = (
        [float(value[name]) * most / 100 for name, most in zip(names, size, strict=True)]
        for names in (("x", "y"), ("width", "height"))
    )
    angle = math.radians(float(value.get("rotation") or 0))
    along, across = (math.cos(angle), math.sin(angle)), (-math.sin(angle), math.cos(angle))
    return [
        (x + a * width * along[0] + b * height * across[0], y + a * width * along[1] + b * height * across[1])
        for a, b in ((0, 0), (1, 0), (1, 1), (0, 1))
    ]


def _lanes_of(regions: Sequence[Mapping[str, Any]], shown: View, size: Size) -> Lanes:
    """Lines whose label means a lane; other lines of the project are not ours."""
    lanes = []
    for region in regions:
        value = region["value"]
        if any(shown.names.to_category.get(name) == LANE for name in value["vectorlabels"]):
            points = tuple(_pixels(float(vertex["x"]), float(vertex["y"]), size) for vertex in value["vertices"])
            if len(points) > 1:  # a click that was never drawn on
                lanes.append(Lane(points))
    return Lanes(*size, tuple(lanes))


def _lanes_of_points(regions: Sequence[Mapping[str, Any]], size: Size) -> Lanes:
    lanes: dict[str, list[tuple[Pixels, Pixels]]] = defaultdict(list)
    for region in regions:
        (name,) = region["value"]["keypointlabels"]
        lanes[name].append(_pixels(float(region["value"]["x"]), float(region["value"]["y"]), size))
    ordered = [tuple(sorted(points, key=lambda point: -point[1])) for points in lanes.values()]
    return Lanes(*size, tuple(Lane(points) for points in ordered if len(points) > 1))


# -- sound


def _text(label: Transcript, control: Control) -> list[Region]:
    if not label.text:
        return []
    sure = min((word.confidence for word in label.words), default=1.0)
    return [_region(control, "text", "textarea", {"text": [label.text]}, sure, None)]


def _segments(label: Transcript, control: Control, duration_s: float | None) -> list[Region]:
    drawn = []
    for number, words in enumerate(_utterances(label.words)):
        span = {"start": words[0].start_s, "end": words[-1].end_s, "channel": 0}
        length = {"original_length": duration_s} if duration_s is not None else {}
        sure, place = min(word.confidence for word in words), f"segment-{number}"
        times = [[word.text, word.start_s, word.end_s, word.confidence] for word in words]
        name = _region(control, place, "labels", {**span, "labels": [control.labels[0]]}, sure, None)
        text = _region(control, place, "textarea", {**span, "text": [" ".join(w.text for w in words)]}, sure, None)
        drawn += [region | length | {"meta": {"words": times}}
                  for region in (name | {"from_name": control.labels_name}, text)]  # fmt: skip
    return drawn


def _utterances(words: Sequence[Word]) -> Iterator[list[Word]]:
    """Words without a pause between them."""
    together: list[Word] = []
    for word in words:
        if together and word.start_s - together[-1].end_s >= PAUSE_S:
            yield together
            together = []
        together.append(word)
    if together:
        yield together


def _texts(value: Mapping[str, Any]) -> list[str]:
    """The texts of a TextArea, which Label Studio also takes, and keeps, as one outside of a list."""
    return [value["text"]] if isinstance(value["text"], str) else value["text"]


def _transcript_of(regions: Sequence[Mapping[str, Any]]) -> Transcript:
    """The segments' texts in the order of time, with the times of their words where every text was left as it was."""
    words: list[Word] = []
    texts: list[str] = []
    for region in sorted(regions, key=lambda region: float(region["value"]["start"])):
        spoken = " ".join(_texts(region["value"])).split()
        texts += spoken
        times = [Word(*one) for one in (region.get("meta") or {}).get("words", ())]
        if [word.text for word in times] == spoken:
            words += [Word(word.text, word.start_s, word.end_s) for word in times]
    return Transcript(" ".join(texts), tuple(words) if len(words) == len(texts) else ())
