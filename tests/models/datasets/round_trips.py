"""Labels of all kinds, made up by hypothesis, written in a format and read again."""

import os
import string
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import pytest
from hypothesis import strategies as st

from models.datasets import FORMATS, read, writer
from models.records import Box, Boxes, Item, Label, Lane, Lanes, Transcript, Word
from tests.models.datasets.corpora import photo, sound

L = TypeVar("L", bound=Label)

WIDTH, HEIGHT = 64, 48
CATEGORIES = ("car", "traffic_light", "Fußgänger", "<&\">'")


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    def side(length: int) -> tuple[float, float]:
        low, high = sorted(draw(st.tuples(*[st.floats(0, length, width=32)] * 2)))
        return (low, high) if high - low > 1e-3 else (0.0, float(length))

    (x1, x2), (y1, y2) = side(WIDTH), side(HEIGHT)
    return Box((x1, y1, x2, y2), draw(st.sampled_from(CATEGORIES)))


def box_sets() -> st.SearchStrategy[list[Boxes]]:
    one = st.lists(boxes(), max_size=4).map(lambda found: Boxes(WIDTH, HEIGHT, tuple(found)))
    return st.lists(one, max_size=3)


def lanes() -> st.SearchStrategy[Lane]:
    point = st.tuples(st.floats(-9, WIDTH + 9, width=32), st.floats(-9, HEIGHT + 9, width=32))
    return st.lists(point, min_size=2, max_size=5).map(lambda points: Lane(tuple(points)))


def lane_sets() -> st.SearchStrategy[list[Lanes]]:
    one = st.lists(lanes(), max_size=4).map(lambda found: Lanes(WIDTH, HEIGHT, tuple(found)))
    return st.lists(one, max_size=3)


def transcripts() -> st.SearchStrategy[list[Transcript]]:
    words = st.lists(st.text(string.ascii_letters + "数字\"\\&<,.'-", min_size=1), max_size=4)
    return st.lists(words.map(lambda spoken: Transcript(" ".join(spoken))), max_size=3)


@st.composite
def words_in_time(draw: st.DrawFn) -> Transcript:
    """A transcript whose words follow one another, some at once, some after a pause."""
    at, words = 0.0, []
    for text in draw(st.lists(st.text(string.ascii_letters + '数<&"', min_size=1, max_size=30), max_size=6)):
        start = at + draw(st.sampled_from((0.0, 0.1, 0.5, 3.0)))
        at = start + draw(st.sampled_from((0.0, 0.2, 2.5)))
        words.append(Word(text, start, at))
    return Transcript(" ".join(word.text for word in words), tuple(words))


@contextmanager
def media(labels: Sequence[Label]) -> Iterator[tuple[Path, list[tuple[Item, Label]]]]:
    """A folder, and a medium in it for each label, called a.1, b.2 and so on, of group g and none in turn."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        audio = any(isinstance(label, Transcript) for label in labels)
        first = sound(folder / "first.wav") if audio else photo(folder / "first.jpg", WIDTH, HEIGHT)
        pairs = []
        for index, label in enumerate(labels):
            path = folder / f"{string.ascii_letters[index]}.{index}{first.suffix}"
            os.link(first, path)
            pairs.append((Item(f"some where/{path.name}", str(path), "the g" if index % 2 == 0 else None), label))
        yield folder, pairs


def round_trip(name: str, labels: Sequence[L]) -> list[tuple[L, Label]]:
    """(label, what is read of it) after writing; every item must come back, in its order."""
    with media(labels) as (folder, pairs):
        writer(name, FORMATS[name].task)(folder / "out", pairs)
        found = list(read(f"{name}:{folder}/out")) if labels else []
        assert len(found) == len(labels)
        return [(told, label) for told, (_, label) in zip(labels, found, strict=True)]


def assert_same_boxes(found: Label, told: Boxes) -> None:
    assert isinstance(found, Boxes)
    assert (found.width, found.height) == (told.width, told.height)
    assert [box.category for box in found.boxes] == [box.category for box in told.boxes]
    for one, other in zip(found.boxes, told.boxes, strict=True):
        assert one.xyxy == pytest.approx(other.xyxy, abs=1e-6)
