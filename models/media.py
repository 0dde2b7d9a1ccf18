"""Bytes of an image or a sound file to arrays, within limits; a file that cannot be used is one clear error.

Sizes are checked before pixels are decoded; sound is decoded and resampled in blocks, and no further than the limit,
because headers may lie. Nothing here keeps state: every function may run in many threads.
"""

import io
import re
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeAlias, TypeVar

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from PIL.Image import DecompressionBombError, Transpose, new
from PIL.Image import Image as PillowImage
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from models.audio_containers import mpeg_frame, whole
from models.errors import InvalidInput, NotFound, TooLarge, UnreadableMedia
from models.records import Task

Image: TypeAlias = NDArray[np.uint8]  # (height, width, 3) RGB
Waveform: TypeAlias = NDArray[np.float32]  # (samples,) mono in [-1, 1] at SAMPLE_RATE
_Part = TypeVar("_Part")  # what is wanted of an image

SAMPLE_RATE = 16000
SOURCE_RATES = (1_000, 768_000)  # Hz
MOST_CHANNELS = 64  # Opus and Vorbis hold silence in 255 of them in a few bytes, which take minutes to decode

_IMAGES: dict[str, Callable[[IO[bytes]], ImageFile]] = {
    "image/jpeg": JpegImageFile,
    "image/png": PngImageFile,
    "image/webp": WebPImageFile,
}
HEAD_BYTES = 16  # of a file, enough to tell what it is
SOUNDS = ("audio/wav", "audio/flac", "audio/ogg", "audio/mpeg")
_BLOCK_VALUES = 1 << 18  # samples x channels decoded at once
UNKNOWN_FRAMES = 1 << 62  # libsndfile says 2^63 - 1 where a header leaves the length open
_ORIENTATION = 0x0112
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # of a segment in a JPEG; the others stand inside of scans
_SCAN, _END, _BARE = b"\xff\xda", b"\xff\xd9", b"\xff\x01"
_MOST_SCANS, _MOST_SEGMENTS = 200, 1500  # encoders make about ten; metadata come in pieces of 64 KB
_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
# What Pillow raises on bytes that are not the image they begin as.
_BROKEN_IMAGE = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, ArithmeticError, struct.error)

warnings.filterwarnings("ignore", module=r"PIL\.")  # a broken EXIF or animation block beside good pixels


@dataclass(frozen=True)
class Limits:
    """The largest image in megapixels and the longest sound in seconds that are read."""

    max_image_megapixels: float = 50
    max_audio_s: float = 600


def media_type(data: bytes) -> str | None:
    """The MIME type of an image or sound this product reads, from its first bytes; None for everything else."""
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[:4] in (b"RIFF", b"RIFX", b"RF64") and data[8:12] == b"WAVE":
        return "audio/wav"
    if data.startswith((b"fLaC", b"OggS")):
        return "audio/flac" if data[:1] == b"f" else "audio/ogg"
    return "audio/mpeg" if data.startswith(b"ID3") or mpeg_frame(data) else None


def read(task: Task, data: bytes, name: str, limits: Limits = Limits()) -> Image | Waveform:
    """The medium that a task looks at: a waveform for speech, an image for the others.

    Raises:
        UnreadableMedia, TooLarge: as ``read_image`` and ``read_audio``.
    """
    return read_audio(data, name, limits) if task == "asr" else read_image(data, name, limits)


def read_image(data: bytes, name: str, limits: Limits = Limits()) -> Image:
    """Decodes JPEG, PNG or WebP, turned as its EXIF orientation says; of an animation, the first frame.

    16-bit images keep their high byte; transparent pixels are laid on white.

    Raises:
        UnreadableMedia: not such an image, or broken.
        TooLarge: more pixels than ``limits`` allow, or so many passes over them that it would take hours.
    """
    kind = expect_kind(data, name, tuple(_IMAGES), "a JPEG, PNG or WebP image")
    if kind == "image/jpeg":
        _check_scans(data, name)
    return _decoded(kind, data, name, limits, lambda image: np.array(_rgb(_turned(image))))


def drawn_box(png: bytes, name: str) -> tuple[int, int, int, int] | None:
    """Left, top, right and bottom of what a PNG shows: pixels that are not transparent or, where none can be, not
    black; None where it shows nothing.

    Raises:
        UnreadableMedia: not such an image, or broken.
        TooLarge: more pixels than the usual limits allow.
    """
    kind = expect_kind(png, name, ("image/png",), "a PNG image")
    return _decoded(kind, png, name, Limits(), lambda image: _opacity(image).getbbox())


