"""JPEGs that build up their pixels in more passes than any encoder makes: a small file would take hours."""

import io
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from models.errors import TooLarge
from models.media import read_image

COMMENT = b"\xff\xfe"
END = b"\xff\xd9"


def progressive(**how: object) -> bytes:
    file = io.BytesIO()
    Image.new("L", (64, 64), 100).save(file, "JPEG", progressive=True, **how)
    return file.getvalue()


def scans_of(data: bytes) -> list[bytes]:
    """The scans of a JPEG, each up to the one after it, with the tables in between."""
    places = [place for place in range(len(data)) if data.startswith(b"\xff\xda", place)]
    return [data[first:following] for first, following in pairwise([*places, len(data) - len(END)])]


def with_scans(count: int, before: bytes = b"") -> bytes:
    """A grey picture whose second scan is repeated."""
    data = progressive()
    first, second, *_ = scans_of(data)
    return data[: data.index(first) + len(first)] + before + second * count + END


def sequential(count: int) -> bytes:
    """A grey picture in one pass, which is repeated."""
    file = io.BytesIO()
    Image.new("L", (64, 64), 100).save(file, "JPEG")
    data = file.getvalue()
    return data[: -len(END)] + data[data.index(b"\xff\xda") : -len(END)] * count + END


def segment(size: int, filled: bytes = b"x") -> bytes:
    return COMMENT + (size + 2).to_bytes(2, "big") + (filled * size)[:size]


@pytest.mark.parametrize(
    "before",
    [
        b"",
        segment(2, END),  # the end of the picture, in a comment
        b"\xff\x01",  # a marker that has no length
        b"\xff\x01" + b"\xff" * 40,
    ],
    ids=["plain", "end in a comment", "bare marker", "filled up"],
)
def test_hundreds_of_scans_are_refused_before_they_are_decoded(before: bytes) -> None:
    with pytest.raises(TooLarge, match="bomb: expected a JPEG of at most 200 scans in 1500 segments, got more"):
        read_image(with_scans(1000, before), "bomb")


def test_passes_of_a_picture_that_needs_one_count_too() -> None:
    with pytest.raises(TooLarge):
        read_image(sequential(1000), "bomb")


def test_nor_do_endless_comments_hide_them() -> None:
    with pytest.raises(TooLarge):
        read_image(with_scans(5000, segment(1) * 100_000), "bomb")


@pytest.mark.parametrize("how", [{}, {"quality": 100, "subsampling": 0}, {"optimize": True}], ids=str)
def test_what_encoders_make_is_read(how: dict[str, object]) -> None:
    noise = np.random.default_rng(0).integers(0, 40, (200, 300, 3), np.uint8)
    for progressively in (True, False):
        file = io.BytesIO()
        Image.fromarray(noise).save(file, "JPEG", progressive=progressively, **how)
        assert read_image(file.getvalue(), "picture").shape == (200, 300, 3)


def test_many_large_metadata_and_what_lies_behind_the_picture_do_not_count() -> None:
    data = progressive()
    told = data[:2] + segment(60_000, b"\xff\xda") * 800 + data[2:] + b"\x00\x02" + b"\xff\xda\x00\x02" * 10_000
    assert read_image(told, "picture").shape == (64, 64, 3)
