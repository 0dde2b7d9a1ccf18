"""Videos that tests render themselves: every frame is as bright as its number says."""

import io
from collections.abc import Sequence

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image

SHADE = 6  # by which each frame is brighter than the one before


def movie(pictures: Sequence[NDArray[np.uint8]], rate: int = 25, kind: str = "mp4", codec: str = "libx264") -> bytes:
    """Pictures (height, width, 3), at most 255, as a video of ``rate`` frames a second."""
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as container:
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, VideoStream)
        stream.pix_fmt = "yuv420p"
        stream.height, stream.width = pictures[0].shape[:2]
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


def brightening(frames: int, width: int = 64, height: int = 48) -> list[NDArray[np.uint8]]:
    """Plain pictures, each brighter than the one before."""
    return [np.full((height, width, 3), SHADE * number, np.uint8) for number in range(frames)]


def shade(jpeg: bytes) -> int:
    """Which of those pictures this is, counted from 0."""
    return round(float(np.asarray(Image.open(io.BytesIO(jpeg))).mean()) / SHADE)
