"""Known errors for real labels: what people get wrong, planted one at a time where it is certain to be wrong."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from models.asr.metrics import text_of
from models.detection.overlap import corners_of, pairwise_iou
from models.records import Boxes, Label, Lane, Lanes, Task, Transcript, require_kind
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


def _some_word(others: Sequence[Label], rng: Rng) -> str:
    words = sorted({word for other in others for word in text_of(other).split()})
    return str(rng.choice(words))


def _word_replaced(label: Label, others: Sequence[Label], rng: Rng) -> Label | None:
    words = text_of(label).split()
    if not words:
        return None
    words[rng.integers(len(words))] = _some_word(others, rng)
    return Transcript(" ".join(words))


def _word_dropped(label: Label, others: Sequence[Label], rng: Rng) -> Label | None:
    words = text_of(label).split()
    if not words:
        return None
    del words[rng.integers(len(words))]
    return Transcript(" ".join(words))


def _word_inserted(label: Label, others: Sequence[Label], rng: Rng) -> Label | None:
    words = text_of(label).split()
    words.insert(int(rng.integers(len(words) + 1)), _some_word(others, rng))
    return Transcript(" ".join(words))


def _text_of_another(label: Label, others: Sequence[Label], rng: Rng) -> Label | None:
    return Transcript(text_of(others[int(rng.integers(len(others)))]))


def _box_removed(label: Label, others: Sequence[Label], rng: Rng) -> Label | None:
    boxes = list(require_kind(label, Boxes).boxes)
    if not boxes:
        return None
    del boxes[rng.integers(len(boxes))]
    return replace(require_kind(label, Boxes), boxes=tuple(boxes))


def _box_added(label: Label, others: Sequence[Label], rng: Rng) -> Label | None:
    """A box of another label, somewhere else."""
    image, drawn = require_kind(label, Boxes), [box for other in others for box in require_kind(other, Boxes).boxes]
    model = drawn[int(rng.integers(len(drawn)))]
    x1, y1, x2, y2 = model.xyxy
    width, height = min(x2 - x1, image.width), min(y2 - y1, image.height)
    left, top = rng.uniform(0, image.width - width), rng.uniform(0, image.height - height)
    new = replace(model, xyxy=(left, top, min(image.width, left + width), min(image.height, top + height)))
    if image.boxes and pairwise_iou(corners_of([new]), corners_of(image.boxes)).max() >= APART:
        return label
    return replace(image, boxes=(*image.boxes, new))


def _box_shifted(label: Label, others: Sequence[Label], rng: Rng) -> Label | None:
    """Half a width or height or more aside, so that the IoU is a third or less."""
    image = require_kind(label, Boxes)
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
    image = require_kind(label, Boxes)
    names = sorted({box.category for other in others for box in require_kind(other, Boxes).boxes})
    if not image.boxes or len(names) < 2:
        return None
    boxes = list(image.boxes)
    row = int(rng.integers(len(boxes)))
    boxes[row] = replace(boxes[row], category=str(rng.choice([n for n in names if n != boxes[row].category])))
    return replace(image, boxes=tuple(boxes))


def _lane_removed(label: Label, others: Sequence[Label], rng: Rng) -> Label | None:
    lanes = list(require_kind(label, Lanes).lanes)
    if not lanes:
        return None
    del lanes[rng.integers(len(lanes))]
    return replace(require_kind(label, Lanes), lanes=tuple(lanes))


def _lane_added(label: Label, others: Sequence[Label], rng: Rng) -> Label | None:
    """A line of another label, aside of every line of this one."""
    drawn = [lane for other in others for lane in require_kind(other, Lanes).lanes]
    if not drawn:
        return None
    new = drawn[int(rng.integers(len(drawn)))]
    image = require_kind(label, Lanes)
    if any(not differs("lane", replace(image, lanes=(new,)), replace(image, lanes=(old,))) for old in image.lanes):
        return label
    return replace(image, lanes=(*image.lanes, new))


def _lane_shifted(label: Label, others: Sequence[Label], rng: Rng) -> Label | None:
    image = require_kind(label, Lanes)
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
