"""Stills of a video, as somebody sees them who steps through it at an even rate: decoded once, front to back.

Needs PyAV, which the extra ``prelabel[video]`` brings. MP4, QuickTime, Matroska and WebM are read, and no file beside
the one that is given: containers that may name others (playlists) are none of these.
"""

import io
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Pillow

from models.errors import InvalidInput, NotFound, UnreadableMedia
from models.media import Image, Limits, check_pixels
from models.records import Seconds

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame

JPEG_QUALITY = 95
ROUNDING_S = 1e-3  # by which a frame may come later than its moment and still be the one that is seen


@dataclass(frozen=True)
class Still:
    """One picture of a video: its number from 1, at the rate that was asked for, and a JPEG of it."""

    number: int
    jpeg: bytes


@dataclass(frozen=True)
class Video:
    """How long a video lasts, how many frames that is at the rate that was asked for, and some of them in order."""

    duration_s: Seconds
    frames: int
    stills: tuple[Still, ...]


def read_video(data: bytes, name: str, rate: float, apart_s: Seconds, most: int, limits: Limits) -> Video:
    """Stills of a video that is looked at with ``rate`` frames a second: every ``apart_s`` seconds, and farther apart
    where they would be more than ``most``.

    Raises:
        NotFound: PyAV is not installed.
        UnreadableMedia: not such a video, or broken.
        TooLarge: its pictures have more pixels than ``limits`` allow.
    """
    av, kind = library(), _container(data, name)
    try:
        with av.open(io.BytesIO(data), format=kind) as container:
            if not container.streams.video:
                raise UnreadableMedia(f"{name}: expected a video with pictures, got one with none")
            duration_s = _duration(container, name)
            container.seek(0)
            frames = max(1, math.ceil(round(duration_s * rate, 6)))
            step = max(1, round(rate * apart_s), math.ceil(frames / most))
            numbers = range(1, frames + 1, step)
            seen = _seen(container.decode(container.streams.video[0]), numbers, rate)
            return Video(duration_s, frames, tuple(Still(number, _jpeg(one, name, limits)) for number, one in seen))
    except InvalidInput:  # ours, and a ValueError
        raise
    except (av.error.FFmpegError, OSError, ValueError, OverflowError) as error:
        raise UnreadableMedia(f"{name}: expected a whole video, got a broken one: {error}") from error


def library() -> Any:
    """PyAV.

    Raises:
        NotFound: it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise NotFound("video: expected the package av, got none; pip install 'prelabel[video]'") from error
    return av


def _container(data: bytes, name: str) -> str:
    """What FFmpeg calls the container, from its first bytes."""
    if data[4:8] in (b"ftyp", b"moov", b"mdat", b"wide"):
        return "mov"
    if data.startswith(b"\x1a\x45\xdf\xa3"):
        return "matroska"
    raise UnreadableMedia(f"{name}: expected an MP4, QuickTime, Matroska or WebM video, got {data[:12]!r}")


def _duration(container: "InputContainer", name: str) -> Seconds:
    """From the first picture to the end of the last one; not every header knows it."""
    times = [(packet.pts, packet.duration or 0) for packet in container.demux(container.streams.video[0])
             if packet.pts is not None]  # fmt: skip
    base = container.streams.video[0].time_base
    if not times or base is None:
        raise UnreadableMedia(f"{name}: expected pictures with times, got none")
    return float((max(pts + long for pts, long in times) - min(pts for pts, _ in times)) * base)


def _seen(frames: Iterable["VideoFrame"], numbers: Iterable[int], rate: float) -> Iterator[tuple[int, "VideoFrame"]]:
    """The last frame that was there when each number is shown, ``(number - 1) / rate`` seconds after the first."""
    wanted = iter(numbers)
    number = next(wanted, None)
    begin, held = 0.0, None
    for frame in frames:
        if frame.time is None:
            continue
        begin = frame.time if held is None else begin
        while held is not None and number is not None and (number - 1) / rate < frame.time - begin - ROUNDING_S:
            yield number, held
            number = next(wanted, None)
        if number is None:
            return
        held = frame
    while held is not None and number is not None:
        yield number, held
        number = next(wanted, None)


def _jpeg(frame: "VideoFrame", name: str, limits: Limits) -> bytes:
    check_pixels((frame.width, frame.height), name, limits)
    image: Image = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))
    file = io.BytesIO()
    Pillow.fromarray(np.ascontiguousarray(image)).save(file, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return file.getvalue()
