"""Known errors for real labels: what people get wrong, planted one at a time where it is certain to be wrong."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from models.asr.transcripts import normalise
from models.detection.suppression import pairwise_iou
from models.records import Box, Boxes, Label, Lane, Lanes, Task, Transcript
from models.tasks import differs

Rng = np.random.Generator
Spoiler = Callable[[Label, Sequence[Label], Rng], Label | None]

TRIES = 50
APART = 0.3  # IoU below which a box is another object
LANE_SHIFT = (16 / 512, 48 / 512)  # of the image's width


def plant(task: Task, kind: str, label: Label, others: Sequence[Label], rng: Rng) -> Label | None:
    """The label with one error of that kind, whose words or shapes come from ``others`` of the data set; None where
    the label has nothing to get wrong like that."""
    for _ in range(TRIES):
        spoilt = KINDS[task][kind](label, others, rng)
        if spoilt is None or differs(task, spoilt, label):
            return spoilt
    return None


def _text(label: Label) -> str:
    assert isinstance(label, Transcript)
    return normalise(label.text)


def _some_word(others: Sequence[Label], rng: Rng) -> str:
    words = sorted({word for other in others for word in _text(other).split()})
    return str(rng.choice(words))


def _word_replaced(label: Label, others: Sequence[Label], rng: Rng) -> Label | None:
    words = _text(label).split()
    if not words:
        return None
    words[rng.integers(len(words))] = _some_word(others, rng)
    return Transcript(" ".join(words))


def _word_dropped(label: Label, others: Sequence[Label], rng: Rng) -> Label | None:
    words = _text(label).split()
    if not words:
        return None
    del words[rng.integers(len(words))]
    return Transcript(" ".join(words))


def _word_inserted(label: Label, others: Sequence[Label], rng: Rng) -> Label | None:
    words = _text(label).split()
    words.insert(int(rng.integers(len(words) + 1)), _some_word(others, rng))
    return Transcript(" ".join(words))


def _text_of_another(label: Label, others: Sequence[Label], rng: Rng) -> Label | None:
    return Transcript(_text(others[int(rng.integers(len(others)))]))


def _boxes(label: Label) -> Boxes:
    assert isinstance(label, Boxes)
    return label


def _box_removed(label: Label, others: Sequence[Label], rng: Rng) -> Label | None:
    boxes = list(_boxes(label).boxes)
    if not boxes:
        return None
    del boxes[rng.integers(len(boxes))]
    return replace(_boxes(label), boxes=tuple(boxes))


def _box_added(label: Label, others: Sequence[Label], rng: Rng) -> Label | None:
    """A box of another label, somewhere else."""
    image, drawn = _boxes(label), [box for other in others for box in _boxes(other).boxes]
    model = drawn[int(rng.integers(len(drawn)))]
    x1, y1, x2, y2 = model.xyxy
    width, height = min(x2 - x1, image.width), min(y2 - y1, image.height)
    left, top = rng.uniform(0, image.width - width), rng.uniform(0, image.height - height)
    new = replace(model, xyxy=(left, top, min(image.width, left + width), min(image.height, top + height)))
    if image.boxes and pairwise_iou(_corners([new]), _corners(image.boxes)).max() >= APART:
        return label
    return replace(image, boxes=(*image.boxes, new))


def _box_shifted(label: Label, others: Sequence[Label], rng: Rng) -> Label | None:
    """Half a width or height or more aside, so that the IoU is a third or less."""
    image = _boxes(label)
    if not image.boxes:
        return None
    row = int(rng.integers(len(image.boxes)))
    x1, y1, x2, y2 = image.boxes[row].xyxy
    angle = rng.uniform(0, 2 * np.pi)
    far = rng.uniform(0.5, 0.8) / max(abs(np.cos(angle)), abs(np.sin(angle)))
    dx, dy = far * np.cos(angle) * (x2 - x1), far * np.sin(angle) * (y2 - y1)
    moved = (max(0.0, x1 + dx), max(0.0, y1 + dy), min(image.width, x2 + dx), min(image.height, y2 + dy))
    if moved[2] - moved[0] < (x2 - x1) / 2 or moved[3] - moved[1] < (y2 - y1) / 2:
        return label
    boxes = list(image.boxes)
    boxes[row] = replace(boxes[row], xyxy=moved)
    return replace(image, boxes=tuple(boxes))


def _class_swapped(label: Label, others: Sequence[Label], rng: Rng) -> Label | None:
    image = _boxes(label)
    names = sorted({box.category for other in others for box in _boxes(other).boxes})
    if not image.boxes or len(names) < 2:
        return None
    boxes = list(image.boxes)
    row = int(rng.integers(len(boxes)))
    boxes[row] = replace(boxes[row], category=str(rng.choice([n for n in names if n != boxes[row].category])))
    return replace(image, boxes=tuple(boxes))


def _corners(boxes: Sequence[Box]) -> np.ndarray:
    return np.array([box.xyxy for box in boxes], np.float64)


def _lanes(label: Label) -> Lanes:
    assert isinstance(label, Lanes)
    return label


def _lane_removed(label: Label, others: Sequence[Label], rng: Rng) -> Label | None:
    lanes = list(_lanes(label).lanes)
    if not lanes:
        return None
    del lanes[rng.integers(len(lanes))]
    return replace(_lanes(label), lanes=tuple(lanes))


def _lane_added(label: Label, others: Sequence[Label], rng: Rng) -> Label | None:
    """A line of another label, aside of every line of this one."""
    drawn = [lane for other in others for lane in _lanes(other).lanes]
    if not drawn:
        return None
    new = drawn[int(rng.integers(len(drawn)))]
    image = _lanes(label)
    if any(not differs("lane", replace(image, lanes=(new,)), replace(image, lanes=(old,))) for old in image.lanes):
        return label
    return replace(image, lanes=(*image.lanes, new))


def _lane_shifted(label: Label, others: Sequence[Label], rng: Rng) -> Label | None:
    image = _lanes(label)
    if not image.lanes:
        return None
    lanes = list(image.lanes)
    row = int(rng.integers(len(lanes)))
    dx = rng.choice([-1, 1]) * rng.uniform(*LANE_SHIFT) * image.width
    lanes[row] = Lane(tuple((x + dx, y) for x, y in lanes[row].points))
    return replace(image, lanes=tuple(lanes))


KINDS: Mapping[Task, Mapping[str, Spoiler]] = {
    "asr": {"word replaced": _word_replaced, "word dropped": _word_dropped, "word inserted": _word_inserted,
            "text of another": _text_of_another},
    "detection": {"box removed": _box_removed, "box added": _box_added, "box shifted": _box_shifted,
                  "class swapped": _class_swapped},
    "lane": {"lane removed": _lane_removed, "lane added": _lane_added, "lane shifted": _lane_shifted},
}  # fmt: skip