def _decoded(kind: str, data: bytes, name: str, limits: Limits, part: Callable[[PillowImage], _Part]) -> _Part:
    try:
        with _IMAGES[kind](io.BytesIO(data)) as image:
            check_pixels(image.size, name, limits)
            image.load()
            return part(image)
    except DecompressionBombError as error:
        raise TooLarge(f"{name}: {_expected_pixels(limits)}, got more: {error}") from error
    except InvalidInput:  # ours, and a ValueError
        raise
    except (*_BROKEN_IMAGE, zlib.error) as error:
        raise UnreadableMedia(f"{name}: expected a whole {kind} file, got a broken one: {error}") from error


def image_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels as ``read_image`` would give them, from the header alone.

    Raises:
        NotFound: no such file.
        UnreadableMedia: not an image, or a broken header.
    """
    try:
        with path.open("rb") as file:
            kind = expect_kind(file.read(HEAD_BYTES), str(path), tuple(_IMAGES), "a JPEG, PNG or WebP image")
            file.seek(0)
            with _IMAGES[kind](file) as image:
                width, height = image.size
                return (height, width) if _orientation(image) >= 5 else (width, height)
    except FileNotFoundError as error:
        raise NotFound(f"{path}: expected an image, got no such file") from error
    except InvalidInput:  # ours, and a ValueError
        raise
    except (*_BROKEN_IMAGE, zlib.error, DecompressionBombError) as error:
        raise UnreadableMedia(f"{path}: expected an image header, got a broken one: {error}") from error


def require_sound(media: Waveform) -> None:
    """Lets what a recogniser hears pass.

    Raises:
        InvalidInput: it is not mono, or has no samples.
    """
    if media.ndim != 1 or not len(media):
        raise InvalidInput(f"speech: expected at least 1 sample of mono sound, got shape {media.shape}")


def read_audio(data: bytes, name: str, limits: Limits = Limits()) -> Waveform:
    """Decodes WAV, FLAC, Ogg (Vorbis, Opus) or MP3 to 16 kHz mono: the mean of the channels, clipped to [-1, 1].

    Raises:
        UnreadableMedia: not such a file, broken, cut, without samples, with samples that are no numbers, or with more
            than ``MOST_CHANNELS`` channels.
        TooLarge: longer than ``limits`` allow.
    """
    kind = expect_kind(data, name, SOUNDS, "WAV, FLAC, Ogg or MP3 audio")
    try:
        with SoundStream(io.BytesIO(whole(data, kind, name))) as sound:
            _check_header(sound, name, limits)
            blocks = list(_resampled(mono_blocks(sound, name, limits), sound.samplerate))
    except soundfile.SoundFileError as error:
        raise UnreadableMedia(f"{name}: expected a whole {kind} file, got a broken one: {error}") from error
    waveform = np.concatenate([np.zeros(0, np.float32), *blocks])
    if not waveform.size:
        raise UnreadableMedia(f"{name}: expected at least one sample at {SAMPLE_RATE} Hz, got none")
    return np.clip(waveform, -1, 1, out=waveform)


class SoundStream(soundfile.SoundFile):  # type: ignore[misc]
    """A sound file read front to back: soundfile would seek after every block, which some codecs cannot."""

    def seekable(self) -> bool:
        return False

    def skip(self, frames: int) -> None:
        """Goes from the beginning to a place further on, without decoding what comes before it where it can."""
        if frames and super().seekable():
            self.seek(frames)
            return
        while frames > 0 and (passed := len(self.read(min(frames, _BLOCK_VALUES)))):
            frames -= passed


def expect_kind(data: bytes, name: str, kinds: tuple[str, ...], expected: str) -> str:
    """The MIME type of some first bytes.

    Raises:
        UnreadableMedia: it is none of ``kinds``.
    """
    kind = media_type(data)
    if kind in kinds:
        return kind
    got = kind or (f"bytes that begin with {data[:12]!r}" if data else "an empty file")
    raise UnreadableMedia(f"{name}: expected {expected}, got {got}")


def check_pixels(size: tuple[int, int], name: str, limits: Limits) -> None:
    """Lets a size in pixels pass.

    Raises:
        TooLarge: it is beyond the limits.
    """
    width, height = size
    if width * height > limits.max_image_megapixels * 1e6:
        megapixels = f"{width}x{height} ({width * height / 1e6:.1f} megapixels)"
        raise TooLarge(f"{name}: {_expected_pixels(limits)}, got {megapixels}")


def _check_scans(data: bytes, name: str) -> None:
    """Lets a JPEG pass whose pixels are built up in so many scans as encoders make: one takes eleven bytes of the
    file and more, and goes over all pixels (ITU-T T.81, B.1.1)."""
    place, scans = 2, 0
    for _ in range(_MOST_SEGMENTS):
        marker = _MARKER.search(data, place)
        if marker is None or marker[0] == _END:
            return
        scans += marker[0] == _SCAN
        if scans > _MOST_SCANS:
            break
        place = marker.end()
        if marker[0] != _BARE:
            place += int.from_bytes(data[place : place + 2], "big")
    expected = f"at most {_MOST_SCANS} scans in {_MOST_SEGMENTS} segments"
    raise TooLarge(f"{name}: expected a JPEG of {expected}, got more")


def _expected_pixels(limits: Limits) -> str:
    return f"expected at most {limits.max_image_megapixels:g} megapixels"


def _orientation(image: PillowImage) -> int:
    """The EXIF orientation, 1 to 8; a broken EXIF block leaves the picture as it is."""
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except _BROKEN_IMAGE:
        return 1
    return orientation if orientation in _TURNS else 1


def _turned(image: PillowImage) -> PillowImage:
    turn = _TURNS.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def _rgb(image: PillowImage) -> PillowImage | Image:
    if image.mode == "I;16":  # Pillow's own conversion clips at 255
        high_byte = (np.asarray(image) >> 8).astype(np.uint8)
        return np.repeat(high_byte[..., None], 3, axis=2)
    if _is_transparent(image):
        rgba = image.convert("RGBA")
        opaque = new("RGB", image.size, "white")
        opaque.paste(rgba, mask=rgba.getchannel("A"))
        return opaque
    return image.convert("RGB")


def _is_transparent(image: PillowImage) -> bool:
    return "A" in image.mode or "transparency" in image.info


def _opacity(image: PillowImage) -> PillowImage:
    return image.convert("RGBA").getchannel("A") if _is_transparent(image) else image


def check_rate(rate: int, name: str) -> None:
    """Lets a sample rate in Hz pass.

    Raises:
        UnreadableMedia: no sound has it.
    """
    low, high = SOURCE_RATES
    if not low <= rate <= high:
        raise UnreadableMedia(f"{name}: expected a sample rate from {low} to {high} Hz, got {rate}")


def _check_header(sound: soundfile.SoundFile, name: str, limits: Limits) -> None:
    check_rate(sound.samplerate, name)
    if sound.channels > MOST_CHANNELS:
        raise UnreadableMedia(f"{name}: expected at most {MOST_CHANNELS} channels, got {sound.channels}")
    declared_s = sound.frames / sound.samplerate
    if declared_s > limits.max_audio_s and sound.frames < UNKNOWN_FRAMES:
        raise TooLarge(f"{name}: {_expected_seconds(limits)}, got {declared_s:.1f} s")


def _expected_seconds(limits: Limits) -> str:
    return f"expected at most {limits.max_audio_s:g} s of audio"


def mono_blocks(sound: soundfile.SoundFile, name: str, limits: Limits) -> Iterator[Waveform]:
    """The sound in pieces of bounded size, the mean of its channels; ends in an error where the file lied."""
    frames, most = 0, limits.max_audio_s * sound.samplerate
    size = max(1, _BLOCK_VALUES // sound.channels)
    while len(block := sound.read(size, dtype="float32", always_2d=True)):  # (frames, channels)
        frames += len(block)
        if frames > most:
            raise TooLarge(f"{name}: {_expected_seconds(limits)}, got more")
        if not np.isfinite(block).all():
            raise UnreadableMedia(f"{name}: expected finite samples, got NaN or infinity")
        yield np.clip(block, -1, 1).mean(axis=1, dtype=np.float32)
    if frames < sound.frames < UNKNOWN_FRAMES:
        raise UnreadableMedia(f"{name}: expected {sound.frames} samples, got {frames}: the file is cut or broken")


def _resampled(blocks: Iterator[Waveform], rate: int) -> Iterator[Waveform]:
    if rate == SAMPLE_RATE:
        yield from blocks
        return
    stream = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)
