"""Broad lines to the pixel: what OpenCV draws, the geometry, and the union of single strokes."""

import zlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.lane.strokes import Pixels, drawn

WIDTH, HEIGHT = 400, 300
Points = list[tuple[float, float]]


def picture(pixels: Pixels, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.int64]:
    """How often each pixel is in a run."""
    flat = np.zeros(width * height, np.int64)
    for start, end in zip(pixels.start, pixels.end, strict=True):
        flat[start:end] += 1
    return flat.reshape(height, width)


# Pixels, and the CRC-32 of their packed bits, as cv2.line(.., 1, 30) of OpenCV 4.11 and 5.0 draws each segment.
@pytest.mark.parametrize(
    ("points", "count", "checksum"),
    [
        ([(200, 150), (200, 150)], 709, 2923186996),
        ([(200, 150), (200, 250)], 3809, 3886539599),  # 31 pixels wide: 100 rows more than the disc
        ([(200, 150), (201, 149)], 756, 3340830771),
        ([(60, 150), (340, 150)], 9389, 3303783232),
        ([(60, 60), (330, 240)], 10519, 343131804),
        ([(330, 61), (100, 240)], 9706, 3449020378),
        ([(60, 150), (200, 143)], 5058, 2982855360),  # so flat that disc and bar leave a gap in a row
        ([(100, 40), (101, 260)], 7530, 1186754527),
        ([(50, 50), (54, 49)], 840, 1192638034),
        ([(200, 250), (197, 40)], 7216, 925590328),
        (
            [(60, 250), (70, 240), (83, 228), (95, 220), (120, 190), (160, 150), (161, 149), (161, 120), (140, 60)],
            8063,
            2175784491,
        ),
    ],
)
def test_strokes_are_those_of_opencv(points: Points, count: int, checksum: int) -> None:
    pixels = drawn(np.array(points, float), WIDTH, HEIGHT)
    assert pixels.count == count
    assert zlib.crc32(np.packbits(picture(pixels).astype(bool)).tobytes()) == checksum


NEAR = st.integers(-60, 360)
PLACE = st.tuples(NEAR, NEAR)
WALK = st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@example((60, 150), [(140, -7), (2, -3), (1, -3)])  # a flat step, then steep ones
@example((60, 150), [(2, -3), (140, -7)])
@example((60, 150), [(1, 30), (1, -30)])
@given(PLACE, WALK)
def test_a_line_is_all_its_strokes(start: tuple[int, int], walk: list[tuple[int, int]]) -> None:
    """Up, down and sideways: however strokes are joined, the pixels are those of each of them, each once."""
    corners = np.cumsum(np.array([start, *walk]), axis=0).astype(float)
    alone = [picture(drawn(np.array(pair), WIDTH, HEIGHT)) for pair in pairwise(corners)]
    assert np.array_equal(picture(drawn(corners, WIDTH, HEIGHT)), np.any(alone, axis=0).astype(int))


@settings(max_examples=60, deadline=None)
@given(PLACE, PLACE)
def test_a_stroke_is_what_lies_within_half_its_breadth(start: tuple[int, int], end: tuple[int, int]) -> None:
    seen = picture(drawn(np.array([start, end], float), WIDTH, HEIGHT)).astype(bool)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    along = np.array(end) - np.array(start)
    share = ((x - start[0]) * along[0] + (y - start[1]) * along[1]) / max(1, (along**2).sum())
    share = np.clip(share, 0, 1)
    distance = np.hypot(x - start[0] - share * along[0], y - start[1] - share * along[1])
    assert seen[distance < 14.5].all()
    assert not seen[distance > 16].any()


@given(PLACE, WALK, PLACE, WALK)
def test_what_two_lines_share(
    first: tuple[int, int], along: list[tuple[int, int]], second: tuple[int, int], way: list[tuple[int, int]]
) -> None:
    lines = [
        drawn(np.cumsum(np.array([start, *walk]), axis=0).astype(float), WIDTH, HEIGHT)
        for start, walk in ((first, along), (second, way))
    ]
    one, other = (picture(line) for line in lines)
    assert lines[0].shared(lines[1]) == lines[1].shared(lines[0]) == int((one * other).sum())
    assert lines[0].shared(lines[0]) == lines[0].count == int(one.sum())


def test_what_lies_beyond_the_image_is_not_there() -> None:
    beyond = drawn(np.array([(-100.0, 10.0), (-50.0, 200.0)]), WIDTH, HEIGHT)
    inside = drawn(np.array([(100.0, 10.0), (100.0, 200.0)]), WIDTH, HEIGHT)
    assert beyond.count == beyond.shared(inside) == inside.shared(beyond) == 0
    whole = drawn(np.array([(50.0, 100.0), (50.0, 200.0)]), WIDTH, HEIGHT)
    for x in (0.0, WIDTH - 1.0):
        edge = drawn(np.array([(x, 100.0), (x, 200.0)]), WIDTH, HEIGHT)
        assert edge.count == (whole.count - 131) / 2 + 131  # the middle column, 101 + 2 * 15 rows, and one side
    whole = drawn(np.array([(100.0, 50.0), (200.0, 50.0)]), WIDTH, HEIGHT)
    for y in (0.0, HEIGHT - 1.0):
        edge = drawn(np.array([(100.0, y), (200.0, y)]), WIDTH, HEIGHT)
        assert edge.count == (whole.count - 131) / 2 + 131


def test_places_are_rounded_to_even_as_by_opencv() -> None:
    def same(one: Points, other: Points) -> bool:
        first, second = (picture(drawn(np.array(p, float), WIDTH, HEIGHT)) for p in (one, other))
        return bool((first == second).all())

    assert same([(100.5, 50.5), (101.5, 150)], [(100, 50), (102, 150)])
