"""Stills are the pictures that somebody sees who steps through a video, whatever its container and its rate."""

import io
import struct
import sys

import pytest
from PIL import Image

from models.errors import NotFound, TooLarge, UnreadableMedia
from models.media import Limits
from models.video import Video, read_video
from tests.movies import brightening, movie, shade


def seen(video: Video) -> dict[int, int]:
    return {still.number: shade(still.jpeg) for still in video.stills}


@pytest.mark.parametrize(("kind", "codec"), [("mp4", "libx264"), ("mov", "mpeg4"), ("webm", "libvpx-vp9")])
def test_stills_have_the_numbers_of_the_pictures_that_are_seen(kind: str, codec: str) -> None:
    video = read_video(movie(brightening(30), kind=kind, codec=codec), "clip", 25, 0.2, 300, Limits())
    assert video.duration_s == pytest.approx(1.2)
    assert video.frames == 30
    assert seen(video) == {1: 0, 6: 5, 11: 10, 16: 15, 21: 20, 26: 25}


def test_whoever_counts_fewer_frames_a_second_sees_the_picture_of_that_moment() -> None:
    """At 10 a second, number 3 is seen after 0.2 s: the sixth of 25 a second."""
    video = read_video(movie(brightening(30)), "clip", 10, 0.2, 300, Limits())
    assert video.frames == 12
    assert seen(video) == {1: 0, 3: 5, 5: 10, 7: 15, 9: 20, 11: 25}


def test_whoever_counts_more_sees_pictures_twice() -> None:
    video = read_video(movie(brightening(4), rate=5), "clip", 10, 0.1, 300, Limits())
    assert seen(video) == {1: 0, 2: 0, 3: 1, 4: 1, 5: 2, 6: 2, 7: 3, 8: 3}


def test_a_long_video_has_no_more_stills_than_wanted() -> None:
    video = read_video(movie(brightening(40)), "clip", 25, 0.04, 4, Limits())
    assert list(seen(video)) == [1, 11, 21, 31]


def test_a_turned_video_is_seen_upright() -> None:
    data = movie(brightening(3))
    matrix = data.index(b"tkhd") + 4 + 40  # of its first version: 40 bytes before it
    turned = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 48 << 16, 0, 1 << 30)
    (still,) = read_video(data[:matrix] + turned + data[matrix + 36 :], "clip", 25, 1, 300, Limits()).stills
    assert Image.open(io.BytesIO(still.jpeg)).size == (48, 64)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "clip: expected an MP4, QuickTime, Matroska or WebM video, got b''"),
        (b"#EXTM3U\nfile:///etc/passwd\n", "clip: expected an MP4, QuickTime, Matroska or WebM video"),
        (b"\x1a\x45\xdf\xa3 and nothing more", "clip: expected a whole video, got a broken one"),
    ],
)
def test_what_is_no_video_is_one_clear_error(data: bytes, says: str) -> None:
    with pytest.raises(UnreadableMedia, match=says):
        read_video(data, "clip", 25, 0.2, 300, Limits())


def test_large_pictures_are_refused() -> None:
    with pytest.raises(TooLarge, match=r"clip: expected at most 0.001 megapixels, got 64x48"):
        read_video(movie(brightening(3)), "clip", 25, 0.2, 300, Limits(max_image_megapixels=0.001))


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(NotFound, match=r"expected the package av, got none; pip install 'prelabel\[video\]'"):
        read_video(b"", "clip", 25, 0.2, 300, Limits())


def test_half_a_file_is_refused() -> None:
    with pytest.raises(UnreadableMedia, match="clip: expected a whole video, got a broken one"):
        read_video(movie(brightening(30))[:1000], "clip", 25, 0.2, 300, Limits())
