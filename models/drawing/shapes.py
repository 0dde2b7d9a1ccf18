"""Labels as shapes that a template can draw: boxes, lines with the band of their doubt, words over a wave."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.media import SAMPLE_RATE, Waveform
from models.records import Boxes, Label, Lane, Lanes, Transcript

BARS = 120


@dataclass(frozen=True)
class BoxShape:
    """A box in pixels of the image, with the hue of its category."""

    x: float
    y: float
    width: float
    height: float
    hue: int
    text: str
    confidence: float


@dataclass(frozen=True)
class LineShape:
    """A line and the band of one standard deviation around it, as SVG points."""

    points: str
    band: str
    hue: int
    confidence: float


@dataclass(frozen=True)
class WordShape:
    """A word where it was said: left edge and width as shares of the clip."""

    left: float
    width: float
    text: str
    confidence: float


@dataclass(frozen=True)
class Outline:
    """A sound seen from afar: its seconds, and its peaks as shares of the loudest."""

    seconds: float
    bars: tuple[float, ...]


@dataclass(frozen=True)
class Drawing:
    """A label in shapes, over an image of ``width`` x ``height`` pixels or over the peaks of a sound.

    ``bars`` is None for images, and for a sound that cannot be read.
    """

    width: int = 0
    height: int = 0
    boxes: tuple[BoxShape, ...] = ()
    lines: tuple[LineShape, ...] = ()
    words: tuple[WordShape, ...] = ()
    bars: tuple[float, ...] | None = None


def draw(label: Label, sound: Outline | None = None) -> Drawing:
    """Boxes or lines over an image, words over the peaks of a sound; of a sound that cannot be read, nothing."""
    if isinstance(label, Boxes):
        return Drawing(label.width, label.height, boxes=_boxes(label))
    if isinstance(label, Lanes):
        return Drawing(label.width, label.height, lines=_lines(label))
    return Drawing(words=_words(label, sound.seconds), bars=sound.bars) if sound else Drawing()


def outline(wave: Waveform) -> Outline:
    """The loudest sample of each of ``BARS`` stretches."""
    loudest = np.array([part.max(initial=0.0) for part in np.array_split(np.abs(wave), BARS)])
    bars = (loudest / max(float(loudest.max()), 1e-6)).round(3)
    return Outline(len(wave) / SAMPLE_RATE, tuple(bars.tolist()))


def hue(name: str) -> int:
    """The same colour for the same category, in degrees.

    Chance may bring two names close; these bytes of the hash keep the categories of the starters well apart.
    """
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[17:19], "big") % 360


def _boxes(label: Boxes) -> tuple[BoxShape, ...]:
    return tuple(
        BoxShape(x1, y1, x2 - x1, y2 - y1, hue(box.category), box.category, box.confidence)
        for box in label.boxes
        for x1, y1, x2, y2 in [box.xyxy]
    )


def _lines(label: Lanes) -> tuple[LineShape, ...]:
    return tuple(_line(lane, index) for index, lane in enumerate(label.lanes))


def _line(lane: Lane, index: int) -> LineShape:
    std = lane.std_px or (0.0,) * len(lane.points)
    left = [(x - s, y) for (x, y), s in zip(lane.points, std, strict=True)]
    right = [(x + s, y) for (x, y), s in zip(lane.points, std, strict=True)]
    return LineShape(_svg(lane.points), _svg([*left, *reversed(right)]), (index * 67 + 150) % 360, lane.confidence)


def _words(label: Transcript, seconds: float) -> tuple[WordShape, ...]:
    return tuple(
        WordShape(word.start_s / seconds, (word.end_s - word.start_s) / seconds, word.text, word.confidence)
        for word in label.words
    )


def _svg(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
