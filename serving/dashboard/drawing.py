"""Pre-annotations as shapes that a template can draw: boxes, lines with the band of their doubt, words over a wave."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.media import SAMPLE_RATE, Waveform
from models.records import Boxes, Label, Lane, Lanes, Transcript
from serving.store.records import Answer

BARS = 120
_HUES = 12


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
class Figure:
    """One pre-annotation to draw; ``bars`` is None for images, and for a sound that cannot be read."""

    answer: Answer
    width: int = 0
    height: int = 0
    boxes: tuple[BoxShape, ...] = ()
    lines: tuple[LineShape, ...] = ()
    words: tuple[WordShape, ...] = ()
    bars: tuple[float, ...] | None = None


def image_figure(answer: Answer) -> Figure:
    """Boxes or lines over an image."""
    label = answer.preannotation.label
    if isinstance(label, Boxes):
        boxes = tuple(
            BoxShape(x1, y1, x2 - x1, y2 - y1, hue(box.category), box.category, box.confidence)
            for box in label.boxes
            for x1, y1, x2, y2 in [box.xyxy]
        )
        return Figure(answer, label.width, label.height, boxes=boxes)
    assert isinstance(label, Lanes)
    lines = tuple(_line(lane, index) for index, lane in enumerate(label.lanes))
    return Figure(answer, label.width, label.height, lines=lines)


def sound_figure(answer: Answer, outline: Outline | None) -> Figure:
    """Words over the peaks of a sound; words alone where it cannot be read."""
    label = answer.preannotation.label
    assert isinstance(label, Transcript)
    if outline is None:
        return Figure(answer)
    words = tuple(
        WordShape(word.start_s / outline.seconds, (word.end_s - word.start_s) / outline.seconds, word.text,
                  word.confidence)
        for word in label.words
    )  # fmt: skip
    return Figure(answer, words=words, bars=outline.bars)


def outline(wave: Waveform) -> Outline:
    """The loudest sample of each of ``BARS`` stretches."""
    loudest = np.array([part.max(initial=0.0) for part in np.array_split(np.abs(wave), BARS)])
    bars = (loudest / max(float(loudest.max()), 1e-6)).round(3)
    return Outline(len(wave) / SAMPLE_RATE, tuple(bars.tolist()))


def hue(name: str) -> int:
    """The same colour for the same category, in degrees."""
    return hashlib.sha256(name.encode()).digest()[0] % _HUES * 360 // _HUES


def _line(lane: Lane, index: int) -> LineShape:
    std = lane.std_px or (0.0,) * len(lane.points)
    left = [(x - s, y) for (x, y), s in zip(lane.points, std, strict=True)]
    right = [(x + s, y) for (x, y), s in zip(lane.points, std, strict=True)]
    return LineShape(_svg(lane.points), _svg([*left, *reversed(right)]), (index * 67 + 150) % 360, lane.confidence)


def _svg(points: Any) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def is_sound(label: Label) -> bool:
    """Whether a label is one of a sound."""
    return isinstance(label, Transcript)
